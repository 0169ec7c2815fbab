"""Mobius: a conformal map of the plane, whose posteriors are round although it is far from linear."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from jaxtyping import Float, Float64
from torch import Tensor

from vae_lightning.construction.arguments import check_kinds
from vae_lightning.data.processes.latent import positive
from vae_lightning.data.processes.planar import PlanarProcess

Complex = Sequence[float]


class Mobius(PlanarProcess):
    """x = m(z) + e, m(z) = (a z + b) / (c z + d), z ~ N(0, I), e ~ N(0, sigma^2 I); the plane is the complex numbers.

    Args:
        a: a complex number as (real part, imaginary part).
        b: likewise.
        c: likewise.
        d: likewise.
        noise_variance: sigma^2.

    ValueError for a variance that is not positive, numbers that are not pairs, or a d = b c, where m is constant.

    Source: Yacoby, Pan, Doshi-Velez, Characterizing and Avoiding Problematic Global Optima of Variational
    Autoencoders (2019), appendix E; there m is a network trained to this map.

    Examples:
        >>> import torch
        >>> from vae_lightning.data.processes import Mobius
        >>> truth = Mobius()
        >>> truth.decode(torch.zeros(1, 2)), truth.sample(5).shape  # b / d of complex numbers
        (tensor([[0.3538, 0.3692]]), torch.Size([5, 2]))
    """

    def __init__(
        self,
        a: Complex = (1.0, 0.0),
        b: Complex = (1.0, 4.0),
        c: Complex = (1.0, 0.0),
        d: Complex = (7.0, 4.0),
        noise_variance: float = 1e-5,
    ) -> None:
        check_kinds(Mobius, locals())
        if any(len(pair) != 2 for pair in (a, b, c, d)):
            raise ValueError(f"a, b, c, d must be pairs (real part, imaginary part), got {a}, {b}, {c}, {d}")
        self.a, self.b, self.c, self.d = complex(*a), complex(*b), complex(*c), complex(*d)
        if self._determinant == 0:
            raise ValueError(f"a d - b c must not be 0, where the map is constant; got {a}, {b}, {c}, {d}")
        self.noise_variance = torch.full((2,), positive("noise_variance", noise_variance), dtype=torch.float64)

    def decode(self, z: Float[Tensor, "*B 2"]) -> Float[Tensor, "*B 2"]:
        """m(z)."""
        point = torch.view_as_complex(z.contiguous())
        return torch.view_as_real((self.a * point + self.b) / (self.c * point + self.d))

    def invert(self, x: Float64[Tensor, "*B 2"]) -> Float64[Tensor, "*B 2"]:
        """(d x - b) / (a - c x)."""
        return self.code(x)[0]

    def code(self, u: Float64[Tensor, "*B 2"]) -> tuple[Float64[Tensor, "*B 2"], Float64[Tensor, "*B"]]:
        """The inverse image of u, a noiseless x, and its volume |a d - b c|^2 / |a - c u|^4."""
        point = torch.view_as_complex(u.contiguous())
        denominator = self.a - self.c * point
        z = torch.view_as_real((self.d * point - self.b) / denominator)
        return z, 2 * (abs(self._determinant) / denominator.abs().square()).log()

    def box(
        self, x: Float64[Tensor, "B 2"], reach: Float64[Tensor, "B 1"]
    ) -> tuple[Float64[Tensor, "B 2"], Float64[Tensor, "B 2"]]:
        """A box around x."""
        noise = reach * self.noise_variance.to(x).sqrt()
        return x - noise, x + noise

    @property
    def _determinant(self) -> complex:
        return self.a * self.d - self.b * self.c

    def __repr__(self) -> str:
        numbers = ", ".join(
            f"{name}={value}" for name, value in zip("abcd", (self.a, self.b, self.c, self.d), strict=True)
        )
        return f"{type(self).__name__}({numbers}, noise_variance={float(self.noise_variance[0])})"
