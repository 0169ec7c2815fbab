"""Shown: a network -> the same network, reading observations as their family shows them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

from torch import Tensor, nn

from vae_lightning.construction.arguments import check_kinds
from vae_lightning.families.base import ExponentialFamily

Network = Callable[[Sequence[int], int], nn.Module]


class Shown(nn.Module):
    """x -> network(family.shown(x)): an encoder's network sees categories one-hot, counts as logs, no NaN.

    `LatentVariableModel.of_families`, and with it `models.GaussianVAE` and its like, wrap their encoders so.

    Args:
        context_shape: shape of x, bound by the Conditional.
        num_outputs: bound by the Conditional.
        network: builds the network, for the shape that is shown.
        family: of x.

    Examples:
        >>> import torch
        >>> from vae_lightning.families import Categorical, Normal, Product
        >>> from vae_lightning.families.shown import Shown
        >>> from vae_lightning.nn import MLP
        >>> table = Product([Normal(2), Categorical(3)])
        >>> network = Shown(table.event_shape, 4, MLP, table)
        >>> network.network.output.in_features, network(torch.tensor([[0.5, -1.0, 2.0]])).shape  # 2 reals and 3 bits
        (5, torch.Size([1, 4]))
    """

    def __init__(
        self, context_shape: Sequence[int], num_outputs: int, network: Network, family: ExponentialFamily
    ) -> None:
        check_kinds(Shown, locals())
        super().__init__()
        self.family, self.network = family, network(family.shown_shape, num_outputs)

    def forward(self, x: Tensor) -> Tensor:
        """(*B, *X) -> (*B, outputs)."""
        return self.network(self.family.shown(x))


def reader(family: ExponentialFamily, network: Network) -> Network:
    """What builds an encoder's network that reads x of this family: the same, where x is shown as it is."""
    return network if family.shows_itself else partial(Shown, network=network, family=family)
