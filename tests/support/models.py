"""Small models, data and trainers that tests of modules and callbacks share."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

import lightning.pytorch as pl
import torch
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from vae_lightning import training
from vae_lightning.data import Digits, Newsgroups, StaticBinarisation
from vae_lightning.families import Bernoulli
from vae_lightning.models import GaussianVAE, HashingVAE
from vae_lightning.nn import MLP

NUM_WORDS, NUM_BITS = 80, 3


def newsgroups(folder: Path, **changes: Any) -> Newsgroups:
    """The miniature archive: 100 documents for training, 20 for validation, 61 for the test; uneven batches."""
    sizes = {"num_words": NUM_WORDS, "val_size": 20, "batch_size": 16, "eval_batch_size": 8}
    return Newsgroups(folder, hashes=None, **sizes | changes)


def hashing(**changes: Any) -> HashingVAE:
    """An untrained model of the miniature archive, the same at every call."""
    torch.manual_seed(0)
    return HashingVAE(**{"num_bits": NUM_BITS, "num_words": NUM_WORDS} | changes)


def digits(**changes: Any) -> Digits:
    """200 binary digits for training, 61 for validation, the rest for the test; uneven batches."""
    sizes = {"val_size": 61, "test_size": 1797 - 261, "batch_size": 20, "eval_batch_size": 16}
    return Digits(StaticBinarisation(), **sizes | changes)


def gaussian_vae(**changes: Any) -> GaussianVAE:
    """An untrained model of binary digits with two-dimensional codes, the same at every call."""
    torch.manual_seed(0)
    hidden = partial(MLP, hidden=[32])
    return GaussianVAE(
        **{"latent_dim": 2, "observed": Bernoulli((1, 8, 8)), "encoder": hidden, "decoder": hidden} | changes
    )


class Save(pl.Callback):
    """A checkpoint after a step, in mid-epoch."""

    def __init__(self, path: Path, step: int) -> None:
        self.path, self.step = path, step

    def on_train_batch_end(self, trainer: pl.Trainer, *_: Any) -> None:
        if trainer.global_step == self.step:
            trainer.save_checkpoint(self.path)


def trainer(*callbacks: pl.Callback, folder: Path | None = None, **changes: Any) -> pl.Trainer:
    """The project's Trainer for one epoch on one CPU process, with TensorBoard in `folder` if one is given."""
    settings = {"max_epochs": 1, "accelerator": "cpu", "log_every_n_steps": 2}
    return training.trainer(folder, callbacks=list(callbacks), **settings | changes)


def events(folder: Path) -> EventAccumulator:
    """Everything that was written for TensorBoard."""
    accumulator = EventAccumulator(
        str(folder), size_guidance={"tensors": 0, "images": 0, "scalars": 0, "histograms": 0}
    )
    return accumulator.Reload()
