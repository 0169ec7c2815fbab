"""Two samples' features -> their kernel distance (KID, where the features are Inception's), with its error."""

from __future__ import annotations

import math

import torch
from jaxtyping import Float
from torch import Tensor

from vae_lightning.metrics.functional.importance import Estimate


def kernel_distance(
    features1: Float[Tensor, "n1 d"], features2: Float[Tensor, "n2 d"], subsets: int = 10, size: int = 1000
) -> Estimate:
    """Unbiased squared maximum mean discrepancy with the kernel k(x, y) = (x^T y / d + 1)^3, in float64, no unit.

    The mean over `subsets` disjoint pairs of subsets of at most `size` rows, chosen with a fixed seed, and as these are
    independent its standard error sd / sqrt(subsets); overlapping subsets, as others draw, have none that is honest.
    Fewer subsets where there are fewer than two rows for each; NaN error for a single one. May be negative.

    Raises ValueError for fewer than two rows a side. Source: Binkowski et al., Demystifying MMD GANs (2018), Eq. 4.
    """
    rows = min(len(features1), len(features2))
    if rows < 2:
        raise ValueError(f"a kernel distance needs two rows or more on either side, got {rows}")
    subsets = min(subsets, rows // 2)
    size = min(size, rows // subsets)
    generator = torch.Generator().manual_seed(0)
    chosen = (torch.randperm(len(side), generator=generator)[: subsets * size] for side in (features1, features2))
    pairs = zip(*(rows.view(subsets, size) for rows in chosen), strict=True)
    values = torch.stack([_discrepancy(features1[one].double(), features2[two].double()) for one, two in pairs])
    error = values.std() / math.sqrt(subsets) if subsets > 1 else values.new_tensor(math.nan)
    return Estimate(values.mean(), error)


def _discrepancy(x: Float[Tensor, "n d"], y: Float[Tensor, "n d"]) -> Float[Tensor, ""]:
    """Of as many rows each, as torchmetrics has it, whose import takes longer than that of torch."""
    rows = len(x)
    within = [kernel.sum(-1) - kernel.diag() for kernel in (_kernel(x, x), _kernel(y, y))]
    between = _kernel(x, y).sum(0).sum()
    return (within[0].sum() + within[1].sum()) / (rows * (rows - 1)) - 2 * between / rows**2


def _kernel(x: Float[Tensor, "n d"], y: Float[Tensor, "n d"]) -> Float[Tensor, "n n"]:
    return (x @ y.T * (1 / x.shape[1]) + 1) ** 3
