"""Source: faces, or a trained GAN -> the weights of a generator, and of what networks it is."""

from __future__ import annotations

import abc
import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from torch import Tensor

from vae_lightning.callbacks import ExponentialMovingAverage
from vae_lightning.data import CelebA
from vae_lightning.loading import load
from vae_lightning.models.reproducible import ReproducibleModule
from vae_lightning.studies.celeba.cell import CelebASize
from vae_lightning.studies.celeba.networks import Networks
from vae_lightning.studies.provenance import Settings
from vae_lightning.studies.trainings import Trainings


class Source(abc.ABC):
    """Where the ground truth's generator comes from."""

    @abc.abstractmethod
    def networks(self, size: CelebASize) -> Networks:
        """What it is built of, and the other models."""

    @abc.abstractmethod
    def weights(self, size: CelebASize, trainings: Trainings) -> Mapping[str, Tensor]:
        """The state of a module whose decoder has the generator as its network."""

    @abc.abstractmethod
    def settings(self, size: CelebASize) -> Settings:
        """What the weights depend on."""


@dataclass(frozen=True)
class Faces(Source):
    """A GAN is trained on faces: in a folder or a zip file, by default where `data.CelebA` looks for them."""

    path: Path | None

    def networks(self, size: CelebASize) -> Networks:
        """The DCGAN's."""
        return Networks.of_size(size)

    def weights(self, size: CelebASize, trainings: Trainings) -> Mapping[str, Tensor]:
        """Those of the GAN's last epoch, averaged over steps."""
        gan = self.networks(size).gan(size)
        path = None if self.path is None else str(self.path)
        faces = CelebA(path, size=size.side, attributes=[], flip=True, batch_size=size.batch, val_size=0, test_size=0)
        trainings.fit(gan, faces, size.gan_epochs, [ExponentialMovingAverage()])
        return gan.state_dict()

    def settings(self, size: CelebASize) -> Settings:
        """The faces, and how often each is seen."""
        return {"faces": str(self.path or "those of the data folder"), "GAN epochs": size.gan_epochs}


@dataclass(frozen=True)
class Trained(Source):
    """A GAN that was trained before: a checkpoint."""

    file: Path

    @cached_property
    def module(self) -> ReproducibleModule:
        """The model of the checkpoint."""
        return load(self.file)

    def networks(self, size: CelebASize) -> Networks:
        """Its own, and the size's encoder."""
        return Networks.of(self.module, size)

    def weights(self, size: CelebASize, trainings: Trainings) -> Mapping[str, Tensor]:
        """Its weights, in single precision."""
        return self.module.float().state_dict()

    def settings(self, size: CelebASize) -> Settings:
        """The file's content."""
        return {"generator": hashlib.sha256(self.file.read_bytes()).hexdigest()[:16]}
