"""Shipped: the name of a configuration that comes with the package, as digits/vae -> its file."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from vae_lightning.files import expanded
from vae_lightning.messages import did_you_mean

FOLDER = Path(__file__).parent.parent / "configs"
_FLAGS = ("--config", "-c")
_NAME = re.compile(r"[\w-]+(/[\w-]+)*")


def names() -> list[str]:
    """Those that there are: paths below the package's configs, without their ending."""
    return sorted(path.relative_to(FOLDER).with_suffix("").as_posix() for path in FOLDER.rglob("*.yaml"))


def with_files(arguments: Sequence[str]) -> list[str]:
    """Arguments whose `--config NAME` are `--config FILE`; a file of the user's that has that name comes first.

    ValueError for a name that is neither.
    """
    whole: list[str] = []
    for argument in arguments:
        flag, given, value = argument.partition("=")
        if given and flag in _FLAGS:
            whole.append(f"{flag}={_file(value)}")
        else:
            whole.append(_file(argument) if whole and whole[-1] in _FLAGS else argument)
    return whole


def _file(config: str) -> str:
    if not _NAME.fullmatch(config) or Path(expanded(config)).is_file():
        return config
    if config not in (known := names()):
        meant = did_you_mean(config, known) or "."
        raise ValueError(
            f"--config {config} is neither a file nor one of the shipped configurations{meant} There are "
            f"{', '.join(known)}"
        )
    return str(FOLDER / f"{config}.yaml")
