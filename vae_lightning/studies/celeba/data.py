"""Imagined: a ground truth -> its images as data, which are drawn when a batch is made and do not end."""

from __future__ import annotations

from collections.abc import Sequence
from math import inf
from typing import ClassVar

import lightning.pytorch as pl
import torch
from jaxtyping import Float, Int64, Shaped
from torch import Tensor

from vae_lightning.data.images.celeba.preparation import FacePreparation
from vae_lightning.data.loaders import EvaluationLoader, Observations, TrainingLoader, View
from vae_lightning.data.orders import EvaluationOrder, TrainingOrder
from vae_lightning.randomness import run_seed
from vae_lightning.studies.celeba.truth import GroundTruth


class Imagined(pl.LightningDataModule):
    """Images of a ground truth: new ones in every training epoch, and the same for every test.

    What is drawn is a function of (seed of the run, epoch, number), so that a training that was interrupted goes on
    with the very images that it would have seen.

    Args:
        truth: where they come from.
        epoch: how many count as an epoch.
        test: how many are held out.
        batch: images of a batch.
        training: what training sees in their place.
    """

    def __init__(self, truth: GroundTruth, epoch: int, test: int, batch: int, training: View | None = None) -> None:
        super().__init__()
        self.truth, self.batch = truth, batch
        self.train, self.test = _numbered(0, epoch, training or truth), _numbered(epoch, test, truth)
        self.observed_shape = tuple(truth.decoder.event_shape)
        self.preparation = FacePreparation(list(self.observed_shape), None)

    def setup(self, stage: str) -> None:
        """Draw where the model is."""
        if self.trainer is not None:
            self.truth.decoder.to(self.trainer.strategy.root_device)

    def train_dataloader(self) -> TrainingLoader:
        """New images."""
        order = TrainingOrder(len(self.train), self.batch, run_seed(), *self._process())
        return TrainingLoader(self.train, order)

    def test_dataloader(self) -> EvaluationLoader:
        """Those that are held out."""
        return EvaluationLoader(self.test, EvaluationOrder(len(self.test), self.batch, *self._process()))

    def _process(self) -> tuple[int, int]:
        return (0, 1) if self.trainer is None else (self.trainer.global_rank, self.trainer.world_size)


class Blank:
    """A view for what looks at the number of images alone, as `objectives.ForwardKL` does."""

    limits: ClassVar[tuple[float, float]] = (-inf, inf)

    def __init__(self, image: Sequence[int]) -> None:
        self.image = tuple(image)

    def __call__(
        self, stored: Shaped[Tensor, "B 0"], ids: Int64[Tensor, " B"], draw: int | None = None
    ) -> Float[Tensor, "B C H W"]:
        """As many blank images."""
        return torch.zeros(len(ids), *self.image)


def _numbered(first: int, num: int, view: View) -> Observations:
    return Observations(torch.empty(num, 0), torch.zeros(num), torch.arange(first, first + num), view)
