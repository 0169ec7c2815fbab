"""BernoulliMRF: biases and pairwise couplings -> two groups of bits that depend on each other."""

from __future__ import annotations

from functools import cached_property
from typing import Any

import torch
import torch.distributions as td
import torch.nn.functional as F
from jaxtyping import Float
from torch import Size, Tensor
from torch.distributions import constraints

from vae_lightning.construction.arguments import check_kinds
from vae_lightning.distributions import HELD_BITS, States
from vae_lightning.families.base import ExponentialFamily, as_event_shape
from vae_lightning.families.bernoulli import Bernoulli
from vae_lightning.families.enumeration import in_chunks

_MAX_ELEMENTS = 2**22


class BernoulliMRF(ExponentialFamily):
    """p(z1, z2) = exp(<b1, z1> + <b2, z2> + z1^T V z2 - A(eta)) over bits z = (z1, z2); eta = (b1, b2, V row by row).

    T(z) = (z1, z2, z1 x z2), h = 1. Given one group the bits of the other are independent, so that A, samples and
    gradients are exact by enumerating the smaller group, of up to 16 bits; with V = 0 it is the Bernoulli family.
    Raises ValueError if both groups are larger, or one is empty.
    Source: Shekhovtsov et al. (2022), Eq. 11; its encoder q(z | x) has eta = W(x).

    Examples:
        >>> import torch
        >>> from vae_lightning.families import BernoulliMRF
        >>> family = BernoulliMRF(2, 1)  # two bits that depend on a third
        >>> family.num_parameters  # 3 biases and 2 x 1 couplings
        5
        >>> q = family.distribution(torch.tensor([0.0, 0.0, 0.0, 5.0, 5.0]))
        >>> round(q.log_prob(q.enumerate_support()).exp().sum().item(), 4)
        1.0
    """

    def __init__(self, first: int, second: int) -> None:
        check_kinds(BernoulliMRF, locals())
        for size in (first, second):
            as_event_shape(size, "BernoulliMRF")
        if min(first, second) > HELD_BITS:
            raise ValueError(
                f"BernoulliMRF sums over all values of its smaller group, at most {HELD_BITS} bits, got groups of "
                f"{first} and {second}: make one group smaller, or use GibbsMRF, which is biased and gives no bound"
            )
        self.first, self.second = first, second
        self.event_shape = Size([first + second])
        self.num_parameters = first + second + first * second

    def sufficient_statistics(self, x: Tensor) -> Float[Tensor, "*B P"]:
        """T(z) = (z1, z2, z1 x z2), the outer product row by row."""
        return pair_statistics(x, self.first, self.second)

    def log_partition(self, eta: Float[Tensor, "*B P"]) -> Float[Tensor, "*B"]:
        """A(eta) = log sum_z1 exp(<b1, z1> + sum softplus(b2 + V^T z1)), or the same with the groups' parts swapped."""
        return self.distribution(eta).log_normaliser

    @torch.no_grad()
    def mean_statistics(self, eta: Float[Tensor, "*B P"]) -> Float[Tensor, "*B P"]:
        """E[(z1, z2, z1 x z2)]."""
        return self.distribution(eta.detach()).mean_statistics

    def fitted(self, mean: Float[Tensor, "*B P"]) -> Float[Tensor, "*B P"]:
        """Independent bits with the data's means, V = 0: a start, since the couplings that fit have no closed form."""
        bits, pairs = mean.split((self.event_shape[0], self.first * self.second), -1)
        return torch.cat((Bernoulli(self.event_shape).fitted(bits), torch.zeros_like(pairs)), -1)

    def distribution(self, eta: Float[Tensor, "*B P"]) -> MarkovRandomField:
        """The bits (z1, z2), batch shape B."""
        return MarkovRandomField(self, eta)

    def __repr__(self) -> str:
        return f"BernoulliMRF({self.first}, {self.second})"


def pair_statistics(z: Float[Tensor, "*B d"], first: int, second: int) -> Float[Tensor, "*B P"]:
    """(z1, z2, z1 x z2) of bits in groups of these sizes, the outer product row by row."""
    z1, z2 = z.split((first, second), -1)
    return torch.cat((z, (z1[..., :, None] * z2[..., None, :]).flatten(-2)), -1)


class MarkovRandomField(td.Distribution):
    """Two groups of bits with pairwise couplings between the groups; all is exact, by sums over the smaller group."""

    arg_constraints = {"eta": constraints.real_vector}  # noqa: RUF012  (torch's own convention)
    support = constraints.independent(constraints.boolean, 1)
    has_enumerate_support = True

    def __init__(self, family: BernoulliMRF, eta: Float[Tensor, "*B P"]) -> None:
        self.family, self.eta = family, eta
        first, second = family.first, family.second
        b1, b2, coupling = eta.split((first, second, first * second), -1)
        coupling = coupling.unflatten(-1, (first, second))
        self._swapped = second < first
        self._small, self._large, self._coupling = (b2, b1, coupling.mT) if self._swapped else (b1, b2, coupling)
        self._codes = States(Size([min(first, second)]), 2, min(first, second))
        super().__init__(eta.shape[:-1], family.event_shape, validate_args=False)

    def log_prob(self, x: Tensor) -> Float[Tensor, "*S"]:
        """<eta, T(z)> - A(eta)."""
        return (self.family.sufficient_statistics(x) * self.eta).sum(-1) - self.log_normaliser

    @cached_property
    def log_normaliser(self) -> Float[Tensor, "*B"]:
        """A(eta)."""
        with self._differentiable():
            return self._log_marginal.logsumexp(0)

    @property
    def mean(self) -> Float[Tensor, "*B d"]:
        """E[z], the probability of each bit."""
        return self.mean_statistics[..., : self.event_shape[0]]

    @property
    def variance(self) -> Float[Tensor, "*B d"]:
        """That of each bit."""
        return self.mean * (1 - self.mean)

    @cached_property
    def mean_statistics(self) -> Float[Tensor, "*B P"]:
        """E[T(z)] = (E[z1], E[z2], E[z1 x z2]), the gradient of A."""

        def part(index: Tensor) -> Tensor:
            """The sum over some values of the smaller group, (1, *B, P)."""
            codes = self._codes.numbered(index, self.eta)
            p = (self._log_marginal[index] - self.log_normaliser).exp()
            large = p[..., None] * self._field(codes).sigmoid()
            pairs = (large, codes) if self._swapped else (codes, large)
            outer = torch.einsum("c...f,cs->...fs" if self._swapped else "cf,c...s->...fs", *pairs)
            small = torch.einsum("cs,c...->...s", codes, p)
            groups = (large.sum(0), small) if self._swapped else (small, large.sum(0))
            return torch.cat((*groups, outer.flatten(-2)), -1)[None]

        with self._differentiable():
            return in_chunks(part, self._codes.count, self._chunk, self.eta.device).sum(0)

    def entropy(self) -> Float[Tensor, "*B"]:
        """A(eta) - <eta, E[T(z)]>, in nats."""
        return self.log_normaliser - (self.eta * self.mean_statistics).sum(-1)

    @torch.no_grad()
    def sample(self, sample_shape: Size | list[int] | tuple[int, ...] = ()) -> Float[Tensor, "*S d"]:
        """Exact samples: the smaller group from its marginal, the larger one given it."""
        marginal = td.Categorical(logits=self._log_marginal.movedim(0, -1), validate_args=False)
        small = self._codes.numbered(marginal.sample(Size(sample_shape)), self.eta)
        field = self._large + torch.einsum("...s,...sl->...l", small, self._coupling)
        large = (torch.rand_like(field) < field.sigmoid()).to(field.dtype)
        return torch.cat((large, small) if self._swapped else (small, large), -1)

    def expand(self, batch_shape: Any, _instance: Any = None) -> MarkovRandomField:
        """The same distribution for every entry of a larger batch."""
        return MarkovRandomField(self.family, self.eta.expand(*batch_shape, -1))

    def enumerate_support(self, expand: bool = True) -> Float[Tensor, "codes *B d"]:
        """Every value of (z1, z2), the first bit slowest."""
        codes = States(self.event_shape, 2, self.event_shape.numel()).every(self.eta)
        codes = codes.reshape(len(codes), *[1] * len(self.batch_shape), *self.event_shape)
        return codes.expand(-1, *self.batch_shape, -1) if expand else codes

    @cached_property
    def _log_marginal(self) -> Float[Tensor, "codes *B"]:
        """Log of what the larger group sums to, for every value of the smaller one."""

        def term(index: Tensor) -> Tensor:
            codes = self._codes.numbered(index, self.eta)
            return torch.einsum("cs,...s->c...", codes, self._small) + F.softplus(self._field(codes)).sum(-1)

        with self._differentiable():
            return in_chunks(term, self._codes.count, self._chunk, self.eta.device)

    def _differentiable(self) -> torch.set_grad_enabled:
        """What is kept may be asked for its gradient later, even if a sample, which has none, asked first."""
        return torch.set_grad_enabled(self.eta.requires_grad)

    def _field(self, codes: Float[Tensor, "codes s"]) -> Float[Tensor, "codes *B l"]:
        """The logits of the larger group given each value of the smaller one."""
        return self._large + torch.einsum("cs,...sl->c...l", codes, self._coupling)

    @property
    def _chunk(self) -> int:
        return _MAX_ELEMENTS // max(self._large.numel(), 1)


@td.register_kl(MarkovRandomField, td.Independent)  # type: ignore[untyped-decorator]
def _kl_to_independent(q: MarkovRandomField, p: td.Independent[Any]) -> Float[Tensor, "*B"]:
    """KL(q || p) = <eta_q - eta_p, E_q[T(z)]> - A(eta_q) + A(eta_p), for independent bits p."""
    if not isinstance(p.base_dist, td.Bernoulli) or p.event_shape != q.event_shape:
        raise NotImplementedError
    logits = p.base_dist.logits
    return -q.entropy() - (logits * q.mean).sum(-1) + F.softplus(logits).sum(-1)


@td.register_kl(MarkovRandomField, MarkovRandomField)  # type: ignore[untyped-decorator]
def _kl_to_another(q: MarkovRandomField, p: MarkovRandomField) -> Float[Tensor, "*B"]:
    """KL(q || p) of two fields over the same groups."""
    if (q.family.first, q.family.second) != (p.family.first, p.family.second):
        raise NotImplementedError
    return p.log_normaliser - (p.eta * q.mean_statistics).sum(-1) - q.entropy()
