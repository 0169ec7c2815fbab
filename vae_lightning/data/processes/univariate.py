"""Univariate: equally good models whose codes say anything between nothing and everything."""

from __future__ import annotations

import math

import torch

from vae_lightning.construction.arguments import check_kinds
from vae_lightning.data.processes.latent import positive
from vae_lightning.data.processes.linear_gaussian import LinearGaussian


class Univariate(LinearGaussian):
    """x = theta z + e, z ~ N(0, 1), e ~ N(0, sigma^2 - theta^2): x ~ N(0, sigma^2) for every theta.

    The posterior N(theta x / sigma^2, 1 - theta^2 / sigma^2) is a mean-field Gaussian, so every theta is a global
    optimum of the ELBO, while I(X; Z) = 1/2 log(sigma^2 / (sigma^2 - theta^2)) is what theta makes it. (The source
    bounds theta by sigma^2; the noise needs theta^2 below it.)

    ValueError unless |theta| < sigma.

    Source: Yacoby, Pan, Doshi-Velez, Characterizing and Avoiding Problematic Global Optima of Variational
    Autoencoders (2019), Eq. 5 and appendix C.1.

    Examples:
        >>> from vae_lightning.data.processes import Univariate
        >>> world = Univariate.telling(nats=1.0)
        >>> round(world.mutual_information().item(), 4), round(abs(world.shortfall(Univariate()).item()), 4)
        (1.0, 0.0)
    """

    def __init__(self, theta: float = 0.5, variance: float = 1.0) -> None:
        check_kinds(Univariate, locals())
        noise = positive("variance", variance) - theta**2
        if not noise > 0:
            raise ValueError(f"theta^2 must be below the variance {variance}, got theta {theta}")
        super().__init__(torch.tensor([[theta]], dtype=torch.float64), torch.tensor([noise], dtype=torch.float64))
        self.theta, self.variance = theta, variance

    @classmethod
    def telling(cls, nats: float, variance: float = 1.0) -> Univariate:
        """The world with I(X; Z) = nats: theta = sigma sqrt(1 - exp(-2 nats)); ValueError unless 0 <= nats <= 12.

        Beyond, sigma^2 - theta^2 has no digits left.
        """
        if not 0 <= nats <= 12:
            raise ValueError(f"nats is the mutual information, from 0 to 12; got {nats}")
        return cls(math.sqrt(-positive("variance", variance) * math.expm1(-2 * nats)), variance)

    def __repr__(self) -> str:
        return f"{type(self).__name__}(theta={self.theta}, variance={self.variance})"
