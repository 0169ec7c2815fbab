"""Exponential families: natural parameters eta -> distributions p(x | eta) = h(x) exp(<eta, T(x)> - A(eta))."""

from __future__ import annotations

import abc
from collections.abc import Sequence
from typing import Any, ClassVar, SupportsIndex

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Size, Tensor
from torch.distributions import Distribution

from vae_lightning.counts import Counts


class ExponentialFamily(abc.ABC):
    """p(x | eta) = h(x) exp(<eta, T(x)> - A(eta)) with eta flat in R^P; stateless.

    Shapes: x is (*B, *E) with E the `event_shape`; T(x) and eta are (*B, P); A and log h are (*B), in nats.
    Unless a family says otherwise, T(x) = x and h = 1.
    Source: Shekhovtsov, Schlesinger, Flach, VAE Approximation Error (2022), Assumption 1.
    """

    event_shape: Size
    num_parameters: int
    independent_bits: ClassVar[bool] = False
    """Whether x are bits that do not depend on each other."""
    has_length: ClassVar[bool] = False
    """Whether x are documents, whose lengths the family does not model."""
    has_log_partition: ClassVar[bool] = True
    """Whether A(eta) is known, and with it the log-probability."""
    takes_missing: ClassVar[bool] = False
    """Whether entries of x may be missing, as NaN."""
    shows_itself: ClassVar[bool] = True
    """Whether an encoder sees x as it is; others are `shown`."""

    @property
    def shown_shape(self) -> Size:
        """The shape of what an encoder sees of x; by default that of x."""
        return self.event_shape

    def shown(self, x: Tensor) -> Float[Tensor, "..."]:
        """What an encoder's network sees of x, (*B, *shown_shape); by default x."""
        return x

    @property
    def log_scales(self) -> tuple[slice, ...]:
        """Which of theta are log standard deviations; by default none."""
        return ()

    @property
    def num_columns(self) -> int:
        """How many columns of a table hold an x; by default one for each entry."""
        return self.event_shape.numel()

    def of_columns(self, columns: Float[Tensor, "*B C"]) -> Float[Tensor, "..."]:
        """The x, (*B, *E), in these columns of a table."""
        return columns.unflatten(-1, self.event_shape)

    def in_columns(self, x: Float[Tensor, "..."]) -> Float[Tensor, "*B C"]:
        """The columns in which a table holds x."""
        return x.flatten(x.ndim - len(self.event_shape))

    def sufficient_statistics(self, x: Tensor) -> Float[Tensor, "*B P"]:
        """T(x); by default x, flat."""
        return x.flatten(x.ndim - len(self.event_shape))

    def log_base_measure(self, x: Tensor) -> Float[Tensor, "*B"]:
        """Log h(x); by default zero."""
        return x.new_zeros(x.shape[: x.ndim - len(self.event_shape)])

    @abc.abstractmethod
    def log_partition(self, eta: Float[Tensor, "*B P"]) -> Float[Tensor, "*B"]:
        """A(eta)."""

    @abc.abstractmethod
    def distribution(self, eta: Float[Tensor, "*B P"]) -> Distribution:
        """p(. | eta), of batch shape B and event shape E."""

    def mean_statistics(self, eta: Float[Tensor, "*B P"]) -> Float[Tensor, "*B P"]:
        """E[T(x)], the gradient of A; by default through autograd."""
        with torch.enable_grad():
            leaf = eta.detach().requires_grad_()
            (mean,) = torch.autograd.grad(self.log_partition(leaf).sum(), leaf)
        return mean

    @torch.no_grad()
    def sample(self, eta: Float[Tensor, "*B P"]) -> Float[Tensor, "..."]:
        """One x for each row of eta, (*B, *E)."""
        return self.distribution(eta).sample()

    @torch.no_grad()
    def mean_and_sample(self, eta: Float[Tensor, "*B P"]) -> tuple[Float[Tensor, "*B P"], Float[Tensor, "..."]]:
        """`mean_statistics` and `sample` at the price of the dearer one, where they share their work."""
        return self.mean_statistics(eta), self.sample(eta)

    def fitted(self, mean: Float[Tensor, "*B P"]) -> Float[Tensor, "*B P"]:
        """The theta whose E[T(x)] is this mean of T(x) over data, kept off the edge where theta would be infinite.

        Where training starts; a family without a closed form may come as near as it can.
        """
        raise TypeError(f"{self!r} has no closed form for the parameters that fit data")

    def pulled_back(self, theta: Float[Tensor, "*B P"], gradient: Float[Tensor, "*B P"]) -> Float[Tensor, "*B P"]:
        """The gradient with respect to theta, from that with respect to eta = constrain(theta)."""
        return gradient

    def constrain(self, theta: Float[Tensor, "*B P"]) -> Float[Tensor, "*B P"]:
        """Map what a network emits, any real vector, into the domain of A."""
        return theta

    def unconstrain(self, eta: Float[Tensor, "*B P"]) -> Float[Tensor, "*B P"]:
        """The theta with constrain(theta) = eta."""
        return eta

    def member(self, theta: Any) -> Distribution:
        """p(. | constrain(theta)), of what a network emits; another way there may lose fewer digits."""
        return self.distribution(self.constrain(theta))

    def canonical(self, eta: Float[Tensor, "*B P"]) -> Float[Tensor, "*B P"]:
        """The same for all eta of one distribution; by default each eta has a distribution of its own."""
        return eta

    def containing(self, x: Tensor | Counts) -> ExponentialFamily:
        """The family with what is not modelled but read off x bound: the lengths of documents. By default, itself."""
        return self

    def given(self, total: Tensor, words: int | None = None) -> ExponentialFamily:
        """The family of documents of these lengths, `words` in all if that is known; TypeError unless it `has_length`.

        A sample makes one draw for each word, so where `words` is not given it waits for the device to tell.
        """
        raise TypeError(f"only documents have lengths; {self!r} needs none: leave given(total) out")

    @property
    def wants_total(self) -> bool:
        """Whether A and samples have to wait until `given` tells the lengths."""
        return False

    @property
    def coupled(self) -> slice:
        """Which of the P statistics a harmonium may couple and stay normalisable."""
        return slice(0, self.num_parameters)

    def coupled_statistics(self, x: Tensor) -> Float[Tensor, "*B C"]:
        """Those of T(x) that a harmonium may couple."""
        return self.sufficient_statistics(x)[..., self.coupled]

    def field(self, x: Any, weight: Tensor) -> Tensor:
        """What x says to the other side of a harmonium: its coupled statistics times W."""
        return self.coupled_statistics(x) @ weight

    def shifted(self, eta: Tensor, field: Tensor) -> Tensor:
        """Eta with what the other side says added, at the places of the coupled statistics."""
        if field.shape[-1] == self.num_parameters:
            return eta + field
        start, stop, _ = self.coupled.indices(self.num_parameters)
        return eta + F.pad(field, (start, self.num_parameters - stop))

    def log_factor(self, x: Any, eta: Tensor) -> Tensor:
        """log h(x) + <eta, T(x)>: this side's own part of a harmonium."""
        return self.log_base_measure(x) + self.sufficient_statistics(x) @ eta

    def __repr__(self) -> str:
        return f"{type(self).__name__}({tuple(self.event_shape)})"


def as_event_shape(shape: SupportsIndex | Sequence[int] | None, family: str) -> Size:
    """Accept `8` or `(1, 28, 28)`; raise ValueError unless there is an axis and every one has an entry.

    None is for the command alone, which has put the data's shape in its place before anything is built.
    """
    if shape is None:
        raise ValueError(f"{family} needs the shape of an event: give event_shape, such as data.observed_shape")
    size = Size([int(shape)] if isinstance(shape, SupportsIndex) else shape)
    if min(size, default=0) < 1:
        raise ValueError(f"{family} needs an event shape with at least one entry, got {tuple(size)}")
    return size
