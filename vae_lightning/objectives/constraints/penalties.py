"""Penalties: a sample of codes -> a scalar that is small where the codes look like draws from N(0, I)."""

from __future__ import annotations

import math

import torch
from jaxtyping import Float
from torch import Tensor

from vae_lightning.construction.arguments import check_kinds
from vae_lightning.metrics.functional.henze_zirkler_fused import fused_henze_zirkler
from vae_lightning.objectives.constraints.base import Penalty


class HenzeZirkler(Penalty):
    """w exp(HZ(z)), the first penalty of Eq. 44: HZ is 0.7 or so for a Gaussian sample, up to 4 n for others.

    exp continues as a straight line above `bound`, see `bounded_exp`. HZ does not change under affine maps, so mean and
    scale need penalties of their own. A singular sample pays for HZ = 4 n, and has no gradient.
    ValueError unless w and bound are positive and finite; in use, unless n > d.

    Source: Yacoby, Pan, Doshi-Velez, Characterizing and Avoiding Problematic Global Optima of Variational
    Autoencoders (2019), Eq. 44; there w, called a threshold in Eq. 43, is 0.001, 1, 10 or 20.

    Args:
        weight: w.
        bound: the HZ from which the exponential is a straight line.

    Examples:
        >>> import torch
        >>> from vae_lightning.objectives import HenzeZirkler
        >>> z = torch.distributions.Normal(0, 1).icdf(torch.linspace(0.01, 0.99, 99))[:, None]
        >>> gaussian, bimodal = HenzeZirkler()(z), HenzeZirkler()(z.sign())
        >>> gaussian < bimodal
        tensor(True)
    """

    name = "henze_zirkler"

    def __init__(self, weight: float = 1.0, bound: float = 2.0) -> None:
        check_kinds(HenzeZirkler, locals())
        super().__init__()
        self.weight, self.bound = _positive(self, "weight", weight), _positive(self, "bound", bound)

    def forward(self, z: Float[Tensor, "n *latent"]) -> Float[Tensor, ""]:
        """w exp(HZ)."""
        return self.weight * bounded_exp(fused_henze_zirkler(_rows(self, z)), self.bound)

    def failure(self, z: Float[Tensor, "n *latent"]) -> str | None:
        """Also say so where the covariance of the codes is singular."""
        if fused_henze_zirkler(_rows(self, z)) >= 4 * len(z):
            return f"the covariance of the codes is singular: HZ is 4 n = {4 * len(z)}, without gradient"
        return super().failure(z)


class Covariance(Penalty):
    """exp(|S - I|^2 / eps), the second penalty of Eq. 44, with the Frobenius norm and S = Y'Y / n, Y = z - mean.

    ValueError unless eps and bound are positive and finite; in use, unless n > d, where S could not be I.

    Args:
        scale: eps, in the paper 0.2 or 0.5.
        bound: the exponent from which the exponential is a straight line.

    Examples:
        >>> import torch
        >>> from vae_lightning.objectives import Covariance
        >>> z = torch.tensor([[1.0], [-1.0], [1.0], [-1.0]])  # of variance 1
        >>> Covariance()(z), Covariance()(2 * z) > 1
        (tensor(1.), tensor(True))
    """

    name = "covariance"

    def __init__(self, scale: float = 0.5, bound: float = 2.0) -> None:
        check_kinds(Covariance, locals())
        super().__init__()
        self.scale, self.bound = _positive(self, "scale", scale), _positive(self, "bound", bound)

    def forward(self, z: Float[Tensor, "n *latent"]) -> Float[Tensor, ""]:
        """exp(|S - I|^2 / eps)."""
        y = _rows(self, z)
        y = y - y.mean(0)
        excess = y.mT @ y / len(y) - torch.eye(y.shape[1], dtype=y.dtype, device=y.device)
        return bounded_exp(excess.square().sum() / self.scale, self.bound)


class Mean(Penalty):
    """exp(|m|^2 / eps), the third penalty of Eq. 44, m being the mean of the codes.

    ValueError unless eps and bound are positive and finite.

    Args:
        scale: eps, in the paper 0.2 or 0.5.
        bound: the exponent from which the exponential is a straight line.

    Examples:
        >>> import torch
        >>> from vae_lightning.objectives import Mean
        >>> z = torch.tensor([[1.0], [-1.0], [1.0], [-1.0]])
        >>> Mean()(z), round(Mean(scale=0.5)(z + 0.5).item(), 4)  # exp(0.5^2 / 0.5)
        (tensor(1.), 1.6487)
    """

    name = "mean"

    def __init__(self, scale: float = 0.5, bound: float = 2.0) -> None:
        check_kinds(Mean, locals())
        super().__init__()
        self.scale, self.bound = _positive(self, "scale", scale), _positive(self, "bound", bound)

    def forward(self, z: Float[Tensor, "n *latent"]) -> Float[Tensor, ""]:
        """exp(|m|^2 / eps)."""
        return bounded_exp(z.flatten(1).mean(0).square().sum() / self.scale, self.bound)


def bounded_exp(t: Float[Tensor, "*batch"], bound: float | Tensor) -> Float[Tensor, "*batch"]:
    """exp(t) up to `bound`, above it its tangent there, exp(bound) (1 + t - bound): smooth, increasing and convex.

    exp overflows at 88.7 in single precision, and an untrained encoder has HZ of 40 to 110. Adam suffers long before:
    it divides by the root mean square of its last thousand gradients, so that one of e^20 is a learning rate of nearly
    zero for tens of thousands of steps. Near the constraints, where the optimum is, it is exp itself: HZ of a Gaussian
    sample of 500 exceeds 1.4 once in a hundred.
    """
    above = t - bound
    # e ** bound: in an ensemble whose members differ in it, bound is a tensor
    return math.e**bound * torch.where(above >= 0, 1 + above, above.clamp(max=0).exp())


def _rows(penalty: Penalty, z: Float[Tensor, "n *latent"]) -> Float[Tensor, "n d"]:
    """One row a code; ValueError unless there are more codes than dimensions."""
    n, d = len(z), math.prod(z.shape[1:])
    if n <= d:
        raise ValueError(
            f"{type(penalty).__name__} needs more codes than they have dimensions, or their covariance is singular; "
            f"got {n} of {d} dimensions: raise the batch size, or lower latent_dim"
        )
    return z.flatten(1)


def _positive(penalty: Penalty, name: str, value: float) -> float:
    if not 0 < value < math.inf:
        raise ValueError(f"{type(penalty).__name__} needs a positive finite {name}, got {value}")
    return value
