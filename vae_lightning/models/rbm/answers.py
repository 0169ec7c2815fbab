"""HarmoniumAnswers: what an RBM is asked: its codes, observations, samples, scores and missing entries."""

from __future__ import annotations

from collections.abc import Callable

import torch
from jaxtyping import Bool
from torch import Size, Tensor
from torch.distributions import Distribution

from vae_lightning.batches import Batch, observations
from vae_lightning.counts import Counts
from vae_lightning.data.loaders import Observations
from vae_lightning.harmonium.chains import evenly
from vae_lightning.harmonium.harmonium import Harmonium
from vae_lightning.harmonium.phase import NegativePhase
from vae_lightning.inference import HarmoniumScorer, Imputed, Scores, harmonium_imputed
from vae_lightning.inference.scores import sizes_of
from vae_lightning.models.rbm.conditioned import Conditioned
from vae_lightning.models.reproducible import ReproducibleModule

SCORED, FILLED = 100, 20
"""Chains that annealing takes for log Z, and Gibbs chains of each row with missing entries."""


class HarmoniumAnswers(ReproducibleModule):
    """A trained harmonium's answers; how it is trained is left open."""

    model: Harmonium
    algorithm: NegativePhase
    sampling_steps: int
    totals: Tensor
    independent_bias: Tensor  # the visible bias that fits the training data with W = 0: where annealing starts

    @torch.no_grad()
    def simulate(self, n: int) -> Conditioned:
        """P(v | h) after `sampling_steps` of Gibbs sampling, from the persistent chains where there are any.

        Documents have the training documents' lengths, evenly spaced.
        """
        model = self.model
        if model.has_lengths:
            model = model.given(evenly(self.totals, n))
        v = model.visible.sample(model.visible_natural(self.algorithm.starts(model, n)))
        if self.sampling_steps > 1:
            v = model.gibbs(v, self.sampling_steps - 1)
        return Conditioned(model.visible, model.visible_natural(model.hidden.sample(model.hidden_natural(v))))

    def scorer(self, rows: Observations, samples: int | None) -> Callable[[Tensor | Counts], Scores]:
        """By one log Z: exact where one side has few values, else of so many chains of annealing, 100 by default."""
        sizes = sizes_of(self.model, rows.x).to(self.model.weight)
        return HarmoniumScorer.of(
            self.model, sizes, SCORED if samples is None else samples, start=self.independent_bias
        )

    def imputed(self, x: Tensor, samples: int | None) -> Imputed:
        """By so many Gibbs chains of each row, 20 by default."""
        return harmonium_imputed(self.model, x, FILLED if samples is None else samples)

    @property
    def code_shape(self) -> Size:
        """(*Z) of h."""
        return self.model.hidden.event_shape

    def posterior(self, x: Tensor | Counts) -> Distribution:
        """P(h | v), exactly."""
        return self.model.hidden_given(x)

    def likelihood(self, z: Tensor) -> Distribution:
        """P(v | h); of documents that of one word."""
        model = self.model.given(z.new_ones(len(z))) if self.model.has_lengths else self.model
        return model.visible_given(z)

    @torch.no_grad()
    def hashes(self, x: Tensor | Counts) -> Bool[Tensor, "rows bits"]:
        """The most probable code of each observation; TypeError where h is not independent bits, given v."""
        if not self.model.hidden.independent_bits:
            raise TypeError(f"codes are hidden bits, use Bernoulli(m) for them; h is {self.model.hidden!r}")
        return self.model.hidden_natural(x) > 0

    def predict_step(self, batch: Batch, batch_idx: int) -> Bool[Tensor, "rows bits"]:
        """Codes."""
        return self.hashes(observations(batch))
