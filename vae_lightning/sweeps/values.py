"""Values: what was typed for one option of a grid -> the values that it takes, each as one would type it."""

from __future__ import annotations

import json
import re
from datetime import date

import yaml

_RANGE = re.compile(r"(-?\d+)\.\.(-?\d+)")
_OPENING, _CLOSING = "[{(", "]})"


def values(typed: str) -> list[str]:
    """The values of `1,4`, of the range `0..9`, which has both ends, or of a YAML list `[[16], [32, 32]]`.

    ValueError for none, and for the same one twice.
    """
    if ends := _RANGE.fullmatch(typed):
        found = [str(number) for number in range(int(ends[1]), int(ends[2]) + 1)]
    else:
        found = _listed(typed)
    if not found or "" in found:
        raise ValueError(f"{typed!r} has no values: give them with commas, as 1,4, or as a YAML list")
    if twice := [value for value in found if found.count(value) > 1]:
        raise ValueError(f"{typed!r} has {twice[0]} twice")
    return found


def _listed(typed: str) -> list[str]:
    try:
        read = yaml.safe_load(typed) if typed.startswith("[") else None
    except yaml.YAMLError:
        read = None
    return [_typed(value) for value in read] if isinstance(read, list) else _split(typed)


def _typed(value: object) -> str:
    """A value as YAML, in one line; what YAML takes for a date as it was written."""
    return str(value) if isinstance(value, str | date) else json.dumps(value, default=str)


def _split(typed: str) -> list[str]:
    """At the commas that are in no brackets."""
    parts, depth = [""], 0
    for letter in typed:
        depth += (letter in _OPENING) - (letter in _CLOSING)
        if letter == "," and depth == 0:
            parts.append("")
        else:
            parts[-1] += letter
    return [part.strip() for part in parts]
