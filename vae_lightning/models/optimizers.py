"""Adam as the models have it by default: parameters -> an optimizer that, where torch can, takes its steps fused."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import Adam


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
