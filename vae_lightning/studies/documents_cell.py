"""One cell of the study of documents: a model is trained, its best epoch chosen by validation, and tested."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import lightning.pytorch as pl
import torch
from lightning.pytorch.callbacks import ModelCheckpoint
from lightning.pytorch.loggers import TensorBoardLogger

from vae_lightning.callbacks import AnnealedLikelihood, AtomicCheckpointIO, HammingPrecision, LogLikelihood
from vae_lightning.counts import Counts
from vae_lightning.models import RBM, HashingVAE
from vae_lightning.studies.cells import Figures
from vae_lightning.studies.documents_claim import rbm_of, vae_of
from vae_lightning.studies.documents_worlds import World
from vae_lightning.studies.fewer import Fewer
from vae_lightning.trust import read_checkpoint

EXACT_BITS = 16


@dataclass(frozen=True)
class Size:
    """How much is computed at a scale."""

    steps: dict[str, int]  # of training, at least, for each world
    validations: int
    seeds: int
    bits: tuple[int, ...]
    few: dict[str, tuple[int | None, ...]]  # training observations of the curves; None is all
    samples: int  # K of a VAE's test log-likelihood
    chains: int
    ais_steps: int


def run_cell(world: World, model: str, bits: int, n: int | None, size: Size, seed: int, folder: Path) -> Figures:
    """Train one model, take the epoch of the best validation bound, and test it; as the other kind too, if it can be.

    The bound is the NELBO of a VAE, and of an RBM -log p(x), which is its NELBO too, as its posterior is exact.
    """
    pl.seed_everything(seed, verbose=False)
    data = Fewer(world.data(), n, seed)
    data.setup()
    epochs = math.ceil(size.steps[world.name] / len(data.train_dataloader()))
    module = world.models[model](bits, epochs)
    if isinstance(module, RBM) and isinstance(x := data.train.x, Counts):
        start_as_a_vae(module, data, x)
    best = ModelCheckpoint(folder, "best", "val/nelbo", mode="min", enable_version_counter=False)
    fitting = _trainer(folder, [best, *_bound(module, size)], epochs, max(1, epochs // size.validations))
    fitting.fit(module, data)
    selected = read_checkpoint(Path(best.best_model_path))
    module.load_state_dict(selected["state_dict"])
    found = {
        "steps": float(fitting.global_step),
        "best_step": float(selected["global_step"]),
        "n": float(len(data.train)),
    }
    found |= judged(module, data, size, folder)
    return found if n else found | claimed(module, data, size, folder)


@torch.no_grad()
def start_as_a_vae(rbm: RBM, data: Fewer, x: Counts) -> None:
    """Start the visible bias where `nn.WordLogits` does, every word counted once more than it occurs.

    How likely a word is that no training document holds decides the likelihood of few documents; it is to be the same.
    """
    rbm.start(data)
    rbm.started = True
    counts = torch.bincount(x.indices, x.values, minlength=rbm.model.visible.num_parameters) + 1
    rbm.model.visible_bias.copy_((counts / counts.sum()).log())


def claimed(module: Any, data: Fewer, size: Size, folder: Path) -> Figures:
    """Figures of a VAE of documents as an RBM, and of an RBM of documents as a VAE: `as_.../...`."""
    x = data.train.x
    if isinstance(module, HashingVAE):
        assert isinstance(x, Counts), "documents are sparse"
        rbm, curvature = rbm_of(module, x)
        tied = judged(vae_of(rbm), data, size, folder)
        found = _named("as_rbm", judged(rbm, data, size, folder)) | _named("tied", tied)
        return found | {"curvature": curvature}
    if isinstance(module, RBM) and isinstance(x, Counts):
        return _named("as_vae", judged(vae_of(module), data, size, folder))
    return {}


def judged(module: Any, data: Fewer, size: Size, folder: Path) -> Figures:
    """Test figures: the log-likelihood or its bound L_K, a VAE's ELBO, perplexities, and precision of retrieval."""
    documents = isinstance(data.train.x, Counts)
    among = min(100, len(data.train))
    watchers = [*_bound(module, size), *([HammingPrecision(among, every_n_epochs=1)] if documents else [])]
    tested = _trainer(folder, watchers).test(module, data, verbose=False)[0]
    found = {name.removeprefix("test/"): float(value) for name, value in tested.items() if name.startswith("test/")}
    found = {name.replace(f"precision@{among}", "precision"): value for name, value in found.items()}
    x = data.test.x
    if isinstance(x, Counts):
        for name, bound in {"perplexity": "log_likelihood", "elbo_perplexity": "elbo"}.items():
            if bound in found:
                word = x.log_arrangements.double().mean() - found[bound]
                found[name] = float((word / x.total.double().mean()).exp())
    return found


def _bound(module: Any, size: Size) -> list[pl.Callback]:
    if isinstance(module, RBM):
        return [AnnealedLikelihood(size.chains, size.ais_steps, max(size.ais_steps // 4, 1), EXACT_BITS)]
    return [LogLikelihood((1, size.samples), (1, 2), every_n_epochs=10**9)]


def _trainer(folder: Path, callbacks: Sequence[pl.Callback], epochs: int = 1, validate_every: int = 1) -> pl.Trainer:
    return pl.Trainer(
        accelerator="auto",
        devices=1,
        max_epochs=epochs,
        check_val_every_n_epoch=validate_every,
        callbacks=list(callbacks),
        plugins=[AtomicCheckpointIO()],
        enable_checkpointing=any(isinstance(each, ModelCheckpoint) for each in callbacks),
        logger=TensorBoardLogger(folder, "tensorboard", version="") if len(callbacks) > 1 else False,
        enable_progress_bar=False,
        enable_model_summary=False,
        use_distributed_sampler=False,
        num_sanity_val_steps=0,
        log_every_n_steps=20,
    )


def _named(prefix: str, figures: Figures) -> Figures:
    return {f"{prefix}/{name}": value for name, value in figures.items()}
