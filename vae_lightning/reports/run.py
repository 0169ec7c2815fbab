"""Run: a run's folder -> what its files say of it, as data; nothing in them is built or run."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from vae_lightning.callbacks.gallery import FOLDER
from vae_lightning.callbacks.run.about import ABOUT
from vae_lightning.callbacks.run.configurations import configurations
from vae_lightning.sweeps.comparison.curves import Curve, read_curves
from vae_lightning.sweeps.comparison.options import class_name
from vae_lightning.trust import read_record
from vae_lightning.trust.records import LARGEST

Figures = Mapping[str, float | None]
"""Values by `split/name`; None where one was not finite."""
_MOST = 1000  # points of a curve that are read


@dataclass(frozen=True)
class Run:
    """A folder that `vae-lightning fit` or a Trainer has logged in. What a file does not say is empty.

    A file that is there and cannot be read is a ValueError that names it.
    """

    folder: Path

    @property
    def name(self) -> str:
        """What a person calls it: the last part of its path."""
        return self.folder.resolve().name

    @cached_property
    def config(self) -> dict[str, Any]:
        """Every option that the run ended with, as its last configuration file has them."""
        return read_record(configurations(self.folder)[-1][1])

    @cached_property
    def config_text(self) -> str:
        """The configuration as it is written; of a run without one, what the logger wrote of its model."""
        for file in (configurations(self.folder)[-1][1], self.folder / "hparams.yaml"):
            if file.is_file() and file.stat().st_size <= LARGEST[file.suffix]:
                return file.read_text(errors="replace")
        return ""

    @cached_property
    def about(self) -> dict[str, Any]:
        """What no option says: observations, parameters, environments."""
        return read_record(self.folder / ABOUT)

    @cached_property
    def figures(self) -> Figures:
        """The last value of each; of a run that kept no metrics.json, the ends of its curves."""
        found = read_record(self.folder / "metrics.json")
        if not found:
            found = {name: curve.values[-1] for name, curve in self.curves.items()}
        return {name: _finite(value) for name, value in found.items()}

    @cached_property
    def curves(self) -> Mapping[str, Curve]:
        """What was logged of each figure that is finite, in the order of steps."""
        finite = {name: curve.finite() for name, curve in read_curves(self.folder, _MOST).items()}
        return {name: curve for name, curve in finite.items() if curve.steps}

    @cached_property
    def pictures(self) -> Mapping[str, Path]:
        """The last picture of each name, as `val-samples`; those of `test` first, which are of the best model."""
        files = sorted(self.folder.glob(f"{FOLDER}/*-*.png"))
        last = {file.stem.rpartition("-")[0]: file for file in files}
        return dict(sorted(last.items(), key=lambda item: (not item[0].startswith("test"), item[0])))

    @property
    def checkpoint(self) -> Path | None:
        """Its best model, or else its last one."""
        files = [self.folder / "checkpoints" / f"{name}.ckpt" for name in ("best", "last")]
        return next((file for file in files if file.is_file()), None)

    @property
    def environments(self) -> list[dict[str, Any]]:
        """The versions and machines of its parts."""
        found = self.about.get("environments", [])
        return [mapping(each) for each in found] if isinstance(found, list) else []

    @property
    def model(self) -> str:
        """The name of its class, if the configuration says it."""
        return class_name(self.config.get("model"))

    @property
    def data(self) -> str:
        """The name of its data's class, if the configuration says it."""
        return class_name(self.config.get("data"))


def is_run(folder: Path) -> bool:
    """Whether a run has logged here."""
    signs = ("config.yaml", "metrics.json", "metrics.csv", "events.out.tfevents.*", "checkpoints/*.ckpt")
    return any(next(folder.glob(sign), None) is not None for sign in signs)


def mapping(value: object) -> dict[str, Any]:
    """The value, if it is a mapping with names as keys; else nothing."""
    return {str(key): each for key, each in value.items()} if isinstance(value, Mapping) else {}


def _finite(value: object) -> float | None:
    number = float(value) if isinstance(value, int | float) and not isinstance(value, bool) else math.nan
    return number if math.isfinite(number) else None
