"""AboutFile: what a run is of, and the versions and machines it was made with -> about.json in its folder."""

from __future__ import annotations

import json
import platform
import subprocess
from collections.abc import Mapping
from contextlib import suppress
from importlib.metadata import version
from pathlib import Path
from typing import Any

import lightning.pytorch as pl
import torch

import vae_lightning
from vae_lightning.callbacks.run.records import file_of_run
from vae_lightning.data.protocols import InMemory, SplitName, datamodule, observed_shape, vocabulary_size
from vae_lightning.files import atomic_write
from vae_lightning.trust import read_record

ABOUT = "about.json"
"""The name of the file."""
_SPLITS: tuple[SplitName, ...] = ("train", "val", "test")


class AboutFile(pl.Callback):
    """Writes `about.json` into the run's folder when `fit` begins: what no option of the run says.

    `observations` of each split, their `shape`, and the `words` of documents, where the data module knows them;
    `parameters`, how many numbers are trained; and `environments`, of which a run that goes on elsewhere has several:
    versions, commit, machine, devices. When `fit` ends, its `epochs` and `steps`. It is not read by any run.
    """

    def __init__(self) -> None:
        self._about: dict[str, Any] = {}

    def on_fit_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Write it; a run that goes on adds its environment, if that is another."""
        if (target := file_of_run(trainer, ABOUT)) is None:
            return
        parameters = sum(each.numel() for each in pl_module.parameters() if each.requires_grad)
        here = environment() | _of_trainer(trainer)
        before = [each for each in _read(target).get("environments", []) if each != here]
        self._about = {**_of_data(datamodule(trainer)), "parameters": parameters, "environments": [*before, here]}
        _write(target, self._about)

    def on_fit_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Add how long it was trained."""
        if target := file_of_run(trainer, ABOUT):
            _write(target, self._about | {"epochs": trainer.current_epoch, "steps": trainer.global_step})


def environment() -> dict[str, str]:
    """The version, the commit if this is a checkout, and the machine of this process."""
    commit = _commit()
    return {
        "version": vae_lightning.__version__,
        **({"commit": commit} if commit else {}),
        "torch": torch.__version__,
        "machine": f"{platform.machine()} CPU, {torch.get_num_threads()} threads",
    }


def _of_trainer(trainer: pl.Trainer) -> dict[str, str]:
    device = trainer.strategy.root_device
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else device.type
    processes = f"{trainer.world_size} process{'es' if trainer.world_size > 1 else ''}"
    return {"lightning": version("lightning"), "python": platform.python_version(), "device": f"{name}, {processes}"}


def _of_data(data: object) -> dict[str, Any]:
    """What the data module knows of its observations."""
    sizes = _sizes(data) if isinstance(data, InMemory) else {}
    known = {"observations": sizes, "shape": observed_shape(data), "words": vocabulary_size(data)}
    return {name: value for name, value in known.items() if value}


def _sizes(data: InMemory) -> dict[str, int]:
    """How many observations each split has; those that it does not have are left out."""
    sizes: dict[str, int] = {}
    for split in _SPLITS:
        with suppress(ValueError, KeyError):
            sizes[split] = len(data.split(split))
    return sizes


def _read(target: Path) -> dict[str, Any]:
    """What it holds; nothing if there is no file, or it is damaged: then it is written anew."""
    try:
        found = read_record(target)
    except (OSError, ValueError):
        return {}
    return found if isinstance(found.get("environments"), list) else {}


def _write(target: Path, about: Mapping[str, Any]) -> None:
    with atomic_write(target) as file:
        file.write((json.dumps(about, indent=1) + "\n").encode())


def _commit() -> str | None:
    """The commit of the checkout this package is in, marked if changed; None for an installed copy or without git."""
    package = Path(vae_lightning.__file__)

    def git(*arguments: str) -> str:
        command = ["git", "-C", str(package.parent), *arguments]
        return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()

    try:
        git("ls-files", "--error-unmatch", package.name)  # a copy installed inside somebody else's checkout is not it
        return git("describe", "--always", "--dirty", "--exclude=*")
    except (OSError, subprocess.CalledProcessError):
        return None
