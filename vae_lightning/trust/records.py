"""Records: a .json or .yaml file of a run's folder -> its plain values within bounds, or one line that says why not."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

LARGEST = {".yaml": 1 << 20, ".json": 1 << 24}
"""Bytes of a file that are read, by its ending."""
MOST = 100_000
"""Values in a file, those that an alias repeats counted each time."""
DEEPEST = 50
_LARGEST_NUMBER = 1 << 63


def read_record(file: Path) -> dict[str, Any]:
    """What a file says, as a mapping of names; nothing if there is no such file.

    ValueError, which names the file, for one that is damaged, that is no mapping, or that a program could not walk
    through in bounded time: too large, nested too deep, or a few lists that stand for a billion.
    """
    if not file.is_file():
        return {}
    try:
        found = _parsed(file)
        if not isinstance(found, Mapping):
            raise ValueError(f"expected names with values, got {type(found).__name__}")
        _check(found)
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise ValueError(f"{file} is damaged, or no record of a run: {' '.join(str(error).split())[:200]}") from error
    return {str(name): value for name, value in found.items()}


def _parsed(file: Path) -> object:
    most = LARGEST[file.suffix]
    if (size := file.stat().st_size) > most:
        raise ValueError(f"it has {size:,} bytes, and at most {most:,} are read")
    content = file.read_bytes()
    return yaml.safe_load(content) if file.suffix == ".yaml" else json.loads(content)


def _check(found: object) -> None:
    """ValueError for what is too deep or too much, for numbers that no run has, and for text that no file can hold."""
    waiting, seen = [(found, 0)], 0
    while waiting:
        value, depth = waiting.pop()
        inner = [*value, *value.values()] if isinstance(value, Mapping) else value if isinstance(value, list) else ()
        seen += 1
        if seen + len(waiting) + len(inner) > MOST or depth > DEEPEST:
            raise ValueError(f"it holds more than {MOST:,} values, or some nested more than {DEEPEST} deep")
        if isinstance(value, int) and abs(value) > _LARGEST_NUMBER:
            raise ValueError("it holds a whole number of more than 64 bits")
        if isinstance(value, str):
            value.encode()
        waiting += [(each, depth + 1) for each in inner]
