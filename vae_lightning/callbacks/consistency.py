"""Consistency: how far a VAE's encoder is from its posterior, and both its networks from a harmonium's."""

from __future__ import annotations

import lightning.pytorch as pl
import torch
from torch import Size, Tensor

from vae_lightning import metrics
from vae_lightning.batches import Batch
from vae_lightning.callbacks.base import MetricDiagnostic
from vae_lightning.callbacks.requirements import require_latent_variable_model, require_normalised, require_whole
from vae_lightning.conditional import OfFamily
from vae_lightning.consistency.exact import log_posteriors
from vae_lightning.consistency.fits import coupled_statistics, decoder_fit, natural_parameters
from vae_lightning.counts import Counts, select
from vae_lightning.distributions import HELD_BITS, PAIRED_BITS
from vae_lightning.families import ExponentialFamily
from vae_lightning.families.enumeration import states
from vae_lightning.inference.importance import log_weights
from vae_lightning.latent_variable import Draw, LatentVariableModel
from vae_lightning.metrics.affine_fit import Pairs

WIDE = 2048  # statistics: beyond, their covariances take more than 32 MB, and seldom are there more observations
NUMBERS = 2**22  # float64 ones that are held at once
_PRIOR_SAMPLES = 512


class Consistency(MetricDiagnostic):
    """How tight a VAE is, and how far from the harmoniums, the only VAEs that are tight without being deterministic.

        log p(x) - ELBO = KL(q(z | x) || p(z | x)), the mismatch; it is zero only if      (Theorem 1)
        decoder f(z) = W T(z) + u     and     encoder g(x) = W^T T(x) + v,      natural parameters affine in statistics

    Whatever the depth of the networks, training pulls f and g towards such maps, away from the best likelihood. Logs:

    `mismatch` = E[L_K - L_1] in nats per observation, the mean of log 1/K sum_k w_k - 1/K sum_k log w_k over the data:
    in expectation a lower bound on the mismatch; a tight one unless `mismatch_effective_sample_size` is near 1 (of K).
    `decoder_r2`, `encoder_r2`: the shares of f and g that affine maps explain, for z from the encoder and x from the
    split; 1 is affine. Each parameter counts with the variance of its statistic; adjusted for the number of pairs, and
    NaN for too few. Only statistics count that a harmonium can couple: a Gaussian's variance should be constant.
    `epsilon` (the mismatch, exactly), `alpha` (the least posterior probability) and `theorem_2_bound` (on the squared
    error of log p(x, z) of the nearest harmonium, nats^2): for codes of <= 16 bits of observations of <= 12 bits.
    `..._error`: standard errors, over data and samples.

    How to read them: small mismatch, R^2 near 1: consistent, an RBM would do. Small mismatch, low R^2: the VAE has
    become nearly deterministic (look at its sigma and at alpha), or the posterior has collapsed. Large mismatch: the
    encoder's family or network is too poor for this decoder; InferenceGaps tells which. See docs/guides/consistency.md.

    For bags of words and more than 2,048 statistics, where any encoder is affine on the few observations there are,
    `encoder_r2` is the fit on W^T T(x) and sum T(x), W being the decoder's own fit at samples of the prior: Theorem 1
    has the same W on both sides. A model without families, such as one of two levels, has a mismatch only.

    Costs K evaluations of the decoder per observation, and one more of both networks; memory grows with neither K nor
    the data. TypeError at setup for a model without encoder, decoder and prior, and for observations of which entries
    may be missing; ValueError for K < 2, or a latent of more than 2,048 statistics.

    Source: Shekhovtsov, Schlesinger, Flach, VAE Approximation Error: ELBO and Exponential Families (2022), Theorems 1
    and 2; Dai, Wipf, Diagnosing and Enhancing VAE Models (2019), for the deterministic limit.

    Args:
        num_samples: K, importance samples per observation.
        every_n_epochs: in `fit`, watch the validation of every n-th epoch; `validate` and `test` always.
    """

    metric: metrics.Consistency

    def __init__(self, num_samples: int = 100, every_n_epochs: int = 50) -> None:
        super().__init__(metrics.Consistency(), every_n_epochs)
        if num_samples < 2:
            raise ValueError(f"Consistency compares L_K with L_1 and needs num_samples K >= 2, got {num_samples}")
        self.num_samples = num_samples
        self.coupling: Tensor | None = None

    def setup(self, trainer: pl.Trainer, pl_module: pl.LightningModule, stage: str) -> None:
        """Say before the first epoch when the model does not fit; find out which figures it has."""
        model = require_latent_variable_model(self, pl_module)
        require_whole(self, model)
        require_normalised(self, model.encoder.prototype())
        families = families_of(model)
        if families is None:
            self.metric = metrics.Consistency()
            return
        latent, observed = families
        if (size := latent.num_parameters) > WIDE:
            raise ValueError(f"Consistency fits at most {WIDE} statistics of the latent, got {size}: use LogLikelihood")
        small = _bits(latent) <= HELD_BITS and _bits(observed) <= PAIRED_BITS
        fits = metrics.AffineFit(observed.coupled), metrics.AffineFit(latent.coupled)
        self.metric = metrics.Consistency(*fits, metrics.Tightness() if small else None)

    def begin(self, trainer: pl.Trainer, module: pl.LightningModule) -> None:
        """Reset the metric; for wide observations, see how the decoder couples them to the code."""
        super().begin(trainer, module)
        self.coupling, model = None, require_latent_variable_model(self, module)
        if (families := families_of(model)) and is_wide(families[1]):
            number = max(_PRIOR_SAMPLES, 4 * families[0].num_parameters)
            with torch.no_grad():
                fit = decoder_fit(model, model.prior().sample(Size([number])))
            self.coupling = fit.weight[families[1].coupled]

    def observe(self, trainer: pl.Trainer, module: pl.LightningModule, draw: Draw, batch: Batch) -> None:
        """Draw K samples of this batch, and see what both networks make of it."""
        model = require_latent_variable_model(self, module)
        for part in log_weights(model, draw.x, self.num_samples):
            self.metric.update(log_weight=part)
        if families := families_of(model):
            for rows in _chunks(draw, families, self.metric.tightness is not None):
                x, z = select(draw.x, rows), draw.z[:, rows.to(draw.z.device)]
                self.metric.update(None, *pairs(model, families, x, z, self.coupling))
                if self.metric.tightness is not None:
                    assert isinstance(x, Tensor), "observations of few bits are dense"
                    self.metric.update(posteriors=log_posteriors(model, x))


Families = tuple[ExponentialFamily, ExponentialFamily]


def families_of(model: LatentVariableModel) -> Families | None:
    """The latent and the observed family; None for a model that has not both."""
    encoder, decoder = model.encoder, model.decoder
    if isinstance(encoder, OfFamily) and isinstance(decoder, OfFamily):
        return encoder.family, decoder.family
    return None


def is_wide(observed: ExponentialFamily) -> bool:
    """Whether there are too many statistics to fit an encoder on."""
    return observed.has_length or observed.num_parameters > WIDE


def pairs(
    model: LatentVariableModel, families: Families, x: Tensor | Counts, z: Tensor, coupling: Tensor | None
) -> tuple[Pairs, Pairs]:
    """What the decoder's and the encoder's fit need of observations x (B, *X) and their codes z (S, B, *Z)."""
    latent, observed = families
    flat = z.flatten(0, 1)
    visible, seen = coupled_statistics(observed, x), observed.sufficient_statistics(x)  # type: ignore[arg-type]
    if coupling is not None:
        visible = torch.cat((visible @ coupling, visible.sum(1, keepdim=True)), 1)
    hidden = latent.sufficient_statistics(flat)
    decoder = Pairs(hidden[:, latent.coupled], natural_parameters(model.decoder, flat), seen)
    return decoder, Pairs(visible, natural_parameters(model.encoder, x), hidden)


def _chunks(draw: Draw, families: Families, exact: bool) -> tuple[Tensor, ...]:
    """Rows of the batch whose parameters, and posteriors if exact, are at most so many numbers."""
    latent, observed = families
    codes = 2 ** int(_bits(latent)) if exact else 0
    numbers = len(draw.z) * (observed.num_parameters + latent.num_parameters) + codes
    return torch.arange(draw.z.shape[1]).split(max(1, NUMBERS // numbers))


def _bits(family: ExponentialFamily) -> float:
    found = states(family)
    return float("inf") if found is None else found.bits
