"""Digits: scikit-learn's bundled 8 x 8 digits -> batches of images (B, 1, 8, 8) and labels."""

from __future__ import annotations

import gzip
from importlib.metadata import distribution

import numpy as np
import torch

from vae_lightning.construction.arguments import check_kinds
from vae_lightning.construction.hyperparameters import only_plain
from vae_lightning.data.base import InMemoryDataModule
from vae_lightning.data.images.binarise import Binarisation
from vae_lightning.data.images.pixels import Pixels
from vae_lightning.data.images.preparation import ImagePreparation
from vae_lightning.data.loaders import Observations
from vae_lightning.data.protocols import SplitName
from vae_lightning.data.splits import stratified_rows

WHITE = 16  # intensities are whole numbers from 0 to this


class Digits(InMemoryDataModule):
    """1,797 handwritten digits that come with scikit-learn, nothing to download; x (B, 1, 8, 8) in [0, 1], y (B,).

    The splits have the ten labels in proportion and are a function of `seed`; an observation's id is its row in
    scikit-learn's file. Source: E. Alpaydin and C. Kaynak, Optical recognition of handwritten digits (1998), the test
    part.

    Args:
        binarisation: None for intensities, in steps of 1/16; else `vae_lightning.data.StaticBinarisation` (drawn once),
            `DynamicBinarisation` (drawn anew every training epoch) or `ThresholdBinarisation`.
        val_size: a share, or how many, for validation.
        test_size: a share, or how many, for the test, chosen before validation: it stays when `val_size` changes.
        seed: of the splits and their order; the order of training has the seed of the run.
        batch_size: observations in a training batch, for each process of the trainer.
        eval_batch_size: observations in a validation, test or prediction batch.
        predict_split: which split `predict` reads.

    ValueError for sizes that leave nothing for training.

    Examples:
        >>> from vae_lightning.data import Digits, StaticBinarisation
        >>> data = Digits(StaticBinarisation())
        >>> data.setup()
        >>> len(data.train), len(data.val), len(data.test)
        (1258, 180, 359)
        >>> data.train.x.shape, data.train.x.unique()
        (torch.Size([1258, 1, 8, 8]), tensor([0., 1.]))
    """

    observed_shape = (1, 8, 8)

    def __init__(
        self,
        binarisation: Binarisation | None = None,
        val_size: int | float = 0.1,
        test_size: int | float = 0.2,
        seed: int = 0,
        batch_size: int = 64,
        eval_batch_size: int = 256,
        predict_split: SplitName = "test",
    ) -> None:
        check_kinds(Digits, locals())
        super().__init__(batch_size, eval_batch_size, predict_split)
        with only_plain(self):
            self.save_hyperparameters(logger=False)
        self.binarisation, self.val_size, self.test_size, self.seed = binarisation, val_size, test_size, seed

    @property
    def preparation(self) -> ImagePreparation:
        """How other pictures become x."""
        return ImagePreparation(list(self.observed_shape), binarisation=self.binarisation)

    def load(self) -> tuple[Observations, Observations, Observations]:
        """The three splits."""
        file = distribution("scikit-learn").locate_file("sklearn/datasets/data/digits.csv.gz")
        with gzip.open(str(file), "rt", encoding="utf-8") as rows:  # importing scikit-learn would take half a second
            numbers = torch.from_numpy(np.loadtxt(rows, np.int64, delimiter=","))
        stored, y = numbers[:, :-1].byte().view(-1, *self.observed_shape), numbers[:, -1].contiguous()
        digits = Observations(stored, y, torch.arange(len(y)), Pixels(WHITE, self.binarisation))
        sizes = {"test_size": self.test_size, "val_size": self.val_size}
        test, val, train = (digits.select(rows) for rows in stratified_rows(y, sizes, self.seed))
        return train, val, test
