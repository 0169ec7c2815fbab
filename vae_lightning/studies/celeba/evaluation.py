"""A model and held-out images of the ground truth -> its bound, what the rate is made of, and how tight it is."""

from __future__ import annotations

from pathlib import Path

import lightning.pytorch as pl
import torch
from jaxtyping import Float
from torch import Tensor

from vae_lightning.batches import Batch
from vae_lightning.callbacks import ActiveUnits, Consistency, ELBOSurgery
from vae_lightning.callbacks.base import MetricDiagnostic
from vae_lightning.latent_variable import Draw
from vae_lightning.metrics.means import MeanWithError, with_errors
from vae_lightning.models import GaussianVAE
from vae_lightning.studies.celeba.data import Imagined
from vae_lightning.studies.celeba.networks import sigma_of
from vae_lightning.studies.cell_study import logs
from vae_lightning.studies.store import Figures
from vae_lightning.training import trainer

SHOWN = 8  # columns of a picture


class Bound(MeanWithError):
    """The ELBO in nats, its mean over observations with the standard error."""

    def __init__(self) -> None:
        super().__init__(("elbo",))

    def update(self, log_weight: Float[Tensor, "samples batch"]) -> None:
        """Add log p(x, z) / q(z | x) of a batch."""
        self.add({"elbo": log_weight.mean(0)})

    def compute(self) -> dict[str, Tensor]:
        """`elbo` and `elbo_error`."""
        return with_errors(self.estimates())


class BoundWithError(MetricDiagnostic):
    """Logs `elbo` and `elbo_error`, of the evaluation's own samples of z, as are the terms of `ELBOSurgery`."""

    metric: Bound

    def __init__(self) -> None:
        super().__init__(Bound())

    def observe(self, trainer: pl.Trainer, module: pl.LightningModule, draw: Draw, batch: Batch) -> None:
        """Add a batch."""
        self.metric.update(draw.log_weight)


def judged(module: GaussianVAE, data: Imagined, importance: int, folder: Path) -> Figures:
    """Figures of a model on the held-out images, in nats an image, in single precision, and its sigma.

    The noise of z is the same for all models. Their pictures go to TensorBoard, into the folder.
    """
    watchers = [BoundWithError(), ELBOSurgery(), ActiveUnits(), Consistency(importance)]
    (tested,) = trainer(logger=logs(folder), callbacks=watchers).test(module.eval(), data, verbose=False)
    found = {name.removeprefix("test/"): float(value) for name, value in tested.items() if name.startswith("test/")}
    return found | {"sigma": sigma_of(module)}


@torch.no_grad()
def reconstructed(module: GaussianVAE, x: Float[Tensor, "B C H W"]) -> dict[str, Float[Tensor, "B C H W"]]:
    """What the model makes of images: x ~ p(x | z) at the mean of q(z | x), and at a sample of it; in [-1, 1]."""
    q = module.eval().model.encoder(x)
    codes = {"from_means": q.mean, "from_samples": q.sample()}
    return {name: module.model.decoder(z).sample().clamp(-1, 1) for name, z in codes.items()}
