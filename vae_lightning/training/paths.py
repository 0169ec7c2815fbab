"""Paths: a parsed configuration -> the same with `~` and $NAME in it as a shell has them, in every option alike."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from jsonargparse import Namespace

from vae_lightning.files import expanded


def expand(value: object) -> Any:
    """The value, with each string in it expanded: YAML and `--key=~/folder` are read by no shell."""
    if isinstance(value, str):
        return expanded(value)
    if isinstance(value, Path):
        return Path(expanded(str(value)))
    if isinstance(value, list | tuple):
        return type(value)(expand(each) for each in value)
    if isinstance(value, Namespace | dict):
        for key in list(vars(value) if isinstance(value, Namespace) else value):
            value[key] = expand(value[key])
    return value
