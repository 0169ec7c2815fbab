"""Updates of stacked parameters, member by member: which are finite, how long gradients are, how far a step goes."""

from __future__ import annotations

from collections.abc import Iterable

import torch
from jaxtyping import Bool, Float
from torch import Tensor
from torch.nn.utils import get_total_norm

from vae_lightning.models.ensemble.stack import over_members


def gradients(parameters: Iterable[Tensor]) -> list[Tensor]:
    """The gradients of all parameters that have one."""
    return [parameter.grad for parameter in parameters if parameter.grad is not None]


def finite_members(losses: Float[Tensor, " M"], grads: list[Tensor], asks: bool = True) -> Bool[Tensor, " M"]:
    """Whose loss and gradient are finite.

    Where all are, as they nearly always are, it is one norm that says so; unless one `asks`, which waits for the
    device, all are looked at one by one.
    """
    finite = losses.isfinite()
    if asks and (get_total_norm(grads) + losses.sum()).isfinite():
        return torch.ones_like(finite)
    for grad in grads:
        finite = finite & grad.flatten(1).isfinite().all(1)
    return finite


@torch.no_grad()
def clip_norms(grads: list[Tensor], largest: float) -> None:
    """Scale each member's gradient down to this norm, as torch.nn.utils.clip_grad_norm_ does for a module alone."""
    norms = torch.stack([grad.flatten(1).norm(dim=1) for grad in grads]).norm(dim=0)
    scale = (largest / (norms + 1e-6)).clamp(max=1.0)
    for grad in grads:
        grad.mul_(over_members(scale, grad))


def clear_gradients(grads: list[Tensor], members: Bool[Tensor, " M"]) -> None:
    """Set the gradients of these members to 0."""
    for grad in grads:
        grad.masked_fill_(over_members(members, grad), 0.0)


@torch.no_grad()
def scale_steps(parameters: Iterable[Tensor], before: Iterable[Tensor], part: Float[Tensor, " M"]) -> None:
    """Let each member go this part of its way from before, exactly none and all of it for 0 and 1."""
    for parameter, old in zip(parameters, before, strict=True):
        parameter.copy_(torch.lerp(old, parameter, over_members(part, parameter)))
