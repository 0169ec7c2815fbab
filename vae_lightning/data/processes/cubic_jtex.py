"""CubicJTEx: LinearJTEx whose mean is cubed, so that the posterior bends."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from jaxtyping import Float, Float64
from torch import Tensor

from vae_lightning.construction.arguments import check_kinds
from vae_lightning.data.processes.linear_gaussian import Matrix
from vae_lightning.data.processes.linear_jtex import LinearJTEx
from vae_lightning.data.processes.planar import PlanarProcess


class CubicJTEx(PlanarProcess):
    """x_i = u_i^3 + e_i, u = Cholesky(A A' + B) z, z ~ N(0, I), e ~ N(0, sigma^2 I - B), in the plane.

    Args:
        mixing: A, as that of `LinearJTEx`. log_prob is differentiable in parameters that are tensors, so that a
            decoder's exact likelihood can be maximised.
        shared: the diagonal of B.
        variance: sigma^2.

    ValueError where `LinearJTEx` raises it, or unless A is 2 x 2.

    Source: Yacoby, Pan, Doshi-Velez, Characterizing and Avoiding Problematic Global Optima of Variational
    Autoencoders (2019), appendix E.

    Examples:
        >>> from vae_lightning.data.processes import CubicJTEx
        >>> truth = CubicJTEx()
        >>> x = truth.sample(100)
        >>> x.shape, truth.log_prob(x).shape  # by quadrature
        (torch.Size([100, 2]), torch.Size([100]))
    """

    def __init__(
        self,
        mixing: Matrix = ((0.75, 0.25), (1.5, -1.0)),
        shared: Sequence[float] | Float[Tensor, " dims"] = (0.006, 0.006),
        variance: float = 0.01,
    ) -> None:
        check_kinds(CubicJTEx, locals())
        self.linear = LinearJTEx(mixing, shared, variance)
        if self.linear.event_shape != self.event_shape:
            raise ValueError(f"mixing must be 2 x 2, for its density is a quadrature in the plane, got {mixing}")
        self.noise_variance = self.linear.noise_variance

    def decode(self, z: Float[Tensor, "*B 2"]) -> Float[Tensor, "*B 2"]:
        """(L z)^3, for each coordinate."""
        return self.linear.decode(z) ** 3

    def invert(self, x: Float64[Tensor, "*B 2"]) -> Float64[Tensor, "*B 2"]:
        """L^-1 x^(1/3)."""
        return self.code(_cube_root(x))[0]

    def code(self, u: Float64[Tensor, "*B 2"]) -> tuple[Float64[Tensor, "*B 2"], Float64[Tensor, "*B"]]:
        """L^-1 u, whose volume is constant."""
        factor = self.linear.weight.to(u)
        z = torch.linalg.solve_triangular(factor, u.reshape(-1, 2).T, upper=False).T.reshape(u.shape)
        return z, -factor.diagonal().log().sum().expand(u.shape[:-1])

    def box(
        self, x: Float64[Tensor, "B 2"], reach: Float64[Tensor, "B 1"]
    ) -> tuple[Float64[Tensor, "B 2"], Float64[Tensor, "B 2"]]:
        """The cube roots around x, as far as the prior goes."""
        noise, prior = reach * self.noise_variance.to(x).sqrt(), reach * self.linear.weight.to(x).norm(dim=1)
        return _cube_root(x - noise).maximum(-prior), _cube_root(x + noise).minimum(prior)

    def __repr__(self) -> str:
        return repr(self.linear).replace("Linear", "Cubic", 1)


def _cube_root(x: Tensor) -> Tensor:
    return x.sign() * x.abs() ** (1 / 3)
