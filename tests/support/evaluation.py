"""What a diagnostic should have seen: a split's own draws again, and a training without it."""

from __future__ import annotations

from typing import Any

import lightning.pytorch as pl
import torch
import torch.distributions as td
from torch import Tensor

from support.models import digits, gaussian_vae, trainer
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


def changes_nothing(watcher: pl.Callback) -> bool:
    """Whether weights after training are the same bits with and without, and training changed them."""
    ends = []
    for callbacks in ([watcher], []):
        module = gaussian_vae()
        trainer(*callbacks, max_epochs=2).fit(module, datamodule=digits())
        ends.append(module.state_dict())
    watched, alone = ends
    start = gaussian_vae().state_dict()
    assert any(not torch.equal(alone[name], start[name]) for name in start)
    return all(torch.equal(watched[name], alone[name]) for name in alone)
