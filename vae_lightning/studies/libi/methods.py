"""The methods of the LiBI paper's Table 1: their hyper-parameters at a scale, and a module for each choice of them."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import product

from torch.optim import Adam, Optimizer
from torch.optim.lr_scheduler import LambdaLR, LRScheduler

from vae_lightning.estimators import Reparameterised
from vae_lightning.models import GaussianVAE, LiBI
from vae_lightning.models.latent_variable import LatentVariableModule
from vae_lightning.objectives import AnalyticELBO, CodeLikelihood, Covariance, HenzeZirkler, Mean, Segments, WarmUp
from vae_lightning.objectives.base import Objective
from vae_lightning.studies.libi.worlds import World

LEARNING_RATE, STEPS_OF_EPOCH = 0.01, 100
Setting = Mapping[str, float | int]
"""Hyper-parameters by name. Members of an ensemble differ in floats alone, so each R has an ensemble of its own."""


@dataclass(frozen=True)
class Combined:
    """Of LiBI every combination of these, with the weights of a world among them."""

    weights: tuple[float, ...]
    covariances: tuple[float, ...]
    means: tuple[float, ...]
    repeats: tuple[int, ...]

    def settings(self, world: World) -> list[Setting]:
        """One for each combination."""
        weights = [weight for weight in self.weights if weight in world.weights]
        return [
            {"HZ": weight, "cov": covariance, "mean": mean, "R": repeats}
            for repeats, weight, covariance, mean in product(self.repeats, weights, self.covariances, self.means)
        ]


@dataclass(frozen=True)
class Ranked:
    """Of LiBI the settings that an earlier study's validation ranked highest: by world, (HZ, cov, mean, R)."""

    by_world: Mapping[str, Sequence[tuple[float, float, float, int]]]

    def settings(self, world: World) -> list[Setting]:
        """One for each."""
        return [dict(zip(("HZ", "cov", "mean", "R"), ranked, strict=True)) for ranked in self.by_world[world.name]]


@dataclass(frozen=True)
class Grid:
    """Which hyper-parameters are searched over."""

    betas: tuple[float, ...]
    annealed: tuple[float, ...]
    segments: int  # how many of the world's
    libi: tuple[Combined | Ranked, ...]

    def of_libi(self, world: World) -> list[Setting]:
        """The settings of LiBI in a world."""
        return [setting for some in self.libi for setting in some.settings(world)]


PAPER_GRID = Grid(
    (0.5, 2.0, 5.0),
    (0.5, 1.0, 2.0, 5.0),
    4,
    (Combined((0.001, 1.0, 10.0, 20.0), (0.2, 0.5), (0.2, 0.5), (1, 6)),),
)
"""Appendix E."""


@dataclass(frozen=True)
class Training:
    """Full-batch steps at a rate of 0.01, which falls to nearly zero over the last third of each phase if `decays`.

    Not sooner: the ELBO of these worlds is a narrow valley, and theta goes along it as far as the rate lets it.
    """

    steps: int
    decays: bool

    def scheduler(self, phases: int = 1) -> Callable[[Optimizer], LRScheduler] | None:
        """The scheduler of a run, or of a LiBI's repeat, of so many phases; stepped every epoch."""
        epochs = self.steps // phases // STEPS_OF_EPOCH
        return partial(LambdaLR, lr_lambda=partial(late_decay, epochs=epochs)) if self.decays else None


Build = Callable[[World, Setting, Training], LatentVariableModule]


@dataclass(frozen=True)
class Method:
    """A way to train: the grid of its hyper-parameters in a world, and what builds the module for one choice."""

    name: str
    settings: Callable[[World, Grid], list[Setting]]
    build: Build

    def groups(self, world: World, grid: Grid) -> dict[str, list[Setting]]:
        """The settings that may share an ensemble, by a name for each group: none, or R."""
        found: dict[str, list[Setting]] = {}
        for setting in self.settings(world, grid):
            whole = {name: value for name, value in setting.items() if isinstance(value, int)}
            found.setdefault(label(whole), []).append(setting)
        return found


def label(setting: Setting) -> str:
    """Such as "HZ=1 cov=0.2 mean=0.2 R=1"; empty for none."""
    return " ".join(f"{name}={value:g}" for name, value in setting.items())


def late_decay(epoch: int, epochs: int) -> float:
    """1 for two thirds of every `epochs` epochs, then half a cosine down to 0.001."""
    late = max(0.0, (epoch % epochs) / epochs * 3 - 2)
    return 0.001 + 0.999 * (1 + math.cos(math.pi * late)) / 2


def _elbo(beta: float | WarmUp = 1.0) -> AnalyticELBO:
    return AnalyticELBO(Reparameterised(), beta)


def _vae(world: World, training: Training, objective: Objective) -> GaussianVAE:
    adam = partial(Adam, lr=LEARNING_RATE)
    d = world.truth.latent_shape.numel()
    return GaussianVAE(
        d, world.observed, world.encoder, world.decoder, objective, optimizer=adam, scheduler=training.scheduler()
    )


def _libi(world: World, setting: Setting, training: Training) -> LiBI:
    penalties = [HenzeZirkler(setting["HZ"]), Covariance(setting["cov"]), Mean(setting["mean"])]
    return LiBI(
        world.truth.latent_shape.numel(),
        world.observed,
        world.encoder,
        world.decoder,
        CodeLikelihood(penalties),
        _elbo(),
        training.steps,
        int(setting["R"]),
        scheduler=training.scheduler(phases=2),
    )


METHODS = {
    method.name: method
    for method in (
        Method("VAE", lambda world, grid: [{}], lambda world, s, training: _vae(world, training, _elbo())),
        Method(
            "beta-VAE",
            lambda world, grid: [{"beta": beta} for beta in grid.betas],
            lambda world, s, training: _vae(world, training, _elbo(s["beta"])),
        ),
        Method(
            "beta-VAE annealed",
            lambda world, grid: [{"beta": beta} for beta in grid.annealed],
            lambda world, s, training: _vae(world, training, _elbo(WarmUp(training.steps // 2, end=float(s["beta"])))),
        ),
        Method(
            "lagging",
            lambda world, grid: [{"R": segments} for segments in world.segments[: grid.segments]],
            lambda world, s, training: _vae(world, training, Segments(_elbo(), training.steps, int(s["R"]))),
        ),
        Method("LiBI", lambda world, grid: grid.of_libi(world), _libi),
    )
}
