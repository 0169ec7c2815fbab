"""Optimizers: parameters -> Adam whose steps, where torch can, are fused; or any optimizer that lets some decay."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import torch
from lightning.pytorch.cli import OptimizerCallable
from torch import Tensor, nn
from torch.optim import Adam, Optimizer


def quick_adam(parameters: Iterable[Any], lr: float) -> Adam:
    """Adam, fused where torch has that for the parameters' devices and precisions: half the time of torch's default.

    `parameters` are what torch's takes: tensors, or groups of them with settings of their own. A state saved by an Adam
    that was not fused goes on as it began.
    """
    groups = list(parameters)
    tensors: list[Tensor] = [t for group in groups for t in (group["params"] if isinstance(group, dict) else [group])]
    kinds = {(tensor.device, tensor.dtype) for tensor in tensors}
    made = Adam(groups, lr=lr, fused=all(_fuses(device, dtype) for device, dtype in kinds) or None)
    # else a GradScaler leaves its scale to the step, and gradients could not be clipped before it
    made._step_supports_amp_scaling = False
    return made


def _fuses(device: torch.device, dtype: torch.dtype) -> bool:
    """Whether torch has the step, found out by taking one."""
    probe = nn.Parameter(torch.zeros(1, device=device, dtype=dtype))
    probe.grad = torch.zeros_like(probe)
    try:
        Adam([probe], fused=True).step()
    except (RuntimeError, NotImplementedError):
        return False
    return True


def check_decay(weight_decay: float) -> None:
    """ValueError unless it is 0 or more."""
    if not weight_decay >= 0:
        raise ValueError(f"weight_decay must be 0 or more, got {weight_decay}")


def with_decay(
    build: OptimizerCallable, weight_decay: float, decaying: Sequence[Tensor], others: Sequence[Tensor]
) -> Optimizer:
    """The optimizer of all of them, with this weight decay for some alone; ValueError for one that knows none."""
    groups: list[dict[str, Any]] = [{"params": list(decaying)}, {"params": list(others)}]
    if weight_decay:
        groups[0]["weight_decay"], groups[1]["weight_decay"] = weight_decay, 0.0  # AdamW's default is 0.01
    optimizer = build(groups)
    if weight_decay and "weight_decay" not in optimizer.defaults:
        raise ValueError(f"{type(optimizer).__name__} knows no weight decay: use SGD or Adam, or weight_decay 0")
    return optimizer


def at_rates(
    build: OptimizerCallable, parameters: Iterable[nn.Parameter], rates: Sequence[tuple[nn.Module, float]]
) -> Optimizer:
    """The optimizer of all parameters, with those of some modules in groups at multiples of its learning rate."""
    if not rates:
        return build(parameters)
    own = [list(module.parameters()) for module, _ in rates]
    apart = {id(parameter) for group in own for parameter in group}
    others = [parameter for parameter in parameters if id(parameter) not in apart]
    optimizer = build([{"params": group} for group in (others, *own)])
    for group, (_, rate) in zip(optimizer.param_groups[1:], rates, strict=True):
        group["lr"] = group["lr"] * rate  # a tensor may be that of all groups
    return optimizer


def adam(parameters: Iterable[Any]) -> Optimizer:
    """Adam at 1e-3, the default optimizer."""
    return quick_adam(parameters, lr=1e-3)
