"""HenzeZirkler: whether all codes together are Gaussian."""

from __future__ import annotations

import lightning.pytorch as pl

from vae_lightning import metrics
from vae_lightning.batches import Batch
from vae_lightning.callbacks.base import MetricDiagnostic
from vae_lightning.callbacks.requirements import check_size, require_latent_variable_model
from vae_lightning.latent_variable import Draw


class HenzeZirkler(MetricDiagnostic):
    """Logs `henze_zirkler`, how far the aggregated posterior is from any Gaussian, and what to compare it with.

    The Henze-Zirkler statistic of one z ~ q(z | x) for each observation, which is a sample of q(z) = E_x q(z | x): an
    integrated squared distance between its characteristic function, standardised, and the Gaussian's. No unit;
    between 0 and 4 n. Beside it, from the law it has for n Gaussian codes: the mean `henze_zirkler_null`, the 5 % point
    `henze_zirkler_critical`, and `henze_zirkler_p`, the probability of as much or more if the codes were Gaussian.
    Above the critical value the codes are not distributed as a Gaussian prior is, and samples from it will suffer.

    It does not change under affine maps, so it sees neither a wrong mean nor a wrong scale; `marginal_kl` of
    `ELBOSurgery` sees both. It tells little in many dimensions: from about ten on any two codes are far apart and the
    statistic stays near 1. Reads the evaluation's own samples; costs n^2 kernels, 0.1 s for 2,000 codes.

    TypeError at setup for discrete codes.

    Source: Henze, Zirkler, A Class of Invariant Consistent Tests for Multivariate Normality (1990); as a constraint on
    VAEs: Yacoby, Pan, Doshi-Velez, Characterizing and Avoiding Problematic Global Optima of Variational Autoencoders
    (2019), Eq. 44.

    Args:
        limit: test the split's first so many codes; null for all.
        chunk: rows of the n x n kernel held at once.
        every_n_epochs: in `fit`, watch the validation of every n-th epoch; `validate` and `test` always.
    """

    metric: metrics.HenzeZirkler

    def __init__(self, limit: int | None = 2_000, chunk: int = 512, every_n_epochs: int = 10) -> None:
        super().__init__(metrics.HenzeZirkler(chunk, limit), every_n_epochs)

    def setup(self, trainer: pl.Trainer, pl_module: pl.LightningModule, stage: str) -> None:
        """Say before the first epoch, not after it, that no code is Gaussian."""
        posterior = require_latent_variable_model(self, pl_module).encoder.prototype()
        if not posterior.has_rsample:  # as all continuous families here have
            raise TypeError(
                f"HenzeZirkler asks whether codes are Gaussian, and those of {type(pl_module).__name__} are discrete, "
                f"q(z | x) being {posterior}: leave this callback out"
            )
        check_size(self, trainer, stage, 2)

    def observe(self, trainer: pl.Trainer, module: pl.LightningModule, draw: Draw, batch: Batch) -> None:
        """Keep a code for each observation of the batch."""
        self.metric.update(draw.z[0].flatten(1))
