"""gradient_variance: how noisy an objective's gradient is."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from vae_lightning.counts import Counts
from vae_lightning.latent_variable import LatentVariableModel
from vae_lightning.objectives.base import Objective, buffers_kept


def gradient_variance(
    objective: Objective,
    model: LatentVariableModel,
    x: Tensor | Counts,
    parameters: Sequence[Tensor],
    num_draws: int = 20,
) -> tuple[float, float]:
    """Total variance of d(mean bound)/d(parameters) over repeated draws at a fixed batch, and its standard error.

    The sum over coordinates of the unbiased sample variance; the standard error by the jackknife over draws. Leaves
    the parameters' `.grad` and the buffers of both modules alone. Raises ValueError for fewer than two draws.
    """
    if num_draws < 2:
        raise ValueError(f"a variance needs num_draws >= 2, got {num_draws}")
    with buffers_kept(model, objective):
        draws = torch.stack([_gradient(objective, model, x, parameters) for _ in range(num_draws)])
    deviations = (draws - draws.mean(0)).square().sum(1)
    n = num_draws
    variance = deviations.sum() / (n - 1)
    if n == 2:
        return float(variance), float("inf")
    # leaving draw i out lowers the sum of squared deviations by its own times n / (n - 1)
    left_out = (deviations.sum() - deviations * n / (n - 1)) / (n - 2)
    error = ((n - 1) / n * (left_out - left_out.mean()).square().sum()).sqrt()
    return float(variance), float(error)


@torch.enable_grad()
def _gradient(
    objective: Objective, model: LatentVariableModel, x: Tensor | Counts, parameters: Sequence[Tensor]
) -> Tensor:
    gradients = torch.autograd.grad(objective(model, x).mean(), parameters, materialize_grads=True)  # 0 where they rest
    return torch.cat([gradient.flatten() for gradient in gradients]).double()
