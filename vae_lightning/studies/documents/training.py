"""A cell of the study of documents -> its model trained, its best epoch chosen by validation, and tested: figures."""

from __future__ import annotations

import math
from pathlib import Path

import lightning.pytorch as pl
import torch

from vae_lightning.callbacks import AnnealedLikelihood, HammingPrecision, LogLikelihood
from vae_lightning.counts import Counts
from vae_lightning.data.base import InMemoryDataModule
from vae_lightning.models import RBM, HashingVAE
from vae_lightning.models.reproducible import ReproducibleModule
from vae_lightning.studies.cell_study import logs
from vae_lightning.studies.documents.cell import Cell, DocumentsSize
from vae_lightning.studies.documents.claim import rbm_of, vae_of
from vae_lightning.studies.documents.fewer import Fewer
from vae_lightning.studies.provenance import Settings
from vae_lightning.studies.store import Figures
from vae_lightning.studies.trainings import Trainings, keep_best
from vae_lightning.training import trainer

EXACT_BITS = 16


def train_and_judge(cell: Cell, size: DocumentsSize, seed: int, folder: Path, settings: Settings) -> Figures:
    """Train one model, take the epoch of the best validation bound, and test it; as the other kind too, if it can be.

    A training that is killed goes on in its last epoch; `settings` are what it depends on.

    The bound is the NELBO of a VAE, and of an RBM -log p(x), which is its NELBO too, as its posterior is exact.
    """
    pl.seed_everything(seed, verbose=False)
    data = Fewer(cell.domain.data(), cell.n, seed)
    data.setup()
    epochs = math.ceil(size.steps[cell.domain.name] / len(data.train_dataloader()))
    module = cell.domain.models[cell.model](cell.bits, epochs)
    if isinstance(module, RBM) and isinstance(x := data.train.x, Counts):
        start_as_a_vae(module, data, x)
    every = max(1, epochs // size.validations)
    trainings = Trainings(folder, settings, options={"check_val_every_n_epoch": every})
    trainings.fit(module, data, epochs, [keep_best("val/nelbo"), _bound(module, size)])
    trained, selected = module.trained_steps, trainings.restore_best(module)
    steps = {"steps": float(trained), "best_step": float(selected["global_step"])}
    found = steps | {"n": float(len(data.train))} | judged(module, data, size, folder)
    return found if cell.n else found | claimed(module, data, size, folder)


@torch.no_grad()
def start_as_a_vae(rbm: RBM, data: InMemoryDataModule, x: Counts) -> None:
    """Start the visible bias where `nn.WordLogits` does, every word counted once more than it occurs.

    How likely a word is that no training document holds decides the likelihood of few documents; it is to be the same.
    """
    rbm.start_once(data)
    counts = torch.bincount(x.indices, x.values, minlength=rbm.model.visible.num_parameters) + 1
    rbm.model.visible_bias.copy_((counts / counts.sum()).log())


def claimed(module: ReproducibleModule, data: Fewer, size: DocumentsSize, folder: Path) -> Figures:
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


def judged(module: ReproducibleModule, data: Fewer, size: DocumentsSize, folder: Path) -> Figures:
    """Test figures: the log-likelihood or its bound L_K, a VAE's ELBO, perplexities, and precision of retrieval."""
    x, among = data.test.x, min(100, len(data.train))
    retrieval = [HammingPrecision(among, every_n_epochs=1)] if isinstance(x, Counts) else []
    run = trainer(logger=logs(folder), callbacks=[_bound(module, size), *retrieval])
    (tested,) = run.test(module, data, verbose=False)
    found = {name.removeprefix("test/"): float(value) for name, value in tested.items() if name.startswith("test/")}
    found = {name.replace(f"precision@{among}", "precision"): value for name, value in found.items()}
    return found | perplexities(found, x) if isinstance(x, Counts) else found


def perplexities(found: Figures, x: Counts) -> Figures:
    """Perplexity a word, of what bounds of log p(x) there are; the orders of a document's words are left out."""
    bounds = {"perplexity": "log_likelihood", "elbo_perplexity": "elbo"}
    orders, words = x.log_arrangements.double().mean(), x.total.double().mean()
    return {name: float(((orders - found[of]) / words).exp()) for name, of in bounds.items() if of in found}


def _bound(module: ReproducibleModule, size: DocumentsSize) -> pl.Callback:
    """What estimates log p(x): by annealing of an RBM, by importance sampling of a VAE."""
    if isinstance(module, RBM):
        return AnnealedLikelihood(size.chains, size.ais_steps, max(size.ais_steps // 4, 1), EXACT_BITS)
    return LogLikelihood((1, size.samples), (1, 2), every_n_epochs=10**9)


def _named(prefix: str, figures: Figures) -> Figures:
    return {f"{prefix}/{name}": value for name, value in figures.items()}
