"""Studies: a paper's experiment, run and put beside the paper: its table, its pictures, its logs."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping, Set
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

from vae_lightning.files import expanded
from vae_lightning.messages import unheard
from vae_lightning.signals import Interrupted
from vae_lightning.studies.names import Asked, Scale, StudyName


def reproduce(
    study: Asked,
    scale: Scale = "medium",
    out: Path | None = None,
    seed: int = 0,
    faces: Path | None = None,
    generator: Path | None = None,
    images: int | None = None,
    only: str | None = None,
    models: str | None = None,
    test_every_epoch: bool | None = None,
) -> None:
    """Run a paper's experiment and put its figures beside the paper's.

    For a first look: vae-lightning reproduce mixture --scale quick. What celeba, documents, libi, newsgroups and priors
    have finished in OUT is kept, and the same command goes on where it was interrupted; mixture and tradeoff, which
    take minutes, begin anew. If RAY_ADDRESS names a Ray cluster, its machines share the work.

    Args:
        study: which experiment. celeba: how the ELBO harms a decoder that was right, VAE Approximation Error (2022),
            section 4.2: a GAN of faces, an encoder fitted to it, and joint training of both.
            documents: RBM against VAE on 20 Newsgroups at 8 to 64 bits and on few data, and
            whether the best VAE is an RBM, as section 4.3 of VAE Approximation Error (2022) says.
            libi: Table 1 and Figures 1 to 5 of Characterizing and Avoiding Problematic Global Optima of Variational
            Autoencoders (2019), five methods in four worlds.
            mixture: the artificial example of VAE Approximation Error (2022), section 4.1.
            newsgroups: Table 2 of VAE Approximation Error (2022), semantic hashing of 20 Newsgroups by the number of
            bits, the decoder's depth and the encoder.
            priors: standard normal, mixture, VampPrior, aggregated posterior, IWAE, HVAE and PixelHVAE on digits, by
            likelihood and by the terms of ELBO Surgery (2016).
            tradeoff: likelihood against mismatch as the weight of the mismatch moves, VAE Approximation Error's Fig. 1,
            exactly.
            all: every one of these in turn, which takes hours at scale quick. A line tells of each that has ended, and
            a table at the end how long each took and where its table lies. One that fails, since its data is missing or
            for any other reason, is named, and the others still run; the exit status is 1 then, and the same command
            tries it again. An option that only one study takes is handed on to it.
        scale: how much to compute: quick is for a look, full for the figures to quote.
        out: folder for results.json, table.md, pictures and TensorBoard logs; by default runs/reproduce/STUDY.
            It is of one scale, seed and set of options: what others have finished there is replaced.
            Of all, the folder of theirs: each goes into OUT/STUDY, and what it prints into its output.txt.
        seed: of the data, the initial weights and the order of training.
        faces: of celeba: a folder or a zip file of faces; by default celeba in the data folder.
        generator: of celeba: a run's folder or a checkpoint of a trained GAN, which is then not trained here.
        images: of celeba: how many of each model distances are taken from; by default what the scale says.
        only: of documents, libi, newsgroups, priors: the cells of a folder below OUT/cells, such as LinearJTEx/LiBI of
            libi or 8-bits/depth-0/e1 of newsgroups. Of celeba: one cell, such as joint-fixed-sigma, and what it needs.
            So several commands, at once in one OUT, share the work; run it without this at the end.
        models: of celeba: which joint trainings: paper, all, or some by the names of their folders, with commas.
            Beyond the paper there are IWAE, a decoder that is kept, a VampPrior, encoders with a covariance in blocks
            or a flow, and other weights of the KL: which of them spares the decoder?
            Of newsgroups: paper, all, or some of e1, e2, e3, e1-ARM, e1-RLOO, e1-by-documents, e3-scaled, RBM. By
            default those of the paper at scale quick, all at others.
            Of priors: some by the names of their folders, such as HVAE,PixelHVAE; by default all.
        test_every_epoch: of newsgroups: read the test split after every epoch, too, for a further table of the least
            deviance, which is what the paper reports. Nothing is chosen by it. A cell that was finished without is
            trained again.
    """
    options = {
        "faces": faces,
        "generator": generator,
        "images": images,
        "only": only,
        "models": models,
        "test_every_epoch": test_every_epoch,
    }
    given = {name: value for name, value in options.items() if value is not None}
    folder = Path(expanded(str(out))) if out else Path("runs", "reproduce")
    if folder.exists() and not folder.is_dir():
        raise ValueError(f"--out takes a folder, which is made if there is none; {folder} is a file")
    with _lightning_says_little():
        if study == "all":
            _reproduce_all(scale, seed, given, folder)
        else:
            _reproduce_one(study, scale, seed, given, folder if out else folder / study)


# what takes torch is imported only when a study runs, so that asking for help is quick
def _reproduce_one(study: StudyName, scale: Scale, seed: int, given: Mapping[str, Any], folder: Path) -> None:
    from vae_lightning.process import ready_to_train
    from vae_lightning.studies.catalogue import STUDIES

    _check_options(study, given.keys(), {name: kind.options for name, kind in STUDIES.items()})
    ready_to_train()
    asked = STUDIES[study](scale, seed, **given)
    try:
        asked.reproduce(folder)
    except (Interrupted, OSError) as error:
        if not isinstance(error, FileNotFoundError):  # what is not there has to come first
            error.add_note(asked.again)
        raise


def _reproduce_all(scale: Scale, seed: int, given: Mapping[str, Any], folder: Path) -> None:
    from vae_lightning.studies.catalogue import STUDIES
    from vae_lightning.studies.every import Task, reproduce_every

    _check_options_of_all(given.keys(), {name: kind.options for name, kind in STUDIES.items()})
    own = {name: {key: given[key] for key in given.keys() & kind.options} for name, kind in STUDIES.items()}
    reproduce_every(
        [Task(name, folder / name, partial(kind, scale, seed, **own[name])) for name, kind in STUDIES.items()]
    )


def _check_options(study: str, given: Set[str], taken: Mapping[str, Set[str]]) -> None:
    """ValueError for an unknown study, and for options of others."""
    if study not in taken:
        raise ValueError(f"there is no study {study!r}; there are {', '.join(taken)}, and all")
    if foreign := given - taken[study]:
        known = [name for name, options in taken.items() if foreign <= options]
        takers = f"; {', '.join(known)} {'does' if len(known) == 1 else 'do'}" if known else ""
        raise ValueError(f"{study} takes no {', '.join(f'--{name}' for name in sorted(foreign))}{takers}")


def _check_options_of_all(given: Set[str], taken: Mapping[str, Set[str]]) -> None:
    """What one study takes is handed on to it; ValueError for what several do, since it means another thing to each."""
    for option in sorted(given):
        takers = [name for name, options in taken.items() if option in options]
        if len(takers) > 1:
            raise ValueError(
                f"all takes no --{option}, which means another thing to each of {', '.join(takers)}: give it to one by"
                f" itself, as in vae-lightning reproduce {takers[0]} --{option} ... --out OUT/{takers[0]}"
            )


@contextmanager
def _lightning_says_little() -> Iterator[None]:
    """Within this block, Lightning does not tell of every fit what it found: a study has dozens of them."""
    import lightning.pytorch  # noqa: F401  # which sets the level of its logger as it is imported

    told = ("Checkpoint directory .* exists", ".*does not have many workers", ".*treespec, LeafSpec")
    of_faces = (
        ".*no `val_dataloader`",
        r".*module\(s\) in eval mode at the start",
        ".*smaller than the logging interval",
    )
    logger = logging.getLogger("lightning.pytorch")
    before = logger.level
    logger.setLevel(logging.WARNING)
    try:
        with unheard(*told, *of_faces):
            yield
    finally:
        logger.setLevel(before)
