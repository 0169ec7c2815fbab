"""A weights file in the format of FID's Inception, with random weights that keep activations in scale."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor

from vae_lightning.metrics.images.inception import fid_structure


def random_weights(seed: int = 0) -> dict[str, Tensor]:
    """He-normal convolutions, batch norms that do something."""
    generator = torch.Generator().manual_seed(seed)
    with torch.device("meta"):
        state = fid_structure().state_dict()
    weights = {}
    for name, like in state.items():
        noise = torch.randn(like.shape, generator=generator)
        if name.endswith("num_batches_tracked"):
            continue  # the file of 2019 has none
        if like.ndim == 4:
            noise *= (2 / like[0].numel()) ** 0.5
        elif name.endswith(("running_var", "bn.weight")):
            noise = 1 + 0.1 * noise.abs()
        weights[name] = noise if like.ndim >= 2 or "running_var" in name or "weight" in name else 0.1 * noise
    return weights


def write_weights(path: Path, seed: int = 0) -> Path:
    """In torch's format before 1.6, as the true file."""
    torch.save(random_weights(seed), path, _use_new_zipfile_serialization=False)
    return path
