"""Leaves: a configuration -> its options by their keys."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any


def flat(config: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """The leaves of a configuration by their keys; a class path stands under its own key, as on the command line."""
    for key, value in config.items():
        name = prefix if key in ("init_args", "dict_kwargs", "class_path") else f"{prefix}.{key}" if prefix else key
        if isinstance(value, Mapping) and value:
            yield from flat(value, name)
        else:
            yield name, value
