"""Samplers: a model -> images that it makes, and their shares of a number of processes."""

from __future__ import annotations

import abc
from collections.abc import Iterator
from itertools import islice

import lightning.pytorch as pl
import torch
from torch import Size, Tensor

from vae_lightning.latent_variable import LatentVariableModel
from vae_lightning.models.protocols import Generates, part, seed_of
from vae_lightning.models.reproducible import ReproducibleModule
from vae_lightning.randomness import seeded

CHUNK_SAMPLES = 100  # with a seed of their own, and the share of one process


class Sampler(abc.ABC):
    """How images are made from a model."""

    @abc.abstractmethod
    def __call__(self, module: pl.LightningModule, n: int) -> Tensor:
        """(n, C, H, W)."""


class ImageSamples(Sampler):
    """x ~ p(x), by `module.sample(n)`: with the observation's noise, where the model has some."""

    def __call__(self, module: pl.LightningModule, n: int) -> Tensor:
        """(n, C, H, W); TypeError for a model that has no sample(n)."""
        if not isinstance(module, Generates):
            raise TypeError(f"ImageSamples needs a model with sample(n) -> images; {type(module).__name__} has none")
        images = module.sample(n)
        assert isinstance(images, Tensor), "bags of words are no images"
        return images


class ImageMeans(Sampler):
    """E[x | z] for z ~ p(z), without the observation's noise, of a VAE: what papers mostly show and score."""

    def __call__(self, module: pl.LightningModule, n: int) -> Tensor:
        """(n, C, H, W); TypeError for a model that has no `.model` with prior and decoder."""
        model = part(module, "model")
        if not isinstance(model, LatentVariableModel):
            raise TypeError(
                f"ImageMeans needs a model with prior and decoder, got {type(module).__name__}: use ImageSamples"
            )
        means = model.decoder(model.prior().sample(Size([n]))).mean
        return module.read_by.to_original(means) if isinstance(module, ReproducibleModule) else means


def sampled(
    module: pl.LightningModule, sampler: Sampler, num: int, trainer: pl.Trainer, name: str
) -> Iterator[tuple[int, Tensor]]:
    """This process's chunks of `num` images, clamped to [0, 1]; chunk c is a function of the model and (name, c)."""
    starts = range(0, num, CHUNK_SAMPLES)
    for number, start in islice(enumerate(starts), trainer.global_rank, None, trainer.world_size):
        apart = seeded(seed_of(module), name, number)
        with apart, torch.no_grad(), torch.autocast(module.device.type, enabled=False):
            images = sampler(module, min(CHUNK_SAMPLES, num - start)).float().clamp(0, 1)
        yield number, images
