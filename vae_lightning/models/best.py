"""BestWeights: a model's tensors -> copies of them at their best so far."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn


@torch.no_grad()
def copy_members(chosen: Bool[Tensor, "*M"], targets: Iterable[Tensor], sources: Iterable[Tensor]) -> None:
    """Overwrite targets by their sources: of one model if it is chosen, of models stacked in front those chosen."""
    for target, source in zip(targets, sources, strict=True):
        which = chosen.reshape((*chosen.shape, *[1] * (target.ndim - chosen.ndim)))
        target.copy_(torch.where(which, source, target))


class BestWeights(nn.Module):
    """Copies of tensors at their best so far, as buffers, with the value they had then and the repeat it was.

    Value and repeat are -inf and -1 before there are any. All may be stacked for many models, of which each has a best
    of its own. A buffer's name has a slash for each dot in the tensor's.
    """

    value: Tensor
    repeat: Tensor

    def __init__(self, tensors: Mapping[str, Tensor]) -> None:
        super().__init__()
        for name, tensor in tensors.items():
            self.register_buffer(name.replace(".", "/"), tensor.detach().clone())
        self.register_buffer("value", torch.tensor(-torch.inf))
        self.register_buffer("repeat", torch.tensor(-1))

    def keep(self, tensors: Mapping[str, Tensor], value: Float[Tensor, "*M"], repeat: int) -> None:
        """Copy the tensors if their value is above all before."""
        kept = [self.value, self.repeat, *self._copies(tensors)]
        copy_members(value > self.value, kept, [value, torch.full_like(self.repeat, repeat), *tensors.values()])

    def recall(self, tensors: Mapping[str, Tensor]) -> None:
        """Set the tensors back to the copies, if there are any."""
        copy_members(self.repeat >= 0, tensors.values(), self._copies(tensors))

    def _copies(self, tensors: Mapping[str, Tensor]) -> list[Tensor]:
        return [self.get_buffer(name.replace(".", "/")) for name in tensors]
