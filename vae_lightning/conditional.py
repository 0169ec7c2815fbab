"""Conditional: network + family, context -> Distribution. An encoder is one, and so is a decoder."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol, runtime_checkable

import torch
from torch import Size, Tensor, nn
from torch.distributions import Distribution

from vae_lightning.affine import Eta
from vae_lightning.construction.arguments import check_kinds
from vae_lightning.construction.asking import AsksTheObject
from vae_lightning.counts import Counts
from vae_lightning.families import ExponentialFamily
from vae_lightning.nn.outputs import Outputs

Network = Callable[[Sequence[int], int], nn.Module]
"""Builds a network from the shape of its context and the number of its outputs, from a Conditional as `nn.Outputs`."""


@runtime_checkable
class OfFamily(Protocol, metaclass=AsksTheObject):
    """An encoder or decoder whose distributions are all of one exponential family."""

    family: ExponentialFamily


class Conditional(nn.Module):
    """p(x | c), a member of the family whose parameters a network computes from the context c.

    c is (*B, *C) with C the `context_shape`, or a batch of `Counts`; the distribution has batch shape B and the
    family's event shape. `network(context_shape, num_parameters)` builds the network, where the number of parameters is
    an `nn.Outputs` that knows the event shape; what it emits passes through `family.constrain`.

    Examples:
        >>> import torch
        >>> from vae_lightning.conditional import Conditional
        >>> from vae_lightning.families import Normal
        >>> from vae_lightning.nn import MLP
        >>> encoder = Conditional(Normal(2), (1, 8, 8), MLP)
        >>> q = encoder(torch.rand(5, 1, 8, 8))
        >>> q.batch_shape, q.event_shape
        (torch.Size([5]), torch.Size([2]))
    """

    def __init__(self, family: ExponentialFamily, context_shape: Sequence[int], network: Network) -> None:
        check_kinds(Conditional, locals())
        super().__init__()
        self.family = family
        self.context_shape = Size(context_shape)
        self.network = network(
            self.context_shape, Outputs(family.num_parameters, family.event_shape, family.log_scales)
        )

    @property
    def event_shape(self) -> Size:
        """The shape of one x."""
        return self.family.event_shape

    def prototype(self) -> Distribution:
        """The family's member at theta = 0, batch shape (1,): what kind of distribution this is, told without data."""
        like = next(self.network.parameters(), torch.zeros(()))
        return self.family.member(like.new_zeros(1, self.family.num_parameters))

    def emitted(self, c: Tensor | Counts) -> Eta:
        """Theta(c), (*B, P), as the network gives it: a Tensor, or an Affine map that the family multiplies out."""
        theta = self.network(c)
        if isinstance(theta, Tensor) and torch.is_autocast_enabled(theta.device.type):
            # probabilities, and the noise they are compared with, need single precision: bfloat16 noise has 256 values
            theta = theta.to(torch.promote_types(theta.dtype, torch.float32))
        return theta

    def natural_parameters(self, c: Tensor | Counts) -> Eta:
        """Eta(c), (*B, P): a Tensor, or an Affine map that the family multiplies out if it must."""
        return self.family.constrain(self.emitted(c))  # type: ignore[arg-type]  # Affine where it takes one

    def forward(self, c: Tensor | Counts, family: ExponentialFamily | None = None) -> Distribution:
        """p(. | c); a member of `family`, if given: that of the conditional with what it does not model bound."""
        return (family or self.family).member(self.emitted(c))


def as_conditional(module: object) -> Conditional:
    """The encoder or decoder, which has a family; TypeError for one that is no Conditional."""
    if not isinstance(module, Conditional):
        raise TypeError(f"a Conditional is needed, of a family and a network, got {type(module).__name__}")
    return module
