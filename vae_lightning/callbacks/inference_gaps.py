"""InferenceGaps: the ELBO's distance to log p(x), cut into the family's part and the encoder's."""

from __future__ import annotations

import lightning.pytorch as pl
import torch
import torch.distributions as td

from vae_lightning import metrics
from vae_lightning.batches import Batch
from vae_lightning.callbacks.base import MetricDiagnostic
from vae_lightning.callbacks.log_likelihood import require_proposal
from vae_lightning.callbacks.requirements import require_latent_variable_model
from vae_lightning.counts import select
from vae_lightning.estimators import GradientEstimator, Reparameterised
from vae_lightning.inference.importance import Posterior, Proposal
from vae_lightning.inference.inference_gaps import FreePosterior, inference_gaps
from vae_lightning.latent_variable import Draw


class InferenceGaps(MetricDiagnostic):
    """Says whether a loose ELBO is the fault of the posterior's family or of the encoder.

        log p(x) - ELBO(q_phi)  =  log p(x) - ELBO(q*)  +  ELBO(q*) - ELBO(q_phi)
                                    approximation gap       amortisation gap

    in nats, with q* of the encoder's family but fitted to each observation on its own. Logs `approximation_gap` (a
    richer family would help) and `amortisation_gap` (a larger or better trained encoder would), each with its standard
    error over the data, `..._error`. log p(x) is L_K from q*, a lower bound, which makes the first too small: raise
    `num_samples`. A q* that is not yet the family's best makes the first too large and the second too small: raise
    `steps`.

    Works on the first `per_batch` observations of every evaluation batch. For each it costs `steps` gradient steps of
    the estimator's samples and 4 num_samples evaluations of the decoder. Therefore it runs in `validate` and `test`,
    and in `fit` only if told every how many epochs. The model's weights stay as they are.

    TypeError at setup for a model without encoder and decoder, for a posterior that is neither independent Gaussians
    nor bits, or that the estimator does not take: for bits give `vae_lightning.estimators.LeaveOneOut`.

    Source: Cremer, Li, Duvenaud, Inference Suboptimality in Variational Autoencoders (2018), Eqs 5 and 6.

    Args:
        per_batch: how many observations of each batch; a gap is a mean over them, in nats.
        steps: of Adam, for each observation's own posterior, of 16 samples by default.
        learning_rate: of Adam, falling to zero; in deviations of the encoder's posterior, or logits.
        estimator: of the ELBO's gradient; by default `Reparameterised(16)`.
        num_samples: K, of L_K and of both ELBOs.
        proposal: what L_K is sampled from: q*, the default, or `vae_lightning.objectives.Inflated` to widen it.
        every_n_epochs: in `fit`, watch the validation of every n-th epoch; by default never.
    """

    metric: metrics.InferenceGaps

    def __init__(
        self,
        per_batch: int = 16,
        steps: int = 300,
        learning_rate: float = 0.1,
        estimator: GradientEstimator | None = None,
        num_samples: int = 1000,
        proposal: Proposal | None = None,
        every_n_epochs: int | None = None,
    ) -> None:
        super().__init__(metrics.InferenceGaps(), 1 if every_n_epochs is None else every_n_epochs)
        for name, value in {"per_batch": per_batch, "steps": steps, "num_samples": num_samples}.items():
            if value < 1:
                raise ValueError(f"InferenceGaps needs {name} >= 1, got {value}")
        self.in_fit = every_n_epochs is not None
        self.per_batch, self.steps, self.learning_rate, self.num_samples = per_batch, steps, learning_rate, num_samples
        self.estimator, self.proposal = estimator or Reparameterised(16), proposal or Posterior()

    def due(self, trainer: pl.Trainer) -> bool:
        """Whether to watch this evaluation: one within `fit` only if that was asked for."""
        return super().due(trainer) and (self.in_fit or trainer.state.fn != "fit")

    def setup(self, trainer: pl.Trainer, pl_module: pl.LightningModule, stage: str) -> None:
        """Say before the first epoch when the model does not fit."""
        prototype = require_latent_variable_model(self, pl_module).encoder.prototype()
        require_free_posterior(prototype)
        self.estimator.check(prototype)
        require_proposal(self.proposal, prototype)

    def observe(self, trainer: pl.Trainer, module: pl.LightningModule, draw: Draw, batch: Batch) -> None:
        """Fit posteriors to a few observations of this batch."""
        model = require_latent_variable_model(self, module)
        x = select(draw.x, torch.arange(min(self.per_batch, len(draw.x))))
        gaps = inference_gaps(model, x, self.estimator, self.steps, self.learning_rate, self.num_samples, self.proposal)
        self.metric.update(gaps.log_likelihood, gaps.optimised, gaps.amortised)


def require_free_posterior(posterior: td.Distribution) -> None:
    """TypeError for a posterior that is not of a family whose members can be fitted to single observations."""
    FreePosterior(posterior)
