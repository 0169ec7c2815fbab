"""JointNormal: two Normal families, their natural parameters and a coupling -> the Gaussian that both make together."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import torch
from jaxtyping import Float, Float64, Int
from torch import Size, Tensor
from torch.distributions import constraints

from vae_lightning.families.base import ExponentialFamily
from vae_lightning.families.enumeration import support
from vae_lightning.families.normal import Normal


@dataclass(frozen=True, eq=False)
class JointNormal:
    """p(v, h) ~ h_v(v) h_h(h) exp(<a, T(v)> + <b, S(h)> + v^T W h), whose precision K is; in double precision.

        K = (diag(lambda)   -W   )          lambda, mu: the precisions of v given h, and of h given v
            (   -W^T     diag(mu))          C = diag(lambda)^-1/2 W diag(mu)^-1/2

    K is positive definite, and p a density, where the largest singular value of C is below 1; ValueError elsewhere.
    Source: Shekhovtsov et al. (2022), Eq. 10, where V = 0.
    """

    visible: Normal
    hidden: Normal
    a: Float[Tensor, " P_v"]
    b: Float[Tensor, " P_h"]
    weight: Float[Tensor, "v h"]

    def check(self) -> None:
        """ValueError unless the density normalises."""
        if not self._coupling.square().sum() < 1:  # no singular value is above the Frobenius norm
            _ = self._factor

    def nan_unless_normalised(self) -> Float64[Tensor, ""]:
        """0 where the density normalises, else NaN, on the device of W."""
        factor, failed = self._factored
        return torch.where((failed == 0) & factor.isfinite().all(), 0.0, torch.nan).to(factor)

    def shrinkage(self) -> float:
        """1 for a density; else what brings W far enough down for one."""
        largest = float(torch.linalg.matrix_norm(self._coupling.detach(), 2))
        return 1.0 if largest < 1 else 0.5 / largest

    def log_partition(self) -> Float64[Tensor, ""]:
        """log Z = A(a) + A(b) + (|L^-1 (beta + C^T alpha)|^2 - |beta|^2) / 2 - log det L, L L^T = I - C^T C.

        alpha and beta are the linear parameters over the roots of the precisions.
        """
        apart = self.visible.log_partition(self.a.double()) + self.hidden.log_partition(self.b.double())
        gained = torch.linalg.solve_triangular(self._factor, self._pull[:, None], upper=False).square().sum()
        return apart + 0.5 * (gained - self._scaled[1].square().sum()) - self._factor.diagonal().log().sum()

    def hidden_sample(self, shape: Size) -> Tensor:
        """Independent h of the marginal, (*shape, *Z), in the precision of W."""
        noise = torch.randn(*shape, len(self._factor), 1, dtype=torch.float64, device=self.weight.device)
        around = torch.linalg.solve_triangular(self._factor.mT, noise, upper=True)[..., 0]
        h = (self._hidden_mean + around) / self._roots[1]
        return h.to(self.weight.dtype).unflatten(-1, self.hidden.event_shape)

    def moments(self) -> tuple[Float64[Tensor, "v h"], Float64[Tensor, " P_v"], Float64[Tensor, " h"]]:
        """E[v h^T], E[T(v)] and E[h], flat."""
        coupling, (visible, hidden) = self._coupling, self._roots
        seen = coupling @ torch.cholesky_inverse(self._factor)  # the covariance of v and h, scaled
        mean, hidden_mean = (self._scaled[0] + coupling @ self._hidden_mean) / visible, self._hidden_mean / hidden
        square = mean.square() + (1 + (seen * coupling).sum(1)) / visible.square()
        statistics = torch.cat((mean, square))[: self.visible.num_parameters]
        return seen / visible[:, None] / hidden + mean[:, None] * hidden_mean, statistics, hidden_mean

    @cached_property
    def _roots(self) -> tuple[Float64[Tensor, " v"], Float64[Tensor, " h"]]:
        """Of the precisions."""
        return self.visible.precision(self.a).double().sqrt(), self.hidden.precision(self.b).double().sqrt()

    @cached_property
    def _scaled(self) -> tuple[Float64[Tensor, " v"], Float64[Tensor, " h"]]:
        """Alpha and beta."""
        linear = self.a[self.visible.coupled].double(), self.b[self.hidden.coupled].double()
        return linear[0] / self._roots[0], linear[1] / self._roots[1]

    @cached_property
    def _coupling(self) -> Float64[Tensor, "v h"]:
        """C."""
        return self.weight.double() / self._roots[0][:, None] / self._roots[1]

    @property
    def _pull(self) -> Float64[Tensor, " h"]:
        return self._scaled[1] + self._coupling.mT @ self._scaled[0]

    @property
    def _hidden_mean(self) -> Float64[Tensor, " h"]:
        return torch.cholesky_solve(self._pull[:, None], self._factor)[:, 0]

    @cached_property
    def _factored(self) -> tuple[Float64[Tensor, "h h"], Int[Tensor, ""]]:
        """L, the factor of the marginal precision of h, scaled, and whether there is none."""
        coupling = self._coupling
        identity = torch.eye(coupling.shape[1], dtype=torch.float64, device=coupling.device)
        factor, failed = torch.linalg.cholesky_ex(identity - coupling.mT @ coupling)
        return factor, failed

    @cached_property
    def _factor(self) -> Float64[Tensor, "h h"]:
        """L; ValueError where there is none."""
        coupling, (factor, failed) = self._coupling, self._factored
        if failed or not factor.isfinite().all():
            largest = torch.linalg.matrix_norm(coupling, 2) if coupling.isfinite().all() else coupling.sum()
            raise ValueError(
                f"visible {self.visible} and hidden {self.hidden} make a density if W times the standard deviations of "
                f"both has singular values below 1; its largest is {float(largest):.4g}: scale W down, and if training "
                "took it there, lower the learning rate or set weight_decay"
            )
        return factor


def both_normal(visible: ExponentialFamily, hidden: ExponentialFamily) -> bool:
    """Whether both families are Normal, so that together they are a `JointNormal`."""
    return isinstance(visible, Normal) and isinstance(hidden, Normal)


def joint_normal(
    visible: ExponentialFamily, hidden: ExponentialFamily, a: Tensor, b: Tensor, weight: Tensor
) -> JointNormal:
    """The joint Gaussian of two Normals with these parameters; TypeError for other families."""
    if not (isinstance(visible, Normal) and isinstance(hidden, Normal)):
        raise TypeError(f"a joint Gaussian is of two Normals, got {visible!r} and {hidden!r}")
    return JointNormal(visible, hidden, a, b, weight)


def normalises(visible: ExponentialFamily, hidden: ExponentialFamily) -> bool:
    """Whether coupling two families gives a density: unless both are of reals, and not both Normal."""
    both_real = support(visible) is constraints.real and support(hidden) is constraints.real
    return not both_real or both_normal(visible, hidden)
