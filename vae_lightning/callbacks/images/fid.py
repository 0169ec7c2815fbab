"""FrechetInceptionDistance: how far a model's samples are from the data's images, or from another model's."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import lightning.pytorch as pl
from torch import Tensor
from torch.nn import Module

from vae_lightning import metrics
from vae_lightning.callbacks.base import Diagnostic
from vae_lightning.callbacks.images.reference_cache import ReferenceCache
from vae_lightning.callbacks.images.references import DataReference, Reference
from vae_lightning.callbacks.images.samplers import ImageSamples, Sampler, sampled
from vae_lightning.callbacks.reporting import log_figures, logged_step, tensorboard
from vae_lightning.data.download import data_folder
from vae_lightning.data.images.inception_weights import fetch_inception_weights, inception_weights
from vae_lightning.data.protocols import SplitName
from vae_lightning.metrics.images.features import Features, NetworkFeatures
from vae_lightning.metrics.images.inception import FID_SHA256, InceptionFeatures
from vae_lightning.models.protocols import Generates

MAX_SAMPLES = 10_000


class FrechetInceptionDistance(Diagnostic):
    """Estimates how far a model's samples are from real images: FID, and KID beside it; smaller is better.

        FID = |m1 - m2|^2 + tr(C1 + C2 - 2 (C1 C2)^(1/2))

    with the mean m and the covariance C of Inception's 2048 features, of generated and of reference images. Logs `fid`,
    its standard error over the generated images `fid_error`, how many images there were, `fid_n` generated and
    `fid_reference_n`, and `kid`, the unbiased kernel distance of the same features, with `kid_error` over ten disjoint
    subsets. FID is biased upwards, by about a constant over n: compare only figures of equal numbers. KID is not.

    Only the FID weights, verified by their hash, earn these names. With any other network, such as
    `metrics.AttributeFeatures` of faces, whose weights come with the package, the figures are `frechet_distance...` and
    `kernel_distance...`, the first in squared units of its features. A TensorBoard text says of which features, images,
    size, split and preprocessing the figures are. Inception sees images as in pytorch-fid (299 x 299, bilinear), gray
    ones in three channels; any module sees them as they are. Generated images are clamped to [0, 1]; the data's have to
    be in it.

    Cost: an Inception pass for every generated image (0.1 to 0.3 s on a CPU core) and, the first time, for every
    reference image, whose features are then kept in a file of up to 120 MB; some ten seconds for the figures from 2048
    images on. The network is loaded for a report and let go of after it. The weights are downloaded once, 95 MB.

    TypeError or ValueError at setup for a model without sample(n), data without images, other weights than expected.

    Source: Heusel et al., GANs Trained by a Two Time-Scale Update Rule (2017), Eq. 6; Binkowski et al., Demystifying
    MMD GANs (2018); the bias: Chong and Forsyth, Effectively Unbiased FID (2020).

    Args:
        features: another network than Inception, by class path: `vae_lightning.metrics.AttributeFeatures`, or any
            module from images (B, C, H, W) in [0, 1] to (B, F).
        weights: the file of the FID weights; by default that in the data folder, downloaded if it is not there.
        sha256: what the weights' must be, or how it begins (8 digits or more); by default the FID weights'.
        reference: what samples are compared with: `DataReference(split)`, by default the split that is evaluated, or
            `CheckpointReference(path)`, another model's samples.
        sampler: how images are made: `ImageSamples` (default, `module.sample`) or `ImageMeans`, without noise.
        num: how many images to generate; by default as many as the reference has, at most 10,000.
        cache: folder for the reference's features; by default `fid` in the data folder, $VAE_LIGHTNING_DATA.
        every_n_epochs: in `fit`, watch the validation of every n-th epoch; `validate` and `test` always.
    """

    def __init__(
        self,
        features: Features | Module | None = None,
        weights: str | Path | None = None,
        sha256: str = FID_SHA256,
        reference: Reference | None = None,
        sampler: Sampler | None = None,
        num: int | None = None,
        cache: str | Path | None = None,
        every_n_epochs: int = 50,
    ) -> None:
        super().__init__(every_n_epochs)
        if num is not None and num < 2:
            raise ValueError(f"FrechetInceptionDistance needs num >= 2 generated images, got {num}")
        if features is not None and weights is not None:
            raise ValueError("give FrechetInceptionDistance either features, another network, or Inception's weights")
        self.reference, self.sampler, self.num = reference or DataReference(), sampler or ImageSamples(), num
        self.downloads = features is None and weights is None
        chosen = InceptionFeatures(weights or inception_weights(), sha256) if features is None else features
        self.features: Features = chosen if isinstance(chosen, Features) else NetworkFeatures(chosen)
        self.cache = ReferenceCache(Path(cache) if cache is not None else data_folder() / "fid")
        self.metric = metrics.FrechetInceptionDistance(self.features)

    def setup(self, trainer: pl.Trainer, pl_module: pl.LightningModule, stage: str) -> None:
        """Say before the first epoch, not after it, when model, data or weights do not fit."""
        if stage == "predict":
            return
        if not isinstance(pl_module, Generates):
            raise TypeError(
                f"FrechetInceptionDistance needs a model with sample(n) -> images; {type(pl_module).__name__} has none"
            )
        self.reference.check(trainer)
        if self.downloads and isinstance(self.features, InceptionFeatures):
            if trainer.local_rank == 0:
                fetch_inception_weights(self.features.sha256)
            trainer.strategy.barrier()
        self.features.check()

    def report(self, trainer: pl.Trainer, module: pl.LightningModule, split: SplitName) -> None:
        """Log; the metric has merged its moments over processes."""
        metric = self.metric.to(module.device)
        metric.reset()
        try:
            description, count = self._compare_with_reference(trainer, module, split)
            num = self.num or min(count, MAX_SAMPLES)
            for number, images in sampled(module, self.sampler, num, trainer, type(self).__name__):
                metric.update(images, real=False, number=number)
            figures = metric.compute()
        finally:
            self.features.free()
            metric.reset()
        log_figures(module, split, figures)
        self._describe(trainer, split, figures, description)

    def _compare_with_reference(
        self, trainer: pl.Trainer, module: pl.LightningModule, split: SplitName
    ) -> tuple[dict[str, Any], int]:
        """The reference's features into the metric, from the cache if the first process finds them there.

        What the first process cannot describe is an error on all of them.
        """
        description, cached, failure = {}, None, None
        if trainer.is_global_zero:
            try:
                description = self.reference.description(trainer, module, split) | self.features.description
                cached = self.cache.load(description)
            except Exception as error:  # whatever it is, told to the others, which would wait for this process forever
                failure = error
        failure, count = trainer.strategy.broadcast((failure, cached.count if cached is not None else 0))
        if failure is not None:
            raise failure
        if cached is not None:  # the others have nothing, and get it when the metric merges
            self.metric.insert(cached.to(module.device), real=True)
        if count:
            return description, count
        for number, images in self.reference.images(trainer, module, split):
            self.metric.update(images, real=True, number=number)
        with self.metric.sync_context(self.metric.dist_sync_fn):
            sample = self.metric.sample(real=True)
        if trainer.is_global_zero:
            self.cache.save(description, sample)
        return description, sample.count

    def _describe(
        self, trainer: pl.Trainer, split: SplitName, figures: dict[str, Tensor], description: dict[str, Any]
    ) -> None:
        if (writer := tensorboard(trainer)) is not None:
            told = {"features": self.features.name} | description
            told |= {"generated": int(next(v for k, v in figures.items() if k.endswith("_n")))}
            told |= {"sampler": type(self.sampler).__qualname__}
            text = "\n".join(f"    {line}" for line in json.dumps(told, indent=2).splitlines())
            writer.add_text(f"{split}/{next(iter(figures))}", text, logged_step(trainer))
