"""LogLikelihood: importance-weighted bounds on log p(x) of a model, in validation and test."""

from __future__ import annotations

from collections.abc import Sequence

import lightning.pytorch as pl
from torch import Tensor
from torch.distributions import Distribution

from vae_lightning import metrics
from vae_lightning.batches import Batch
from vae_lightning.callbacks.base import MetricDiagnostic
from vae_lightning.callbacks.requirements import require_latent_variable_model, require_normalised
from vae_lightning.inference.importance import Posterior, Proposal, log_weights
from vae_lightning.latent_variable import Draw


class LogLikelihood(MetricDiagnostic):
    """Estimates the log-likelihood by importance sampling: L_K, which rises with K from the ELBO to log p(x).

        L_K = 1/N sum_n log 1/K sum_k p(x_n, z_nk) / q(z_nk | x_n),     z_nk ~ q(z | x_n)

    in nats per observation, constants included; higher is better. Logs, for each split:
    `log_likelihood`, L_K of the largest K; `log_likelihood_k{K}` of each K, for K = 1 as `elbo`; `jackknife` (JVI),
    with the bias of order 1/K removed, no longer a bound; each with its standard error over data and samples,
    `..._error`, and `log_likelihood_sampling_error` over the samples alone, by leaving each of them out: for small K
    rather too large than too small (1.3 times at K = 2, 1.03 at K = 20), for K = 1 null. `effective_sample_size` and
    `effective_sample_fraction` are of the largest K: where few samples count, the bound is loose, and no error tells of
    what no sample met; then raise K or widen the proposal.

    Costs K evaluations of the decoder per observation, in large batches, and one of the encoder; memory does not grow
    with K. Any model with an encoder, a decoder and a prior will do, with continuous or binary codes. `test` and
    `validate` use Ks; the validations of `fit` use the cheaper fit_Ks on every fiftieth epoch.

    TypeError at setup for a model without encoder and decoder, a posterior without a normaliser, such as GibbsMRF, and
    a proposal that cannot be made of it.

    Source: Burda et al., Importance Weighted Autoencoders (2016), Eq. 8; Nowozin, Debiasing Evidence Approximations
    (2018); the inflated proposal: Yacoby, Pan, Doshi-Velez, Characterizing and Avoiding Problematic Global Optima of
    Variational Autoencoders (2019), Eq. 48.

    Args:
        Ks: numbers of samples in `validate` and `test`; the largest costs as many rows of the decoder an observation.
        fit_Ks: the same for the validations of `fit`.
        every_n_epochs: in `fit`, watch the validation of every n-th epoch.
        proposal: what samples are drawn from: `vae_lightning.objectives.Posterior`, the default, or `Inflated`.
        chunk: rows of the decoder at once, by default as many as emit 2 million numbers, 32 million on a GPU.
    """

    metric: metrics.LogLikelihood

    def __init__(
        self,
        Ks: Sequence[int] = (1, 50, 1000),
        fit_Ks: Sequence[int] = (1, 10, 100),
        every_n_epochs: int = 50,
        proposal: Proposal | None = None,
        chunk: int | None = None,
    ) -> None:
        if chunk is not None and chunk < 1:
            raise ValueError(f"LogLikelihood needs chunk >= 1 rows of the decoder at once, got {chunk}")
        self.full, self.in_fit = metrics.LogLikelihood(Ks), metrics.LogLikelihood(fit_Ks)
        super().__init__(self.full, every_n_epochs)
        self.proposal, self.chunk = proposal or Posterior(), chunk

    def setup(self, trainer: pl.Trainer, pl_module: pl.LightningModule, stage: str) -> None:
        """Say before the first epoch when the model does not fit."""
        posterior = require_latent_variable_model(self, pl_module).encoder.prototype()
        require_normalised(self, posterior)
        require_proposal(self.proposal, posterior)

    def begin(self, trainer: pl.Trainer, module: pl.LightningModule) -> None:
        """Take the numbers of samples that are of this stage."""
        self.metric = self.in_fit if trainer.state.fn == "fit" else self.full
        super().begin(trainer, module)

    def observe(self, trainer: pl.Trainer, module: pl.LightningModule, draw: Draw, batch: Batch) -> None:
        """Draw samples of this batch."""
        model = require_latent_variable_model(self, module)
        for part in log_weights(model, draw.x, self.metric.Ks[-1], self.proposal, chunk=self.chunk):
            self.metric.update(part)

    def figures(self) -> dict[str, Tensor]:
        """The metric's figures; L_1 is called the ELBO where samples are from the posterior itself."""
        figures = self.metric.compute()
        if self.proposal.is_posterior:
            figures = {name.replace("log_likelihood_k1_", "elbo_"): value for name, value in figures.items()}
            figures = {"elbo" if name == "log_likelihood_k1" else name: value for name, value in figures.items()}
        return figures


def require_proposal(proposal: Proposal, posterior: Distribution) -> None:
    """TypeError for a posterior that the proposal cannot be made of."""
    proposal(posterior)
