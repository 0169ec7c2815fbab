"""Generated: models -> images at the same codes and with the same noise, and how far they are from one another."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch
from jaxtyping import Float
from rich.progress import track
from torch import Tensor

from vae_lightning import metrics
from vae_lightning.callbacks.images.reference_cache import ReferenceCache
from vae_lightning.distributions import sample
from vae_lightning.latent_variable import LatentVariableModel
from vae_lightning.metrics.images.features import Features
from vae_lightning.randomness import Noise, derive_seed, seeded
from vae_lightning.studies.store import Figures

ROWS = 100  # images at once, with a seed of their own
NOISY, MEANS = "", "_of_means"
"""What a distance compares: samples of p(x | z), clipped to [-1, 1], or its means, by the end of the figure's name."""


class Generated:
    """Images of a model for z ~ p(z): chunk c is a function of the model and (seed, key, c).

    Models of the same prior have the same codes, and all have the same noise, so that their figures are comparable
    image by image.

    Args:
        model: with a decoder of images in [-1, 1], in evaluation mode.
        seed: of all that is drawn.
        key: of these images; others are independent.
    """

    def __init__(self, model: LatentVariableModel, seed: int, key: str) -> None:
        self.model, self.seed, self.key = model, seed, key

    @torch.no_grad()
    def chunk(self, number: int, size: int) -> dict[str, Float[Tensor, "size C H W"]]:
        """`size` noisy samples and the means that they are of, in [-1, 1]."""
        with seeded(self.seed, self.key, number, "code"):
            z = sample(self.model.prior(), size, Noise())
        return self.at(z, number)

    @torch.no_grad()
    def at(self, z: Float[Tensor, "size latent"], number: int = 0) -> dict[str, Float[Tensor, "size C H W"]]:
        """The same of these codes."""
        p = self.model.decoder(z)
        with seeded(self.seed, self.key, number, "noise"):
            noise = Noise().normal(p.mean.shape, p.mean)
        return {NOISY: (p.mean + p.stddev * noise).clamp(-1, 1), MEANS: p.mean.clamp(-1, 1)}

    def chunks(self, num: int, told: str) -> Iterator[tuple[int, dict[str, Tensor]]]:
        """`num` images, chunk by chunk, with a progress bar that says what for."""
        for number, first in enumerate(track(range(0, num, ROWS), told)):
            yield number, self.chunk(number, min(ROWS, num - first))


class Distances:
    """Fréchet distances, under a feature network, between images of models and of the ground truth.

    Args:
        features: images in [0, 1] -> features.
        num: images of either side.
        seed: of all images.
        cache: keeps the ground truth's features.
    """

    def __init__(self, features: Features, num: int, seed: int, cache: ReferenceCache) -> None:
        self.features, self.num, self.seed, self.cache = features, num, seed, cache

    def __call__(self, model: LatentVariableModel, truth: LatentVariableModel, key: str, told: str) -> Figures:
        """`fid` or `frechet_distance`, of the noisy samples and, by the name `..._of_means`, of the means, with errors.

        `key` names the model's images; the ground truth's, which they are compared with, are others.
        """
        here = torch.device("cuda" if torch.cuda.is_available() else "cpu")
        found = self._references(truth.to(here), here)
        for number, images in Generated(model.to(here), self.seed, key).chunks(self.num, f"images, {told}"):
            for kind, metric in found.items():
                metric.update((images[kind] + 1) / 2, real=False, number=number)
        self.features.free()
        model.cpu()
        return {name: value for kind, metric in found.items() for name, value in _distance(metric, kind).items()}

    def _references(
        self, truth: LatentVariableModel, here: torch.device
    ) -> dict[str, metrics.FrechetInceptionDistance]:
        found = {kind: metrics.FrechetInceptionDistance(self.features).to(here) for kind in (NOISY, MEANS)}
        told = {kind: self._description(truth, kind) for kind in found}
        known = {kind: self.cache.load(description) for kind, description in told.items()}
        for kind, kept in known.items():
            if kept is not None:
                found[kind].insert(kept.to(here), real=True)
        if missing := [kind for kind, kept in known.items() if kept is None]:
            for number, images in Generated(truth, self.seed, "reference").chunks(self.num, "images, ground truth"):
                for kind in missing:
                    found[kind].update((images[kind] + 1) / 2, real=True, number=number)
            for kind in missing:
                self.cache.save(told[kind], found[kind].sample(real=True))
        return found

    def _description(self, truth: LatentVariableModel, kind: str) -> dict[str, Any]:
        weights = torch.cat([value.flatten().double().cpu() for value in truth.decoder.state_dict().values()])  # type: ignore[attr-defined]  # decoders are modules
        told = {"images": self.num, "seed": self.seed, "kind": kind, "ground truth": _digest(weights)}
        return told | self.features.description


def _digest(weights: Tensor) -> int:
    return derive_seed(weights.numpy().tobytes().hex())


def _distance(metric: metrics.FrechetInceptionDistance, kind: str) -> Figures:
    """The distance and its error, by the names of what it compares."""
    figures = metric.compute()
    name = "fid" if "fid" in figures else "frechet_distance"
    return {f"{name}{kind}": float(figures[name]), f"{name}{kind}_error": float(figures[f"{name}_error"])}
