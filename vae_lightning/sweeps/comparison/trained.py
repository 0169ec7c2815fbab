"""Trained: the folder of a run -> its options, its figures, and the best of them."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from vae_lightning.files import expanded
from vae_lightning.sweeps import record
from vae_lightning.sweeps.comparison.curves import read_curves
from vae_lightning.sweeps.comparison.glossary import entry
from vae_lightning.sweeps.comparison.options import Options, written
from vae_lightning.trust import read_record


@dataclass(frozen=True)
class Value:
    """A figure of a run, with its standard error and the step it is of, where these are known."""

    value: float
    error: float | None = None
    step: int | None = None


class Trained:
    """A run that was trained, as its folder tells of it; ValueError if its records are damaged."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.name = folder, folder.name
        self.options: Options = written(folder)

    @cached_property
    def curves(self) -> Mapping[str, dict[int, float]]:
        """The values of each figure by the step they are of."""
        return {name: curve.by_step() for name, curve in read_curves(self.folder).items()}

    @cached_property
    def figures(self) -> dict[str, float]:
        """The last value of each, as metrics.json has them."""
        file = self.folder / "metrics.json"
        content = read_record(file)
        try:
            return {name: float(value) for name, value in content.items() if value is not None}
        except (TypeError, ValueError) as error:
            raise ValueError(f"{file} is damaged: {error}") from error

    @property
    def unfinished(self) -> str:
        """What is to be said of a run of a sweep that has not come to its end."""
        known = record.read(self.folder)
        return "" if known is None or known.state == "finished" else known.error or known.state

    def last(self, name: str) -> Value | None:
        """The last value of a figure."""
        value = self.figures.get(name)
        return None if value is None else Value(value, self.figures.get(f"{name}_error"))

    def best(self, name: str, higher: bool) -> Value | None:
        """The best value of a figure, and when that was; the last one, if no logger has kept the others."""
        curve = {step: value for step, value in self.curves.get(name, {}).items() if math.isfinite(value)}
        if not curve:
            return self.last(name)
        step = (max if higher else min)(curve, key=lambda at: (curve[at], -at) if higher else (curve[at], at))
        return self.at(name, step)

    def at(self, name: str, step: int | None) -> Value | None:
        """The value of a figure at a step; the last one for no step."""
        if step is None:
            return self.last(name)
        value = self.curves.get(name, {}).get(step)
        return None if value is None else Value(value, self.curves.get(f"{name}_error", {}).get(step), step)


def higher_is_better(name: str, runs: Iterable[Trained]) -> bool:
    """As the runs say that choose their best.ckpt by this figure; else as the glossary does."""
    said = {run.options.get("best.mode") for run in runs if run.options.get("best.monitor") == name}
    if len(said) == 1:
        return said == {"max"}
    return entry(name.partition("/")[2]).better == "higher"


def found(paths: Iterable[str]) -> list[Trained]:
    """The runs in these folders, each of which is a run or has runs below it; ValueError for one without."""
    folders: dict[Path, Path] = {}
    for path in paths:
        folder = Path(expanded(path))
        below = [folder] if (folder / "config.yaml").is_file() else sorted(
            file.parent for file in folder.rglob("config.yaml")
        )  # fmt: skip
        if not below:
            what = "holds no run, which has a config.yaml" if folder.is_dir() else "is no folder"
            raise ValueError(f"{folder} {what}: give folders of runs, such as runs/sweep or runs/version_0")
        for each in below:
            folders.setdefault(each.resolve(), each)
    return [Trained(folder) for folder in folders.values()]
