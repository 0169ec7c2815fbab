"""What a diagnostic should have seen: a split's own draws again."""

from __future__ import annotations

from typing import Any

import torch
import torch.distributions as td
from torch import Tensor

from vae_lightning.latent_variable import Draw


def draws(module: Any, data: Any, split: str) -> list[Draw]:
    """Of every batch of a split, in order: their noise is a function of the batch's number."""
    return [module.evaluate(batch, number) for number, batch in enumerate(data.evaluation_dataloader(split))]


def codes(module: Any, data: Any, split: str) -> Tensor:
    """z of a split, (S, N, *Z)."""
    return torch.cat([draw.z for draw in draws(module, data, split)], 1)


def posterior(module: Any, data: Any, split: str) -> td.Distribution:
    """q(z | x) of a whole split at once, batch shape (N,)."""
    with torch.no_grad():
        return module.model.encoder(data.split(split).x)
