"""Contestants -> what each of them costs, measured in turns, round after round."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

Measure = Callable[[], float]
"""Does some work, and says what it cost."""


@dataclass(frozen=True)
class Absent:
    """Why a contestant cannot be measured here."""

    why: str


Contestants = Mapping[str, Measure | Absent]
Costs = Mapping[str, list[float] | Absent]
"""By contestant, one cost a round."""


def timed(
    step: Callable[[], object],
    times: int = 1,
    unit: float = 1e3,
    clock: Callable[[], float] = time.process_time,
) -> Measure:
    """What one of `times` calls takes, by default in milliseconds of processor time."""

    def measure() -> float:
        began = clock()
        for _ in range(times):
            step()
        return unit * (clock() - began) / times

    return measure


def peer(package: str, build: Callable[[], Measure]) -> Measure | Absent:
    """The measure that `build` makes with a package that may not be installed."""
    try:
        return build()
    except ImportError as error:
        return Absent(f"{package} is not installed ({error}): pip install -c constraints.txt -e '.[bench]'")


def given_data(build: Callable[[], Contestants]) -> Contestants | Absent:
    """The contestants that `build` makes of data, unless these cannot be had."""
    try:
        return build()
    except (ValueError, OSError) as error:
        return Absent(str(error))


def in_turns(contestants: Contestants | Absent, rounds: int, warm: int = 1) -> Costs | Absent:
    """Costs in `rounds` rounds of all contestants one after another, after `warm` rounds that do not count."""
    if isinstance(contestants, Absent):
        return contestants
    costs: dict[str, list[float]] = {name: [] for name in contestants}
    for turn in range(rounds + warm):
        for name, measure in contestants.items():
            if isinstance(measure, Absent):
                continue
            cost = measure()
            if turn >= warm:
                costs[name].append(cost)
    return {name: run if isinstance(run, Absent) else costs[name] for name, run in contestants.items()}
