"""Phased: what a model trained in phases tells whoever trains it, alone or in an Ensemble."""

from __future__ import annotations

import abc

from jaxtyping import Float
from torch import Tensor

from vae_lightning.data.protocols import Split


class Phased(abc.ABC):
    """A model trained in phases, with a fresh optimizer in each, that keeps the best of its repeats by its own choice.

    `begin_phase`, `value_kept`, `keep_best` and `recall` also work on a module whose tensors are those of many models,
    stacked along a first axis; the other methods on one model alone.
    """

    @abc.abstractmethod
    def begins_phase(self, step: int) -> bool:
        """Whether the optimizer starts anew before this step."""

    @abc.abstractmethod
    def begin_phase(self, step: int) -> None:
        """Change the weights as the phase asks that begins with this step."""

    @abc.abstractmethod
    def ends_repeat(self, step: int) -> bool:
        """Whether a repeat is done after so many steps, so that validation judges the model."""

    @abc.abstractmethod
    def judged_on(self, data: object) -> Split | None:
        """The validation data that repeats are judged on, or None; ValueError if there have to be any."""

    @abc.abstractmethod
    def value_on(self, data: Split) -> Float[Tensor, ""]:
        """What the best repeat has most of; its noise is a function of the seed alone."""

    @abc.abstractmethod
    def kept_on(self, data: Split) -> Float[Tensor, ""]:
        """What the best repeat kept so far has on these data; -inf without one."""

    @abc.abstractmethod
    def value_kept(self, value: Float[Tensor, "*M"]) -> None:
        """Let the best repeat kept so far have another value, as on other data."""

    @abc.abstractmethod
    def keep_best(self, value: Float[Tensor, "*M"], step: int) -> None:
        """Keep the repeat that ends after so many steps, if its value is above all before."""

    @abc.abstractmethod
    def recall(self) -> Float[Tensor, "*M"]:
        """Become the best repeat kept so far, if any is; its value, -inf without one."""

    @abc.abstractmethod
    def failures(self, batch: object, step: int) -> dict[str, str]:
        """The constraints that a batch fails at this step, by name, with the reason."""
