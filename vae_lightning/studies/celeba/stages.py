"""Stages: a cell and what those before have found -> its model, trained and judged."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import lightning.pytorch as pl
import torch
from torch import Tensor

from vae_lightning.callbacks.images.reference_cache import ReferenceCache
from vae_lightning.conditional import as_conditional
from vae_lightning.data.loaders import View
from vae_lightning.latent_variable import LatentVariableModel
from vae_lightning.metrics.images.features import Features
from vae_lightning.models import GaussianVAE
from vae_lightning.randomness import seeded
from vae_lightning.studies.celeba.cell import AGAIN, TRUTH, CelebASize, Cell
from vae_lightning.studies.celeba.data import Blank, Imagined
from vae_lightning.studies.celeba.evaluation import SHOWN, judged, reconstructed
from vae_lightning.studies.celeba.generated import MEANS, NOISY, Distances, Generated
from vae_lightning.studies.celeba.networks import Networks, standing_statistics
from vae_lightning.studies.celeba.results import MODEL, Result
from vae_lightning.studies.celeba.source import Source
from vae_lightning.studies.celeba.truth import GroundTruth
from vae_lightning.studies.provenance import Settings
from vae_lightning.studies.store import Figures
from vae_lightning.studies.trainings import Trainings


@dataclass(frozen=True)
class Stages:
    """Runs cells of a stage.

    Args:
        size: how much is computed.
        seed: of everything.
        source: of the ground truth's generator.
        features: under which images are compared.
        cache: folder of the ground truth's features.
        found: what the stages before have found.
    """

    size: CelebASize
    seed: int
    source: Source
    features: Features
    cache: Path
    found: Mapping[Cell, Result]

    def run(self, cell: Cell, folder: Path, trained_by: Settings) -> Result:
        """Train and judge the model of a cell."""
        pl.seed_everything(self.seed, verbose=False)
        options = {"precision": self.size.precision, "limit_val_batches": 0}
        trainings = Trainings(folder, trained_by, self.size.save_every, options)
        if cell == TRUTH:
            return Result({}, {}, trainings.content(self._generator(trainings)))
        if cell == AGAIN:
            return Result(self._distances(self._networks.truth(self._weights(TRUTH)).model, cell))
        module = self._model(cell, trainings)
        model = trainings.content(module)
        figures = judged(module, self._imagined(self._truth), self.size.importance, folder)
        epochs = cell.joint.epochs(self.size.joint_epochs) if cell.joint else self.size.encoder_epochs
        seen: Figures = {"training_images": float(epochs * self.size.epoch)}
        return Result(figures | self._distances(module.model, cell) | seen, self._pictures(module), model)

    def _generator(self, trainings: Trainings) -> GaussianVAE:
        """The ground truth: the generator with noise, normalised by the statistics of the prior's codes."""
        if (kept := trainings.kept(trainings.folder / MODEL)) is not None:
            return self._networks.truth(kept["state_dict"])
        module = self._networks.truth(self.source.weights(self.size, trainings))
        truth = GroundTruth(as_conditional(module.model.decoder), self.seed)
        standing_statistics(truth.decoder.network, truth.code_batches(self.size.statistics, "statistics"))
        module.prepare_by(self._imagined(truth))
        return module

    def _model(self, cell: Cell, trainings: Trainings) -> GaussianVAE:
        """The model of a cell: as it was kept, if it was trained by these settings, else trained now."""
        module = self._begun(cell)
        if (kept := trainings.kept(trainings.folder / MODEL)) is not None:
            module.load_state_dict(kept["state_dict"])
            module.on_load_checkpoint(kept)
            module.prepare_by(self._imagined(self._truth))
        elif cell.joint is not None:
            images = self._imagined(self._truth, batch=cell.joint.batch)
            trainings.fit(module, images, cell.joint.epochs(self.size.joint_epochs))
        else:
            rows = Blank(self._truth.decoder.event_shape)
            trainings.fit(module, self._imagined(self._truth, rows), self.size.encoder_epochs)
            batches = self._truth.image_batches(self.size.statistics, "statistics")
            standing_statistics(module.model.get_submodule("encoder.network"), batches)
        return module.eval()

    def _begun(self, cell: Cell) -> GaussianVAE:
        """What a training begins from: the ground truth with a new encoder, or with that which was fitted to it."""
        weights = self._weights(cell.needs[-1])
        if cell.joint is None:
            return self._networks.encoder_for(weights, self.size.rate, cell.codes)
        return self._networks.joint(cell.joint, weights, self.size.rate)

    def _weights(self, cell: Cell) -> Mapping[str, Tensor]:
        model = self.found[cell].model
        if model is None:
            raise ValueError(f"{cell.name} has figures and no {MODEL}: remove its folder, and it is trained again")
        return model["state_dict"]

    @cached_property
    def _networks(self) -> Networks:
        return self.source.networks(self.size)

    @cached_property
    def _truth(self) -> GroundTruth:
        """As it was kept; drawn from where the models are."""
        module = self._networks.truth(self._weights(TRUTH))
        return GroundTruth(as_conditional(module.model.decoder), self.seed)

    def _imagined(self, truth: GroundTruth, training: View | None = None, batch: int | None = None) -> Imagined:
        return Imagined(truth, self.size.epoch, self.size.test, batch or self.size.batch, training)

    def _distances(self, model: LatentVariableModel, cell: Cell) -> Figures:
        """From the ground truth's images; those of all models are of the same codes, but for the ground truth's own."""
        measure = Distances(self.features, self.size.images, self.seed, ReferenceCache(self.cache))
        truth = self._networks.truth(self._weights(TRUTH)).model
        return measure(model, truth, "again" if cell == AGAIN else "model", cell.name)

    def _pictures(self, module: GaussianVAE) -> dict[str, Tensor]:
        """Images of the ground truth and what the model makes of them, and images of the same codes by the model."""
        numbers = torch.arange(SHOWN)
        x, z = (draw(numbers, "pictures").cpu() for draw in (self._truth.images, self._truth.codes))
        shown = Generated(module.model, self.seed, "pictures").at(z)
        with seeded(self.seed, "pictures"):
            return {"images": x, "samples": shown[NOISY], "means": shown[MEANS], **reconstructed(module, x)}
