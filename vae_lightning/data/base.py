"""InMemoryDataModule: splits held in memory -> Lightning's loaders, with the right share for each process."""

from __future__ import annotations

import abc
from typing import Any

import torch
from jaxtyping import Int64
from lightning.pytorch import LightningDataModule
from torch import Tensor

from vae_lightning.batches import moved
from vae_lightning.data.loaders import Batch, EvaluationLoader, Observations, TrainingLoader
from vae_lightning.data.orders import EvaluationOrder, SameOrder, TrainingOrder
from vae_lightning.data.protocols import Predicted, SplitName, observed_shape, vocabulary_size
from vae_lightning.randomness import run_seed
from vae_lightning.trust import FromCheckpoint

_TOLD: dict[SplitName, str] = {"train": "to train on", "val": "to validate", "test": "to test"}


class InMemoryDataModule(FromCheckpoint, LightningDataModule, abc.ABC):
    """Data that fit in memory: `load` gives the three splits, and a batch is one slice (x, y) of them.

    Training batches are shuffled by (seed of the run, epoch), the seed being that of `seed_everything`; evaluation
    keeps the order of the data. Batches are shared by the trainer's processes, whatever its `use_distributed_sampler`,
    which is for torch's DataLoaders. Predictions are made for `predict_split`; `predict_ids` names their observations.
    """

    def __init__(self, batch_size: int, eval_batch_size: int, predict_split: Predicted = "test") -> None:
        super().__init__()
        for name, size in {"batch_size": batch_size, "eval_batch_size": eval_batch_size}.items():
            if size < 1:
                raise ValueError(f"{name} must be at least 1, got {size}")
        self.batch_size, self.eval_batch_size, self.predict_split = batch_size, eval_batch_size, predict_split
        self._splits: dict[Predicted, Observations] = {}
        self._seed: int | None = None  # of the training order, once there is one
        self._restored_seed: int | None = None

    def __repr__(self) -> str:
        """`Digits(1,258 to train on, 180 to validate, 359 to test, each (1, 8, 8))`, once it is set up."""
        if not self._splits:
            return f"{type(self).__name__}(not set up)"
        known = [f"{len(self._splits[name]):,} {what}" for name, what in _TOLD.items() if name in self._splits]
        words, shape, path = vocabulary_size(self), observed_shape(self), self.hparams.get("path")
        where = [repr(str(path))] if path is not None else []
        one = [f"{words:,} words"] if words else [] if shape is None else [f"each {shape}"]
        return f"{type(self).__name__}({', '.join([*where, *known, *one])})"

    __str__ = __repr__

    @abc.abstractmethod
    def load(self) -> tuple[Observations, Observations, Observations]:
        """The training, validation and test split; called once, on every process."""

    def whole(self) -> Observations:
        """All observations in the order of their source; ValueError where there are splits alone."""
        raise ValueError(f"{type(self).__name__} is predicted by its splits: predict_split is train, val or test")

    def setup(self, stage: str | None = None) -> None:
        """Load the splits, once, whatever the stage; to predict all observations, these alone, unsplit."""
        if stage == "fit" and self.trainer is not None and not self.trainer.global_step:
            self.forget_seed()
        if stage == "predict" and self.predict_split == "all":
            if "all" not in self._splits:
                self._splits["all"] = self.whole()
        elif "train" not in self._splits:
            train, val, test = self.load()
            self._splits |= {"train": train, "val": val, "test": test}

    def forget_seed(self) -> None:
        """Shuffle the next fit by the seed of its run, which is not that of a checkpoint that was read before."""
        self._seed = self._restored_seed = None

    @property
    def train(self) -> Observations:
        """The training split; ValueError before setup()."""
        return self.split("train")

    @property
    def val(self) -> Observations:
        """The validation split; ValueError before setup()."""
        return self.split("val")

    @property
    def test(self) -> Observations:
        """The test split; ValueError before setup()."""
        return self.split("test")

    def split(self, name: Predicted) -> Observations:
        """The split of this name; ValueError before setup()."""
        if name not in self._splits:
            raise ValueError(f"{type(self).__name__} has no data yet: call setup() first")
        return self._splits[name]

    def placed(self, data: Observations) -> Observations:
        """A split as the trainer's loaders read it."""
        return data

    def train_dataloader(self) -> TrainingLoader:
        """Shuffled by (seed of the run, epoch); a resumed run goes on with the seed it began with.

        With the trainer's `overfit_batches`, every epoch has the first one's batches.
        """
        self._seed = seed = run_seed() if self._restored_seed is None else self._restored_seed
        trainer: Any = self.trainer
        kind = SameOrder if trainer is not None and trainer.overfit_batches > 0 else TrainingOrder
        data = self.placed(self.train)
        return TrainingLoader(data, kind(len(self.train), self.batch_size, seed, *self._process()))

    def evaluation_dataloader(self, name: Predicted) -> EvaluationLoader:
        """Any split in the order of its data; ValueError for fewer batches than processes."""
        data, (rank, world_size) = self.split(name), self._process()
        if 0 < -(-len(data) // self.eval_batch_size) < world_size:  # Lightning would leave out what ends a split
            raise ValueError(
                f"{len(data)} {name} observations in batches of {self.eval_batch_size} leave some of {world_size} "
                f"processes without a batch: set data.eval_batch_size to at most {max(1, len(data) // world_size)}, or "
                "use fewer devices"
            )
        return EvaluationLoader(self.placed(data), EvaluationOrder(len(data), self.eval_batch_size, rank, world_size))

    def val_dataloader(self) -> EvaluationLoader:
        """The validation split in the order of its data."""
        return self.evaluation_dataloader("val")

    def test_dataloader(self) -> EvaluationLoader:
        """The test split in the order of its data."""
        return self.evaluation_dataloader("test")

    def predict_dataloader(self) -> EvaluationLoader:
        """The split that predictions are made for, in the order of its data."""
        return self.evaluation_dataloader(self.predict_split)

    def predict_ids(self, batch_idx: int) -> Int64[Tensor, " B"]:
        """The ids of the observations in this process's batch of this number of `predict_dataloader`."""
        loader = self.predict_dataloader()
        return loader.data.ids[loader.order[batch_idx]]

    def transfer_batch_to_device(self, batch: Batch, device: torch.device, dataloader_idx: int) -> Batch:
        """Both halves of the batch: Lightning's search through nested collections costs a tenth of a small step."""
        return moved(batch, device)

    def state_dict(self) -> dict[str, Any]:
        """The seed of the training order: Lightning restores loaders in mid-epoch only, this always."""
        return {"seed": run_seed() if self._seed is None else self._seed}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Let the fit that goes on from the checkpoint have its seed; ValueError if it has none."""
        seed = state_dict.get("seed") if isinstance(state_dict, dict) else None
        if not isinstance(seed, int):
            raise ValueError(f"the checkpoint's record of {type(self).__name__} has no seed, which is a whole number")
        self._restored_seed = seed

    def _process(self) -> tuple[int, int]:
        trainer = self.trainer
        return (trainer.global_rank, trainer.world_size) if trainer is not None else (0, 1)
