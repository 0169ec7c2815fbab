"""Space: what was typed for one option of a search -> the range or the choice that trials take a value from."""

from __future__ import annotations

import abc
import re
from dataclasses import dataclass
from typing import Any

from vae_lightning.sweeps.values import values

_NUMBER = r"[-+]?(?:\d+\.?\d*|\.\d+)(?:e[-+]?\d+)?"
_RANGE = re.compile(rf"({_NUMBER})\.\.({_NUMBER})(:log)?", re.IGNORECASE)


class Axis(abc.ABC):
    """The values of one option: `suggest` takes one for a trial of Optuna's."""

    @abc.abstractmethod
    def suggest(self, trial: Any, option: str) -> str:
        """A value, as one would type it."""

    @abc.abstractmethod
    def ends(self) -> list[str]:
        """The values by which the axis is checked before the first trial."""

    @abc.abstractmethod
    def typed(self, value: Any) -> str:
        """A value that a trial has taken, as one would type it."""


@dataclass(frozen=True)
class Range(Axis):
    """Numbers between two, both included; whole ones if both ends are, evenly on a logarithmic scale if so asked."""

    low: float
    high: float
    log: bool
    whole: bool

    def suggest(self, trial: Any, option: str) -> str:
        """A number of the range."""
        if self.whole:
            return self.typed(trial.suggest_int(option, int(self.low), int(self.high), log=self.log))
        return self.typed(trial.suggest_float(option, self.low, self.high, log=self.log))

    def ends(self) -> list[str]:
        """Both ends of the range."""
        return [self.typed(self.low), self.typed(self.high)]

    def typed(self, value: Any) -> str:
        """In the digits that a name can have."""
        return str(int(value)) if self.whole else f"{float(value):.6g}"


@dataclass(frozen=True)
class Choice(Axis):
    """Any values, in no order."""

    among: tuple[str, ...]

    def suggest(self, trial: Any, option: str) -> str:
        """One of the values."""
        return self.typed(trial.suggest_categorical(option, self.among))

    def ends(self) -> list[str]:
        """All values."""
        return list(self.among)

    def typed(self, value: Any) -> str:
        """As it was typed."""
        return str(value)


def axis(option: str, typed: str) -> Axis:
    """The axis of `--space.OPTION RANGE`; ValueError for a range that has no numbers in it.

    Examples:
        >>> from vae_lightning.sweeps.space import axis
        >>> axis("model.optimizer.lr", "1e-4..1e-2:log")
        Range(low=0.0001, high=0.01, log=True, whole=False)
        >>> axis("model.latent_dim", "8..64").ends()
        ['8', '64']
        >>> axis("model.prior", "null,vae_lightning.priors.VampPrior").ends()
        ['null', 'vae_lightning.priors.VampPrior']
    """
    try:
        if not (found := _RANGE.fullmatch(typed)):
            return Choice(tuple(values(typed)))
        low, high, log = float(found[1]), float(found[2]), bool(found[3])
        if not low < high or (log and low <= 0):
            raise ValueError(
                f"{typed!r} is no range: the first end is to be below the second"
                + (", and above 0 on a logarithmic scale" if log else "")
            )
    except ValueError as error:
        raise ValueError(f"--space.{option}: {error}") from error
    return Range(low, high, log, whole=all(re.fullmatch(r"[-+]?\d+", end) for end in (found[1], found[2])))
