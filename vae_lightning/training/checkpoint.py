"""Checkpoint: what --ckpt_path names -> the file, what it holds, and the run whose folder it lies in."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import lightning.pytorch as pl
from lightning.pytorch.utilities import rank_zero_warn
from torch import Size, nn

from vae_lightning.models.reproducible import ReproducibleModule
from vae_lightning.trust import read_checkpoint, unpickled

Config = dict[str, Any]


@dataclass(frozen=True)
class Checkpoint:
    """What is asked of a checkpoint before anything is built for it; its weights are not kept."""

    path: Path
    step: int
    model: Config | None  # class_path and init_args, if LightningCLI built it
    data: Config | None
    resumable: bool  # by `goes_on`
    shapes: dict[str, Size]

    @classmethod
    def read(cls, path: Path, trust: Iterable[str] = ()) -> Checkpoint:
        """ValueError for a file that is no whole checkpoint, or names classes that are not trusted."""
        content = read_checkpoint(path, trust=trust)
        shapes = {name: value.shape for name, value in content["state_dict"].items()}
        model, data = _described(content, "hyper_parameters"), _described(content, "datamodule_hyper_parameters")
        return cls(path, content["global_step"], model, data, goes_on(content), shapes)

    @classmethod
    def read_newest(cls, path: Path, trust: Iterable[str] = ()) -> Checkpoint:
        """That of a run; if it is damaged, what `whole` gives in its place."""
        try:
            return cls.read(path, trust)
        except ValueError:
            if (other := whole(path, trust)) == path:
                raise
            return cls.read(other, trust)

    @property
    def run(self) -> Path | None:
        """The folder of its run: it has a config.yaml, and the checkpoint is in its `checkpoints`."""
        path = self.path if len(self.path.parts) > 3 else self.path.absolute()
        folder = path.parent.parent
        return folder if path.parent.name == "checkpoints" and (folder / "config.yaml").is_file() else None

    def config(self) -> Config:
        """Model and data, as a configuration file has them."""
        return {key: value for key, value in {"model": self.model, "data": self.data}.items() if value is not None}

    def fits(self, module: nn.Module) -> bool:
        """Whether it has all parameters of the module, in their shapes."""
        return all(self.shapes.get(name) == value.shape for name, value in module.named_parameters())


def _described(content: Config, key: str) -> Config | None:
    """What LightningCLI wrote of how an object was built."""
    said = {name: value for name, value in content.get(key, {}).items() if name != "_instantiator"}
    return {"class_path": said.pop("_class_path"), "dict_kwargs": said} if "_class_path" in said else None


def goes_on(content: Config) -> bool:
    """Whether a checkpoint holds the optimizer's state and the loops', beside the weights."""
    return {"optimizer_states", "loops"} <= content.keys()


def whole(path: Path, trust: Iterable[str] = ()) -> Path:
    """This checkpoint of a run; if it is damaged, the newest whole one beside it to go on from, with a warning."""
    try:
        unpickled(path)
    except ValueError as damage:
        if before := _newest({*path.parent.glob("*.ckpt")} - {path}, trust):
            step, file = before
            rank_zero_warn(f"{damage}: the run goes on from {file.name} before it, of step {step}")
            return file
    return path


def _newest(paths: Iterable[Path], trust: Iterable[str]) -> tuple[int, Path] | None:
    """Of those that a run can go on from, the one of the most steps."""
    found = []
    for path in paths:
        with suppress(ValueError):
            content = read_checkpoint(path, trust=trust)
            found += [(content["global_step"], path)] if goes_on(content) else []
    return max(found, default=None)


def start_from(path: Path, module: nn.Module, trust: Iterable[str] = ()) -> None:
    """Give a module the weights of a checkpoint, and none of its past: its seed and its steps are a new run's."""
    content = read_checkpoint(path, trust=trust)
    if isinstance(module, ReproducibleModule):
        seed = module.seed
        module.on_load_checkpoint(content)
        module.seed, module.trained_steps = seed, 0
    elif isinstance(module, pl.LightningModule):
        module.on_load_checkpoint(content)
    module.load_state_dict(content["state_dict"])
