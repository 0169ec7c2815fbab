"""Conclusions: what a run's diagnostics found -> sentences: each with its number, and how to read it."""

from __future__ import annotations

import inspect
import math
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from vae_lightning.reports.figures import SPLITS
from vae_lightning.reports.readings import BAD, READINGS, Found


@dataclass(frozen=True)
class Conclusion:
    """What one diagnostic says: `verdict` is GOOD, LOOK or BAD, `method` how it was measured."""

    title: str
    verdict: str
    sentence: str
    method: str


def conclusions(figures: Mapping[str, float | None]) -> list[Conclusion]:
    """What each diagnostic that ran says, of the test split where it was tested, else of validation."""
    return list(_concluded(figures))


def _concluded(figures: Mapping[str, float | None]) -> Iterator[Conclusion]:
    for title, diagnostic, needs, reading in READINGS:
        for split in reversed(SPLITS):
            found = Found(figures, split)
            if all(name in found for name in needs):
                verdict, sentence = _lost(found, needs) or reading(found)
                yield Conclusion(
                    title, verdict, f"{sentence} ({SPLITS[split].capitalize()} split.)", _method(diagnostic)
                )
                break


def _lost(found: Found, needs: Sequence[str]) -> tuple[str, str] | None:
    """What is to be said where a figure was not finite, of which nothing can be read."""
    lost = [name for name in needs if name in found.names() and math.isnan(found[name])]
    return (BAD, f"{' and '.join(lost)} came out as not finite: nothing can be read of it.") if lost else None


def _method(diagnostic: type) -> str:
    """How a diagnostic measures, in the words of its own documentation, without its arguments and examples."""
    return re.split(r"\n\n(?:Args|Examples|Source):", inspect.getdoc(diagnostic) or "")[0]
