"""MobiusNetwork: a network trained to the Mobius map, as the truth that its codes and noise make."""

from __future__ import annotations

import torch
from jaxtyping import Float, Float64
from torch import Generator, Tensor
from torch.func import jacrev, vmap

from vae_lightning.construction.arguments import check_kinds
from vae_lightning.data.processes.mobius import Mobius
from vae_lightning.data.processes.planar import PlanarProcess

_REACH = 6.0  # what a code of N(0, I) does not exceed
_SPREAD = 1.5  # standard deviation of the codes the network is trained on: also the tails should be near
_NEWTON = 8


class MobiusNetwork(PlanarProcess):
    """x = f(z) + e with f a network of one tanh layer trained to m(z), as the LiBI paper generates its data.

    The truth is the network, not the map: its likelihood differs from that of `Mobius` by what the fit leaves,
    `fit_error`, a root mean square. The density is a quadrature around the inverse image of x, found by Newton steps
    from that of m: right for observations that the process makes, not far from them, where the network may fold.
    ValueError for fewer than one hidden unit.

    Source: Yacoby, Pan, Doshi-Velez, Characterizing and Avoiding Problematic Global Optima of Variational
    Autoencoders (2019), appendix E, which does not tell the network.

    Args:
        hidden: units of the layer.
        mobius: m and the noise; by default the paper's.
        seed: of the weights that training starts from and of the codes it sees.
    """

    def __init__(self, hidden: int = 50, mobius: Mobius | None = None, seed: int = 0) -> None:
        check_kinds(MobiusNetwork, locals())
        if hidden < 1:
            raise ValueError(f"hidden counts units and must be at least 1, got {hidden}")
        self.mobius, self.hidden, self.seed = mobius or Mobius(), hidden, seed
        self.noise_variance = self.mobius.noise_variance
        generator = Generator().manual_seed(seed)
        shapes = (2, hidden), (hidden,), (hidden, 2), (2,)
        self._weights = [torch.randn(*shape, generator=generator, dtype=torch.float64) / 2 for shape in shapes]
        self.fit_error = self._train(_SPREAD * torch.randn(2000, 2, generator=generator, dtype=torch.float64))

    def decode(self, z: Float[Tensor, "*B 2"]) -> Float[Tensor, "*B 2"]:
        """f(z)."""
        first, bias, second, shift = (weight.to(z) for weight in self._weights)
        return (z @ first + bias).tanh() @ second + shift

    def invert(self, x: Float64[Tensor, "*B 2"]) -> Float64[Tensor, "*B 2"]:
        """The z with f(z) = x, near that of m."""
        points = x.reshape(-1, 2)
        z = self.mobius.invert(points)
        z = z * (_REACH / z.norm(dim=-1, keepdim=True)).clamp(max=1)
        for _ in range(_NEWTON):
            z = (z - torch.linalg.solve(self._slope(z), self.decode(z) - points)).clamp(-2 * _REACH, 2 * _REACH)
        return z.reshape(x.shape)

    def code(self, u: Float64[Tensor, "*B 2"]) -> tuple[Float64[Tensor, "*B 2"], Float64[Tensor, "*B"]]:
        """The coordinates are z itself."""
        return u, torch.zeros_like(u[..., 0])

    def box(
        self, x: Float64[Tensor, "B 2"], reach: Float64[Tensor, "B 1"]
    ) -> tuple[Float64[Tensor, "B 2"], Float64[Tensor, "B 2"]]:
        """A box around the inverse image, twice as far as a linear map would go."""
        z = self.invert(x)
        stretch = 1 / torch.linalg.svdvals(self._slope(z))[..., -1:]
        width = 2 * reach * self.noise_variance.to(x).sqrt() * stretch
        return z - width, z + width

    def _slope(self, z: Float64[Tensor, "B 2"]) -> Float64[Tensor, "B 2 2"]:
        return vmap(jacrev(self.decode))(z)

    def _train(self, z: Float64[Tensor, "n 2"]) -> float:
        """Least squares by L-BFGS; the root mean square of what is left, for codes of N(0, I)."""
        target = self.mobius.decode(z)
        for weight in self._weights:
            weight.requires_grad_()
        optimizer = torch.optim.LBFGS(
            self._weights, max_iter=500, tolerance_grad=1e-12, tolerance_change=1e-14, line_search_fn="strong_wolfe"
        )

        def closure() -> Tensor:
            optimizer.zero_grad()
            loss = (self.decode(z) - target).square().sum(-1).mean()
            loss.backward()
            return loss

        with torch.enable_grad():
            optimizer.step(closure)
        self._weights = [weight.detach() for weight in self._weights]
        codes = z / _SPREAD
        return float((self.decode(codes) - self.mobius.decode(codes)).square().sum(-1).mean().sqrt())

    def __repr__(self) -> str:
        return f"{type(self).__name__}(hidden={self.hidden}, fit_error={self.fit_error:.1e})"
