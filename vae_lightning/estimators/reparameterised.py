"""Reparameterised: the gradient through the sample."""

from __future__ import annotations

import torch.distributions as td
from jaxtyping import Float
from torch import Tensor

from vae_lightning.distributions import family_name, rsample
from vae_lightning.estimators.base import Aggregate, GradientEstimator, Integrand, mean


class Reparameterised(GradientEstimator):
    """z = mu(x) + sigma(x) eps, differentiated through z (Kingma and Welling, 2014), for continuous posteriors.

    Examples:
        >>> import torch
        >>> from vae_lightning.estimators import Reparameterised
        >>> mean = torch.tensor([[3.0]], requires_grad=True)
        >>> q = torch.distributions.Independent(torch.distributions.Normal(mean, 1e-4), 1)
        >>> Reparameterised(num_samples=10)(q, lambda z: z.square().sum(-1)).backward()
        >>> round(mean.grad.item(), 1)  # d/dm E[z^2] = 2 m
        6.0
    """

    pathwise = True

    def check(self, q: td.Distribution) -> None:
        """TypeError for a posterior whose samples have no gradient."""
        if not q.has_rsample:
            raise TypeError(
                f"Reparameterised needs a continuous posterior, got {family_name(q)}: samples of it have no gradient; "
                "use DisARM or LeaveOneOut, or Enumerated for up to 16 bits"
            )

    def forward(self, q: td.Distribution, f: Integrand, aggregate: Aggregate = mean) -> Float[Tensor, " batch"]:
        """The bound, (B,)."""
        if not q.has_rsample:
            self.check(q)
        return aggregate(f(rsample(q, self.num_samples, self.noise)))
