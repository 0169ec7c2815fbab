"""ResampledPosterior: a model and observations -> q_EW, the posterior that importance weighting implies."""

from __future__ import annotations

import torch
import torch.distributions as td
from jaxtyping import Float
from torch import Size, Tensor

from vae_lightning.counts import Counts
from vae_lightning.distributions import sample
from vae_lightning.inference.importance import rows_at_once
from vae_lightning.latent_variable import LatentVariableModel
from vae_lightning.metrics.functional.resampled import resample, resampled_log_prob
from vae_lightning.randomness import Noise


class ResampledPosterior(td.Distribution):
    """q_EW(z | x): draw K samples of q(z | x), keep one with probability proportional to its weight p(x, z) / q(z | x).

    From q at K = 1 it tends to the true posterior as K grows. Training by the IWAE objective makes this one good rather
    than q: sample codes from it. Its ELBO is at least L_K. `model.draw(x, resampled, z)` takes it as a posterior.

    Batch shape (B,), event shape Z. `sample` costs K evaluations of the decoder each; `log_prob` is an unbiased
    estimate of the density by averaging over `replicates` draws of the other K - 1 samples, the same for all points of
    a call, and costs one evaluation a point and replicates * (K - 1) more an observation.

    Args:
        model: encoder, decoder and prior.
        x: (B, *X), or B rows of counts.
        num_samples: K.
        replicates: of the other samples, for the density.

    ValueError for fewer than one sample or replicate.

    Source: Cremer, Morris, Duvenaud, Reinterpreting Importance-Weighted Autoencoders (2017).

    Examples:
        >>> import torch
        >>> from vae_lightning.families import Bernoulli
        >>> from vae_lightning.inference import ResampledPosterior
        >>> from vae_lightning.models import GaussianVAE
        >>> q = ResampledPosterior(GaussianVAE(2, Bernoulli(6)).model, torch.ones(5, 6), num_samples=20)
        >>> q.sample(torch.Size([3])).shape
        torch.Size([3, 5, 2])
    """

    def __init__(self, model: LatentVariableModel, x: Tensor | Counts, num_samples: int, replicates: int = 100) -> None:
        if min(num_samples, replicates) < 1:
            raise ValueError(
                f"ResampledPosterior needs num_samples >= 1 and replicates >= 1, got {num_samples} and {replicates}"
            )
        self.model, self.x, self.num_samples, self.replicates = model, x, num_samples, replicates
        with torch.no_grad():
            self.posterior = model.encoder(x)
        super().__init__(self.posterior.batch_shape, self.posterior.event_shape, validate_args=False)

    @torch.no_grad()
    def sample(self, sample_shape: Size = Size()) -> Tensor:  # type: ignore[override]  # noqa: B008
        """(*S, B, *Z), without gradient."""
        number = Size(sample_shape).numel()
        drawn = [self._resampled() for _ in range(number)]
        return torch.stack(drawn).unflatten(0, sample_shape) if sample_shape else drawn[0]

    def _resampled(self) -> Tensor:
        z = sample(self.posterior, self.num_samples, Noise())
        return resample(z, self._log_terms(z)[1])

    @torch.no_grad()
    def log_prob(self, z: Float[Tensor, "points batch *latent"]) -> Float[Tensor, "points batch"]:
        """An estimate of log q_EW(z | x) in nats, without gradient."""
        log_joint, log_weight = self._log_terms(z)
        number = (self.num_samples - 1) * self.replicates
        others = self._log_terms(sample(self.posterior, number, Noise()))[1] if number else log_weight[:0]
        others = others.reshape(self.num_samples - 1, self.replicates, log_weight.shape[1])
        columns = zip(log_joint.unbind(1), log_weight.unbind(1), others.unbind(2), strict=True)
        return torch.stack([resampled_log_prob(*column) for column in columns], 1)

    def _log_terms(self, z: Float[Tensor, "points batch *latent"]) -> tuple[Tensor, Tensor]:
        """Log p(x, z) and log w(z), some rows of the decoder at a time."""
        parts = z.split(max(1, rows_at_once(self.model, z) // z.shape[1]))
        draws = [self.model.draw(self.x, self.posterior, part) for part in parts]
        log_joint = torch.cat([draw.log_likelihood + draw.log_prior for draw in draws])
        return log_joint, log_joint - torch.cat([draw.log_posterior for draw in draws])
