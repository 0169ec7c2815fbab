"""The costs of ours and of another -> one ratio, and whether it reaches its aim."""

from __future__ import annotations

import abc
import math
from dataclasses import dataclass


@dataclass(frozen=True)
class Relation(abc.ABC):
    """What is divided by what, and the aim of it, if there is one."""

    aim: float | None = None

    @abc.abstractmethod
    def ratio(self, ours: float, other: float) -> float:
        """Of two costs."""

    @abc.abstractmethod
    def reached(self, ratio: float, aim: float) -> bool:
        """Whether a ratio is as good as the aim."""

    @abc.abstractmethod
    def words(self) -> str:
        """What comes before the number of an aim."""

    def met(self, ratio: float) -> bool | None:
        """None without an aim."""
        return None if self.aim is None else self.reached(ratio, self.aim)

    def __str__(self) -> str:
        return "" if self.aim is None else f"{self.words()} {self.aim:g}"


class AsFast(Relation):
    """The other's cost is so many times ours: the more the better."""

    def ratio(self, ours: float, other: float) -> float:
        return other / ours

    def reached(self, ratio: float, aim: float) -> bool:
        return ratio >= aim

    def words(self) -> str:
        return "at least"


class Share(Relation):
    """Ours costs so many times the other, which is a floor, a plain loop or a limit: the less the better."""

    def ratio(self, ours: float, other: float) -> float:
        return ours / other

    def reached(self, ratio: float, aim: float) -> bool:
        return ratio <= aim

    def words(self) -> str:
        return "at most"


class AsLikely(AsFast):
    """Log-likelihoods in place of costs: an observation is so many times as likely under ours."""

    def ratio(self, ours: float, other: float) -> float:
        return math.exp(ours - other)
