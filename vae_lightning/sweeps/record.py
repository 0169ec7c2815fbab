"""Record: a run of a sweep -> sweep.json in its folder, which says what was asked for and how it ended."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from hashlib import sha256
from pathlib import Path
from typing import Literal

import yaml

from vae_lightning.construction.leaves import flat
from vae_lightning.files import atomic_write, expanded

State = Literal["started", "finished", "pruned", "failed"]
NAME = "sweep.json"
_ENDINGS = (".yaml", ".yml")


@dataclass(frozen=True)
class Record:
    """What a run was asked for, by its options and by what was in its configuration files, and how far it has come."""

    settings: list[str]
    state: State
    error: str = ""

    def write(self, folder: Path) -> None:
        """Write the record into the run's folder."""
        with atomic_write(folder / NAME) as file:
            file.write((json.dumps(asdict(self), indent=1) + "\n").encode())


def read(folder: Path) -> Record | None:
    """The record of a folder; None if there is none, or a damaged one: then nothing is known of the run."""
    try:
        content = json.loads((folder / NAME).read_bytes())
        return Record(list(content["settings"]), content["state"], str(content["error"]))
    except (OSError, ValueError, KeyError, TypeError):
        return None


def settings(arguments: Sequence[str]) -> list[str]:
    """The options, and for each configuration file what is in it."""
    return [*arguments, *(f"{name}: {_digest(name)}" for name in _files(arguments))]


def _files(arguments: Sequence[str]) -> list[str]:
    pairs = zip(arguments, [*arguments[1:], ""], strict=True)
    split = [argument.partition("=")[::2] if "=" in argument else (argument, after) for argument, after in pairs]
    return [value for option, value in split if option in ("--config", "-c") or value.endswith(_ENDINGS)]


def _digest(name: str) -> str:
    path = Path(expanded(name))
    return "" if not path.is_file() else sha256(b"".join(_contents(path))).hexdigest()


def _contents(path: Path, within: tuple[Path, ...] = ()) -> Iterator[bytes]:
    """What is in a configuration file, and in those that it names, as `model: model.yaml` does."""
    yield (content := path.read_bytes())
    try:
        read = yaml.safe_load(content)
    except (yaml.YAMLError, ValueError):  # a file of something else, whatever its ending
        return
    within = (*within, path.resolve())
    for _, value in flat(read) if isinstance(read, dict) else ():
        if isinstance(value, str) and value.endswith(_ENDINGS):
            named = path.parent / value
            if named.is_file() and named.resolve() not in within:  # a text that is the name of the file around it
                yield from _contents(named, within)
