"""References: what a model's samples are compared with, the data or another model's samples, as batches of images."""

from __future__ import annotations

import abc
import hashlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import lightning.pytorch as pl
from torch import Tensor

from vae_lightning.callbacks.images.samplers import ImageSamples, Sampler, sampled
from vae_lightning.callbacks.requirements import evaluated
from vae_lightning.data.protocols import EvaluatesInOrder, SplitName, datamodule, view_limits
from vae_lightning.models.preflight import NAMES, stage_of
from vae_lightning.trust import read_checkpoint


class Reference(abc.ABC):
    """One side of a distance between images: the same images on any number of processes, shared among them."""

    @abc.abstractmethod
    def check(self, trainer: pl.Trainer) -> None:
        """Raises ValueError where it will not be able to give images."""

    @abc.abstractmethod
    def description(self, trainer: pl.Trainer, module: pl.LightningModule, split: SplitName) -> dict[str, Any]:
        """All that the images are a function of, in plain values; asked of the first process only."""

    @abc.abstractmethod
    def images(self, trainer: pl.Trainer, module: pl.LightningModule, split: SplitName) -> Iterator[tuple[int, Tensor]]:
        """This process's batches, each with its number over all processes."""


class DataReference(Reference):
    """All images of a split of the trainer's data.

    Args:
        split: by default the one that is evaluated; papers compare with "train" or with "test".
    """

    def __init__(self, split: SplitName | None = None) -> None:
        self.split = split

    def check(self, trainer: pl.Trainer) -> None:
        """ValueError unless the Trainer has a datamodule that gives any split in order, the one asked for of images."""
        data = _images(trainer)
        sizes = {self.split: len(data.split(self.split))} if self.split else evaluated(trainer, stage_of(trainer))
        for name, size in sizes.items():
            if size == 1:
                raise ValueError(f"DataReference needs two images or more, the {NAMES[name]} are one: set more aside")

    def description(self, trainer: pl.Trainer, module: pl.LightningModule, split: SplitName) -> dict[str, Any]:
        """The data module, its hyper-parameters, the split, and its number, shape and first batch of images."""
        data, split = _images(trainer), self.split or split
        first = next(iter(data.evaluation_dataloader(split)), None)
        if first is None or not isinstance(first[0], Tensor):
            raise ValueError(f"the {split} split of {type(data).__name__} has no images to compare with")
        return {
            "data": f"{type(data).__module__}.{type(data).__qualname__}",
            "hyperparameters": {name: _plain(value) for name, value in sorted(data.hparams.items())},
            "split": split,
            "images": len(data.split(split)),
            "image_shape": list(first[0].shape[1:]),
            # not every hyper-parameter is a plain value, and files change: some of the images speak for them
            "first_batch_sha256": hashlib.sha256(first[0].cpu().contiguous().numpy().tobytes()).hexdigest(),
        }

    def images(self, trainer: pl.Trainer, module: pl.LightningModule, split: SplitName) -> Iterator[tuple[int, Tensor]]:
        """The split's batches in [0, 1], of which number b belongs to process b mod W."""
        low, high = view_limits(datamodule(trainer))
        for index, (x, _) in enumerate(_images(trainer).evaluation_dataloader(self.split or split)):
            assert isinstance(x, Tensor), "description has looked at the first batch"
            yield index * trainer.world_size + trainer.global_rank, _unit(x, low, high).to(module.device)


def _unit(x: Tensor, low: float, high: float) -> Tensor:
    return x if (low, high) == (0, 1) else (x - low) / (high - low)


class CheckpointReference(Reference):
    """ImageSamples of another trained model, or of the same one at another time.

    Args:
        path: the checkpoint that `fit` wrote of it; it can build models, and cannot run anything else.
        num: how many images, at least two.
        sampler: how they are made: `ImageSamples` (default) or `ImageMeans`.
        trust: packages of your own whose classes it may name, beside those of VAE_LIGHTNING_TRUST.
    """

    def __init__(
        self, path: str | Path, num: int = 10_000, sampler: Sampler | None = None, trust: Sequence[str] = ()
    ) -> None:
        if num < 2:
            raise ValueError(f"CheckpointReference needs num >= 2 images, got {num}")
        self.path, self.num, self.sampler, self.trust = Path(path), num, sampler or ImageSamples(), tuple(trust)

    def check(self, trainer: pl.Trainer) -> None:
        """ValueError unless there is such a file, which may be used."""
        if not self.path.is_file():
            raise ValueError(f"there is no checkpoint {self.path}: give CheckpointReference the path of a .ckpt file")
        read_checkpoint(self.path, trust=self.trust)

    def description(self, trainer: pl.Trainer, module: pl.LightningModule, split: SplitName) -> dict[str, Any]:
        """The file's hash, how many images and how they were made."""
        with self.path.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
        return {"checkpoint_sha256": digest, "images": self.num, "sampler": type(self.sampler).__qualname__}

    def images(self, trainer: pl.Trainer, module: pl.LightningModule, split: SplitName) -> Iterator[tuple[int, Tensor]]:
        """Chunk c belongs to process c mod W; the model is let go of after the last."""
        other = self._load(module)
        yield from sampled(other, self.sampler, self.num, trainer, "CheckpointReference")

    def _load(self, module: pl.LightningModule) -> pl.LightningModule:
        content = read_checkpoint(self.path, trust=self.trust)
        # the command's checkpoints name their class; one that Python wrote is of the class at hand
        named = "_class_path" in content.get("hyper_parameters", {})
        kind = pl.LightningModule if named else type(module)
        other = kind.load_from_checkpoint(self.path, map_location=module.device, weights_only=True)
        return other.to(module.device).eval()


def _images(trainer: pl.Trainer) -> EvaluatesInOrder:
    """The trainer's data; ValueError unless they give any split in order."""
    data = datamodule(trainer)
    if not isinstance(data, EvaluatesInOrder):
        raise ValueError(
            "DataReference compares with the data's images: give the Trainer a datamodule with "
            "evaluation_dataloader(split), such as vae_lightning.data.Digits"
        )
    return data


def _plain(value: object) -> Any:
    return value if isinstance(value, str | int | float | bool | None) else repr(value)
