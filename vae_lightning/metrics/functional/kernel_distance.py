"""Two samples' features -> their kernel distance (KID, where the features are Inception's), with its error."""

from __future__ import annotations

import math

import torch
from jaxtyping import Float
from torch import Tensor
from torchmetrics.image.kid import poly_mmd

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
    values = torch.stack([poly_mmd(features1[one].double(), features2[two].double()) for one, two in pairs])
    error = values.std() / math.sqrt(subsets) if subsets > 1 else values.new_tensor(math.nan)
    return Estimate(values.mean(), error)
