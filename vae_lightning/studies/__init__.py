"""Studies: a paper's experiment, run and put beside the paper: its table, its picture, its logs."""

from __future__ import annotations

import logging
import warnings
from importlib import import_module
from pathlib import Path
from typing import Literal

from vae_lightning.files import expanded

StudyName = Literal["documents", "libi", "mixture", "priors", "tradeoff"]
Scale = Literal["quick", "medium", "full"]

STUDIES: dict[StudyName, str] = {
    "documents": "vae_lightning.studies.documents",
    "libi": "vae_lightning.studies.libi",
    "mixture": "vae_lightning.studies.mixture",
    "priors": "vae_lightning.studies.priors",
    "tradeoff": "vae_lightning.studies.tradeoff",
}
"""Where each study's function of the same name is; imported only when it runs, so that asking for help is quick."""


def reproduce(study: StudyName, scale: Scale = "medium", out: Path | None = None, seed: int = 0) -> None:
    """Run a paper's experiment and put its figures beside the paper's.

    Args:
        study: which experiment. documents: RBM against VAE on 20 Newsgroups at 8 to 64 bits and on few data, and
            whether the best VAE is an RBM, as section 4.3 of VAE Approximation Error (2022) says.
            libi: Table 1 and Figures 1 to 5 of Characterizing and Avoiding Problematic Global Optima of Variational
            Autoencoders (2019), five methods in four worlds; goes on where it was interrupted; on all machines of the
            Ray cluster that RAY_ADDRESS names, if it is set.
            mixture: the artificial example of VAE Approximation Error (2022), section 4.1.
            priors: standard normal, mixture, VampPrior, aggregated posterior and IWAE on digits, as in the slides.
            tradeoff: likelihood against mismatch as the ELBO's weight moves, VAE Approximation Error's Fig. 1, exactly.
        scale: how much to compute: quick is for a look, full for the figures to quote.
        out: folder for results.json, table.md, pictures and TensorBoard logs; by default runs/reproduce/STUDY.
        seed: of the data, the initial weights and the order of training.
    """
    if study not in STUDIES:
        raise ValueError(f"there is no study {study!r}; there are {', '.join(STUDIES)}")
    import_module("vae_lightning.process").keep_large_buffers()
    _say_once()
    run = getattr(import_module(STUDIES[study]), study)
    run(scale, Path(expanded(str(out))) if out else Path("runs", "reproduce", study), seed)


def _say_once() -> None:
    """Keep Lightning from telling of every fit what it found: a study has dozens of them."""
    logging.getLogger("lightning.pytorch").setLevel(logging.WARNING)
    for message in ("Checkpoint directory .* exists", ".*does not have many workers", ".*treespec, LeafSpec"):
        warnings.filterwarnings("ignore", message)
