"""Objectives: (model, x) -> a quantity to maximise, one value per observation, in nats."""

from __future__ import annotations

import abc
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from jaxtyping import Float
from torch import Tensor, nn

from vae_lightning.construction.arguments import check_kinds
from vae_lightning.counts import Counts
from vae_lightning.estimators import GradientEstimator
from vae_lightning.latent_variable import LatentVariableModel


@dataclass(frozen=True)
class Kind:
    """What the objectives of several steps have in common: they are the same function of model and x, but for floats.

    Args:
        of: the objects that make them what they are; two kinds of the same objects are the same.
        varying: the float attributes by which two steps' objectives of this kind may differ.
    """

    of: tuple[object, ...]
    varying: tuple[str, ...] = ()


class Objective(nn.Module, abc.ABC):
    """A bound on log p(x), or what stands in for one; `forward(model, x)` is (B,), to be maximised.

    Training maximises `objective.at(step)`, a function of the step alone, so that a resumed run needs no more state.
    """

    def __init__(self) -> None:
        super().__init__()
        self._trained_parts: dict[tuple[str, ...], Objective] = {}  # kept by `turns.trained_part`, to give each again

    @property
    def is_elbo(self) -> bool:
        """Whether the value estimates the evidence lower bound itself, so that its negative may be called NELBO."""
        return False

    @property
    def fits_encoder(self) -> bool:
        """Whether the encoder learns by it, so that figures of q(z | x), such as `val/nelbo`, say something."""
        return True

    @abc.abstractmethod
    def forward(self, model: LatentVariableModel, x: Tensor | Counts) -> Float[Tensor, " batch"]:
        """One value per observation, in nats."""

    def loss(self, model: LatentVariableModel, x: Tensor | Counts) -> Float[Tensor, ""]:
        """What training minimises on a batch: minus the mean of `forward`."""
        return -self(model, x).mean()

    def loss_and_figures(self, model: LatentVariableModel, x: Tensor | Counts) -> tuple[Tensor, dict[str, Tensor]]:
        """The loss, and what to log of it by name, without gradient: by default the NELBO, where it is one."""
        loss = -self(model, x).mean()
        return loss, {"nelbo": loss.detach()} if self.is_elbo else {}

    def failures(self, model: LatentVariableModel, x: Tensor | Counts) -> dict[str, str]:
        """The constraints that the model fails on this batch, by name, with the reason; by default there are none."""
        return {}

    def at(self, step: int) -> Objective:
        """The objective of this training step, counted from 0; by default the same at every step.

        An `Ensemble` takes objectives of the same `kind` for the same loss, of which it records the operations once.
        """
        return self

    def in_turn(self, step: int, turn: int) -> Objective:
        """The objective of this step, which is its own `turn`-th, counted from 0, where others have theirs between."""
        return self.at(step)

    @property
    def kind(self) -> Kind:
        """By default it is of a kind of its own: the same object has the same loss, and another one another."""
        return Kind((self,))

    def unweighted(self) -> Objective:
        """What models that were trained under different weights of its terms are compared by; by default itself."""
        return self

    def attach(self, model: LatentVariableModel) -> None:
        """Build what this objective has of its own and that depends on the model; by default its parts do."""
        for part in self._parts():
            part.attach(model)

    def rates(self) -> list[tuple[nn.Module, float]]:
        """Modules that train at a multiple of the optimizer's learning rate, with it; by default those of its parts."""
        return [each for part in self._parts() for each in part.rates()]

    def _parts(self) -> list[Objective]:
        return [child for child in self.children() if isinstance(child, Objective)]

    def check(self, model: LatentVariableModel) -> None:
        """Raise TypeError or ValueError, saying the way out, if this objective cannot train this model."""

    def check_run(self, num_steps: float) -> None:
        """Raise ValueError, saying the way out, if a run of so many steps ends before a schedule does."""


class EstimatedObjective(Objective, abc.ABC):
    """An objective whose expectation over q(z | x), and its gradient, an estimator takes."""

    def __init__(self, estimator: GradientEstimator) -> None:
        check_kinds(EstimatedObjective, locals())
        super().__init__()
        self.estimator = estimator

    def check(self, model: LatentVariableModel) -> None:
        """Raise TypeError unless the estimator fits the posterior."""
        self.estimator.check(model.encoder.prototype())


@contextmanager
def buffers_kept(*modules: nn.Module) -> Iterator[None]:
    """What moves at every forward, as running statistics and spectral norms do, is after this block as before it."""
    buffers = [(buffer, buffer.clone()) for module in modules for buffer in module.buffers()]
    try:
        yield
    finally:
        for buffer, before in buffers:
            buffer.data.copy_(before)  # which a backward pass that is still to come may hold, with this very value
