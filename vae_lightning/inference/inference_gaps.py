"""Inference gaps: how much of log p(x) - ELBO is the posterior's family, and how much the encoder."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
import torch.distributions as td
from jaxtyping import Float, Float64
from torch import Tensor, nn

from vae_lightning.conditional import OfFamily
from vae_lightning.counts import Counts, device_of, select
from vae_lightning.distributions import displaced, family_name, parameters
from vae_lightning.estimators import GradientEstimator, Reparameterised, mean
from vae_lightning.inference.importance import Posterior, Proposal, log_weights_of
from vae_lightning.latent_variable import LatentVariableModel
from vae_lightning.metrics.functional.importance import importance_weighted_bound
from vae_lightning.process import without_asking
from vae_lightning.randomness import Noise, seeded


class FreePosterior(nn.Module):
    """q of the same family as a given one, with parameters of its own for each observation, that starts from it.

    Gaussians: N(mean + sigma a, (sigma e^b)^2), so that a step of a is in units of the deviation; bits: logits + a.
    Where the family's scale is known, b stays 0. TypeError for a q of neither kind.

    Examples:
        >>> import torch
        >>> from vae_lightning.families import Normal
        >>> from vae_lightning.inference import FreePosterior
        >>> q = Normal(2, scale=1.0).distribution(torch.zeros(5, 2))
        >>> free = FreePosterior(q)
        >>> [tuple(p.shape) for p in free.parameters()], torch.equal(free().mean, q.mean)
        ([(2, 5, 2)], True)
    """

    def __init__(self, q: td.Distribution, known_scale: bool = False) -> None:
        super().__init__()
        self.start, known = q, parameters(q)
        if not known:
            raise TypeError(f"inference gaps need a posterior of independent Gaussians or bits, got {family_name(q)}")
        learned = 1 if known_scale else len(known)
        self.theta = nn.Parameter(torch.zeros(learned, *known[0].shape).to(known[0]))
        self.still = torch.zeros(len(known) - learned, *known[0].shape).to(known[0])

    def forward(self) -> td.Independent[Any]:
        """The q."""
        return displaced(self.start, torch.cat((self.theta, self.still)))


@dataclass(frozen=True, eq=False)
class InferenceGaps:
    """Log p(x), the ELBO of the family's best q and of the encoder's q: nats, one value per observation.

    Examples:
        >>> import torch
        >>> from vae_lightning.families import Normal
        >>> from vae_lightning.inference import inference_gaps
        >>> from vae_lightning.models import GaussianVAE
        >>> _ = torch.manual_seed(0)
        >>> gaps = inference_gaps(GaussianVAE(1, Normal(3, 1.0)).model, torch.randn(4, 3), num_samples=100, steps=100)
        >>> gaps.amortisation.shape, gaps.approximation.abs().max() < 0.05  # a linear decoder's posterior is Gaussian
        (torch.Size([4]), tensor(True))
    """

    log_likelihood: Float64[Tensor, " batch"]
    optimised: Float64[Tensor, " batch"]
    amortised: Float64[Tensor, " batch"]

    @property
    def approximation(self) -> Float64[Tensor, " batch"]:
        """Log p(x) - ELBO(q*): what the family cannot express."""
        return self.log_likelihood - self.optimised

    @property
    def amortisation(self) -> Float64[Tensor, " batch"]:
        """ELBO(q*) - ELBO(q_phi): what the encoder leaves on the table."""
        return self.optimised - self.amortised


def inference_gaps(
    model: LatentVariableModel,
    x: Tensor | Counts,
    estimator: GradientEstimator | None = None,
    steps: int = 300,
    learning_rate: float = 0.1,
    num_samples: int = 1000,
    proposal: Proposal | None = None,
) -> InferenceGaps:
    """Cut log p(x) - ELBO of each observation in two, by fitting it a posterior of its own.

        log p(x) - ELBO(q_phi)  =  log p(x) - ELBO(q*)  +  ELBO(q*) - ELBO(q_phi)
                                    approximation gap       amortisation gap

    q* maximises the ELBO over the family, from the encoder's q_phi, by Adam whose steps fall to zero by half a cosine;
    the model's weights stay as they are. Where other samples say that q_phi was better, it stays. Both ELBOs are of the
    same noise. Two errors remain: log p(x) is L_K from q*, a lower bound, which makes the approximation gap too small;
    and after finite steps on noisy gradients q* is not yet the family's best, which makes the approximation gap too
    large and the amortisation gap too small by as much. More samples mend the first, more steps the second.

    Args:
        model: in evaluation mode.
        x: (B, *X), or B rows of counts.
        estimator: of the ELBO's gradient; by default the reparameterised one of 16 samples. Bits need another.
        steps: of Adam.
        learning_rate: its first step, in deviations of q_phi (Gaussians), log-deviations or logits.
        num_samples: K, of L_K and of the ELBOs.
        proposal: what L_K is sampled from in place of q*.

    TypeError for a posterior that is neither Gaussians nor bits, or that the estimator does not take. ValueError for
    steps or num_samples below 1.

    Source: Cremer, Li, Duvenaud, Inference Suboptimality in Variational Autoencoders (2018), Eqs 5 and 6.
    """
    if min(steps, num_samples) < 1:
        raise ValueError(f"inference gaps need steps >= 1 and num_samples >= 1, got {steps} and {num_samples}")
    estimator, proposal = estimator or Reparameterised(16), proposal or Posterior()
    with torch.inference_mode(False), torch.no_grad(), torch.autocast(device_of(x).type, enabled=False):
        x = select(x, torch.arange(len(x)))  # out of inference mode
        amortised = model.encoder(x)
        free = FreePosterior(amortised, _knows_scale(model.encoder))
        estimator.check(amortised)
        fit(free, model, x, estimator, steps, learning_rate)

        def log_weight(q: td.Distribution, *key: str | int) -> Tensor:
            with seeded("inference gaps", *key):
                return log_weights_of(model, x, q, num_samples, Noise())

        key = int(torch.randint(2**62, ()))
        better = log_weight(free(), key, "choice").mean(0) >= log_weight(amortised, key, "choice").mean(0)
        free.theta[:, ~better] = 0
        start, best = log_weight(amortised, key), log_weight(free(), key)
        wide = best if proposal.is_posterior else log_weight(proposal(free()), key)
    return InferenceGaps(importance_weighted_bound(wide), best.mean(0), start.mean(0))


def _knows_scale(encoder: object) -> bool:
    return isinstance(encoder, OfFamily) and not encoder.family.log_scales


def fit(
    free: FreePosterior,
    model: LatentVariableModel,
    x: Tensor | Counts,
    estimator: GradientEstimator,
    steps: int,
    learning_rate: float,
) -> None:
    """Maximise the ELBO of each observation in its own parameters."""
    adam = without_asking(torch.optim.Adam(free.parameters(), lr=learning_rate))
    decay = torch.optim.lr_scheduler.CosineAnnealingLR(adam, steps)
    prior = model.prior()
    for _ in range(steps):
        with torch.enable_grad():
            q = free()
            loss = -estimator(q, partial(integrand, model, prior, x, q, estimator.pathwise), mean).sum()
        (free.theta.grad,) = torch.autograd.grad(loss, free.theta)
        adam.step()
        decay.step()


def integrand(
    model: LatentVariableModel,
    prior: td.Distribution,
    x: Tensor | Counts,
    q: td.Distribution,
    pathwise: bool,
    z: Tensor,
) -> Float[Tensor, "samples batch"]:
    """Log p(x, z) / q(z); the score of q has no mean and is left out where the gradient has another way."""
    log_likelihood = model.log_likelihood(x, z)
    log_posterior = q.log_prob(z) if pathwise else q.log_prob(z).detach()
    return log_likelihood + prior.log_prob(z) - log_posterior
