"""GibbsMRF: biases and couplings of two groups too large to enumerate -> approximate samples, and no normaliser."""

from __future__ import annotations

from typing import Any, NoReturn

import torch
import torch.distributions as td
from jaxtyping import Float
from torch import Size, Tensor
from torch.distributions import constraints

from vae_lightning.construction.arguments import check_kinds
from vae_lightning.families.base import ExponentialFamily, as_event_shape
from vae_lightning.families.mrf import pair_statistics


class GibbsMRF(ExponentialFamily):
    """`BernoulliMRF` with both groups of any size: p(z1, z2) ~ exp(<b1, z1> + <b2, z2> + z1^T V z2), by block Gibbs.

    Each sample is the end of a chain of its own, of `sweeps` sweeps z2 | z1, z1 | z2 from independent bits at their
    biases. It is biased towards them: exact only at V = 0, or as the sweeps grow. A(eta) is not known, so that there
    is no log-probability, no entropy and no ELBO: nothing that comes of it bounds a likelihood. `objectives.GibbsELBO`
    trains with it. Use `BernoulliMRF`, which is exact, wherever one group has at most 16 bits.

    Args:
        first: bits of z1.
        second: bits of z2.
        sweeps: of each chain; more, less bias.

    Source: Shekhovtsov et al. (2022), section 3.1; Vahdat, Andriyash, Macready, Undirected Graphical Models as
    Approximate Posteriors (2020).

    Examples:
        >>> import torch
        >>> from vae_lightning.families import GibbsMRF
        >>> q = GibbsMRF(8, 8).distribution(torch.zeros(5, 8 + 8 + 64))
        >>> q.sample((3,)).shape  # by block Gibbs: 2^16 codes are not enumerated
        torch.Size([3, 5, 16])
    """

    has_log_partition = False

    def __init__(self, first: int, second: int, sweeps: int = 20) -> None:
        check_kinds(GibbsMRF, locals())
        for size in (first, second):
            as_event_shape(size, "GibbsMRF")
        if sweeps < 1:
            raise ValueError(f"sweeps counts sweeps of block Gibbs, at least 1, got {sweeps}")
        self.first, self.second, self.sweeps = first, second, sweeps
        self.event_shape = Size([first + second])
        self.num_parameters = first + second + first * second

    def sufficient_statistics(self, x: Tensor) -> Float[Tensor, "*B P"]:
        """T(z) = (z1, z2, z1 x z2), the outer product row by row."""
        return pair_statistics(x, self.first, self.second)

    def log_partition(self, eta: Float[Tensor, "*B P"]) -> NoReturn:
        """Not known."""
        raise ValueError("GibbsMRF has no log-partition: use BernoulliMRF with a group of at most 16 bits, which has")

    def distribution(self, eta: Float[Tensor, "*B P"]) -> GibbsField:
        """The bits (z1, z2), batch shape B."""
        return GibbsField(self, eta)

    def __repr__(self) -> str:
        return f"GibbsMRF({self.first}, {self.second}, sweeps={self.sweeps})"


class GibbsField(td.Distribution):
    """Two groups of bits known up to their normaliser: `sample` is approximate, `log_prob` is nan."""

    arg_constraints = {"eta": constraints.real_vector}  # noqa: RUF012  (torch's own convention)
    support = constraints.independent(constraints.boolean, 1)

    def __init__(self, family: GibbsMRF, eta: Float[Tensor, "*B P"]) -> None:
        self.family, self.eta = family, eta
        super().__init__(eta.shape[:-1], family.event_shape, validate_args=False)

    def score(self, x: Float[Tensor, "*S d"]) -> Float[Tensor, "*S"]:
        """<eta, T(z)> = log p(z) + A(eta), A unknown."""
        return (self.family.sufficient_statistics(x) * self.eta).sum(-1)

    def log_prob(self, x: Float[Tensor, "*S d"]) -> Float[Tensor, "*S"]:
        """Nan, so that no figure made of it can pass for one."""
        return torch.full_like(self.score(x), torch.nan)

    @property
    def mean(self) -> NoReturn:
        """Not known."""
        raise TypeError("GibbsMRF has no mean code: use BernoulliMRF with a group of at most 16 bits, which has")

    def expand(self, batch_shape: Any, _instance: Any = None) -> GibbsField:
        """The same distribution for every entry of a larger batch."""
        return GibbsField(self.family, self.eta.expand(*batch_shape, -1))

    @torch.no_grad()
    def sample(self, sample_shape: Any = ()) -> Float[Tensor, "*S d"]:
        """Ends of independent chains of block Gibbs: approximate."""
        first, second = self.family.first, self.family.second
        b1, b2, flat = self.eta.split((first, second, first * second), -1)
        coupling = flat.unflatten(-1, (first, second))
        z1 = _bits(b1.expand(*Size(sample_shape), *b1.shape))
        for _ in range(self.family.sweeps):
            z2 = _bits(b2 + torch.einsum("...f,...fs->...s", z1, coupling))
            z1 = _bits(b1 + torch.einsum("...s,...fs->...f", z2, coupling))
        return torch.cat((z1, z2), -1)


def _bits(logits: Tensor) -> Tensor:
    return (torch.rand_like(logits) < logits.sigmoid()).to(logits.dtype)
