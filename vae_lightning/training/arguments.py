"""Arguments: what was typed, before it is parsed -> the few values that decide how it is parsed."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from vae_lightning.construction.leaves import flat
from vae_lightning.files import expanded
from vae_lightning.trust import ClassPath

_DOTTED = re.compile(r"[^\W\d]\w*(\.[^\W\d]\w*)+")
Option = tuple[str, Any]
"""A key without `init_args`, as `trainer.logger.save_dir`, and its value."""


def options(arguments: Sequence[str], without: Path | None = None) -> Iterator[Option]:
    """Every option that was typed or stands in a configuration file, but for those of the file `without`.

    Files are read where they are named, so that the last of a key is the one that counts.
    """
    for number, argument in enumerate(arguments):
        flag, given, value = argument.partition("=")
        if not flag.startswith("-"):
            continue
        value = value if given else next(iter(arguments[number + 1 :]), "")
        if flag in ("--config", "-c"):
            if without is None or os.path.realpath(expanded(value)) != os.path.realpath(without):
                yield from flat(_read(value))
        else:
            yield flag.lstrip("-").replace(".init_args", ""), value


def named(value: object) -> Iterator[ClassPath]:
    """The dotted names in what was given: who types a class path, or a file that has it, means the class.

    The name of a file is none: a checkpoint `net.ckpt`, which has to be typed, may come with a module `net`.
    """
    if isinstance(value, str) and _DOTTED.fullmatch(value) and not Path(value).exists():
        yield ClassPath(value)
    parts = value.values() if isinstance(value, Mapping) else value if isinstance(value, list | tuple) else ()
    for part in parts:
        yield from named(part)


def _read(config: str) -> Mapping[str, Any]:
    """A configuration file, or what the parser takes for one; what cannot be read is the parser's to refuse."""
    try:
        path = Path(expanded(config))
        read = yaml.safe_load(path.read_text() if path.is_file() else config)
    except (OSError, ValueError, yaml.YAMLError):
        return {}
    return read if isinstance(read, dict) else {}
