"""Grid: options with several values each -> every combination of them, as a run with a name and its arguments."""

from __future__ import annotations

import hashlib
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from pathlib import Path

from vae_lightning.sweeps.values import values

_LONG = 120  # bytes of a folder's name, which has at most 255


@dataclass(frozen=True)
class Run:
    """One combination: what it is called, after what differs, and what is typed for it behind `fit`."""

    name: str
    arguments: tuple[str, ...]


@dataclass(frozen=True)
class Grid:
    """The axes of a sweep: the values of each option, as one would type them, and the options that all runs share.

    Examples:
        >>> from vae_lightning.sweeps.grid import Grid
        >>> grid = Grid.read({"model.latent_dim": "8,16", "seed_everything": "0..1"}, ["--config", "vae.yaml"])
        >>> [run.name for run in grid.runs()][:2]
        ['latent_dim=8,seed_everything=0', 'latent_dim=8,seed_everything=1']
        >>> grid.runs()[0].arguments
        ('--config', 'vae.yaml', '--model.latent_dim=8', '--seed_everything=0')
    """

    axes: Mapping[str, Sequence[str]]
    common: Sequence[str] = ()

    @classmethod
    def read(cls, typed: Mapping[str, str], common: Sequence[str] = ()) -> Grid:
        """The grid of what was typed behind each `--grid.OPTION`; ValueError for an option without values."""
        axes: dict[str, list[str]] = {}
        for option, text in typed.items():
            try:
                axes[option] = values(text)
            except ValueError as error:
                raise ValueError(f"--grid.{option}: {error}") from error
        return cls(axes, tuple(common))

    def runs(self) -> list[Run]:
        """Every combination, the last option's values side by side; two never have one name."""
        found = [self._run(chosen) for chosen in product(*self.axes.values())]
        names = Counter(run.name for run in found)
        return [run if names[run.name] == 1 else Run(_marked(run.name, run.arguments), run.arguments) for run in found]

    def each_value(self) -> list[Run]:
        """As few runs as have every value once: what is checked of a grid before it begins."""
        first = [taken[0] for taken in self.axes.values()]
        others = [
            (*first[:place], value, *first[place + 1 :])
            for place, taken in enumerate(self.axes.values())
            for value in taken[1:]
        ]
        return [self._run(chosen) for chosen in ([*first], *others)]

    def _run(self, chosen: Sequence[str]) -> Run:
        return named_run(dict(zip(self.axes, chosen, strict=True)), self.common)


def named_run(chosen: Mapping[str, str], common: Sequence[str]) -> Run:
    """The run with these values, after the options that all share; a class stands before its own options."""
    shown = short_names(list(chosen))
    whole = ",".join(f"{shown[option]}={_plain(value)}" for option, value in chosen.items())
    typed = {option: f"--{option}={value}" for option, value in chosen.items()}
    files = [argument for option, argument in typed.items() if option == "config"]
    others = [typed[option] for option in sorted(typed, key=lambda option: option.count(".")) if option != "config"]
    arguments = (*files, *common, *others)
    return Run(whole if len(whole.encode()) <= _LONG else _marked(whole, arguments), arguments)


def short_names(options: Sequence[str]) -> dict[str, str]:
    """As few of the last parts of each option as tell it from the others."""
    parts = {option: option.split(".") for option in options}
    shown = {}
    for option, own in parts.items():
        for number in range(1, len(own) + 1):
            shown[option] = ".".join(own[-number:])
            if sum(other[-number:] == own[-number:] for other in parts.values()) == 1:
                break
    return shown


def _plain(value: str) -> str:
    """A value as a part of a file's name: of a class path the class, of a file its name."""
    if re.fullmatch(r"[a-z_]\w*(\.\w+)+", value):
        value = Path(value).stem if value.endswith((".yaml", ".yml")) else value.rpartition(".")[2]
    elif "/" in value and not value.startswith(("[", "{")):
        value = Path(value).stem
    return re.sub(r"[^\w.+-]+", "-", value).strip("-") or "none"


def _marked(name: str, arguments: Sequence[str]) -> str:
    """A name that is short enough, and no other run's."""
    return f"{name.encode()[:_LONG].decode(errors='ignore')}-{hashlib.sha256(repr(arguments).encode()).hexdigest()[:8]}"
