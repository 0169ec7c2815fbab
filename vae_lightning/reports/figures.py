"""Figures: the values of a run by name -> lines of a table, each with its error, validation and test side by side."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from vae_lightning.sweeps.comparison.glossary import Entry, entry

SPLITS = {"val": "validation", "test": "test"}
"""The splits whose figures are shown, and what a person calls them."""
_FIRST = ("nelbo", "deviance", "log_likelihood", "elbo", "reconstruction", "kl", "rate", "mutual_information")


@dataclass(frozen=True)
class Value:
    """A figure of one split with its standard error; None for a figure that was not finite, or has no error."""

    value: float | None
    error: float | None = None

    def __str__(self) -> str:
        return rounded(self.value, self.error)


@dataclass(frozen=True)
class Line:
    """A figure of all splits that have it."""

    name: str
    entry: Entry
    values: Mapping[str, Value]


def value_of(figures: Mapping[str, float | None], name: str) -> Value | None:
    """The figure of this `split/name` with its error; None if it was not logged."""
    return Value(figures[name], figures.get(f"{name}_error")) if name in figures else None


def lines(figures: Mapping[str, float | None]) -> list[Line]:
    """A line for each figure of validation or test, the most asked for first; errors stand beside what they are of."""
    return [
        Line(name, entry(name), {split: value for split in SPLITS if (value := value_of(figures, f"{split}/{name}"))})
        for name in sorted(names(figures), key=_order)
    ]


def names(figures: Iterable[str]) -> set[str]:
    """The figures' names without split, and without those that are an error of another."""
    parts = {key.partition("/")[2] for key in figures if key.partition("/")[0] in SPLITS}
    return {name for name in parts if not (name.endswith("_error") and name.removesuffix("_error") in parts)}


def _order(name: str) -> tuple[int, str]:
    return _FIRST.index(name) if name in _FIRST else len(_FIRST), name


def rounded(value: float | None, error: float | None = None) -> str:
    """The value to two digits of its error, `-27.20 ± 0.41`; without an error, to four digits of its own."""
    if value is None:
        return "not finite"
    if error is None or not math.isfinite(error) or error <= 0:
        return _short(value)
    decimals = 1 - math.floor(math.log10(error))
    if not 0 <= decimals <= 6:
        return f"{_short(value)} ± {error:.2g}"
    return f"{value:,.{decimals}f} ± {error:.{decimals}f}"


def _short(value: float) -> str:
    if value == round(value) and abs(value) < 1e7:
        return f"{value:,.0f}"
    if not 1e-3 <= abs(value) < 1e7:
        return f"{value:.3g}"
    return f"{value:,.{max(0, 3 - math.floor(math.log10(abs(value))))}f}"
