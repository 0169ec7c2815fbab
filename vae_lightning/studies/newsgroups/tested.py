"""LeastTestDeviance: a training and its test documents -> the least deviance of these after any epoch."""

from __future__ import annotations

from math import inf
from typing import Any

import lightning.pytorch as pl
import torch

from vae_lightning.data import Newsgroups
from vae_lightning.models import HashingVAE


class LeastTestDeviance(pl.Callback):
    """Reads the test split after every epoch, as the paper does for its table (Appendix C.2).

    A figure that is chosen on the test split is too good; this one is for the comparison alone, and nothing is chosen
    by it. Training is the same with it and without.

    Args:
        data: with the test split.
    """

    def __init__(self, data: Newsgroups) -> None:
        self.data, self.least = data, inf

    @torch.no_grad()
    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Keep the least."""
        assert isinstance(pl_module, HashingVAE), "others have no deviance"
        self.least = min(self.least, self._deviance(trainer, pl_module.eval()))
        pl_module.train()

    def _deviance(self, trainer: pl.Trainer, module: HashingVAE) -> float:
        found = []
        for index, batch in enumerate(self.data.test_dataloader()):
            draw = module.evaluate(trainer.strategy.batch_to_device(batch), index)
            found.append(module.figures(draw)["deviance"].double())
        return float(torch.cat(found).mean())

    def state_dict(self) -> dict[str, Any]:
        """The least so far, for a training that goes on."""
        return {"least": self.least}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Go on from there."""
        self.least = float(state_dict["least"])
