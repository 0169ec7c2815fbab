"""Checkpoint: what --ckpt_path names -> the file, what it holds, and the run whose folder it lies in."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import lightning.pytorch as pl
from torch import Size, nn

from vae_lightning.files import expanded
from vae_lightning.models.reproducible import ReproducibleModule
from vae_lightning.trust import read_checkpoint

Config = dict[str, Any]


@dataclass(frozen=True)
class Checkpoint:
    """What is asked of a checkpoint before anything is built for it; its weights are not kept."""

    path: Path
    step: int
    model: Config | None  # class_path and init_args, if LightningCLI built it
    data: Config | None
    resumable: bool  # whether it holds the optimizer's state and the loops', beside the weights
    shapes: dict[str, Size]

    @classmethod
    def read(cls, path: Path, trust: Iterable[str] = ()) -> Checkpoint:
        """ValueError for a file that is no whole checkpoint, or names classes that are not trusted."""
        content = read_checkpoint(path, trust=trust)
        shapes = {name: value.shape for name, value in content["state_dict"].items()}
        model, data = _described(content, "hyper_parameters"), _described(content, "datamodule_hyper_parameters")
        resumable = {"optimizer_states", "loops"} <= content.keys()
        return cls(path, content["global_step"], model, data, resumable, shapes)

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


def find(given: str, option: str, name: str, where: Path) -> Path:
    """The file that `given` names: a file, or the checkpoint `name` of a run's folder, of the newest run in `where`.

    ValueError if there is none, and for Lightning's `hpc` and `registry`, of which this project has nothing.
    """
    if given == "hpc" or given.split(":", maxsplit=1)[0] == "registry":
        raise ValueError(f"--{option} {given}: there is no such store here; give a file, a run's folder, last or best")
    if given in ("last", "best"):
        found = [*where.glob(f"*/checkpoints/{given}.ckpt"), *where.glob(f"checkpoints/{given}.ckpt")]
        if not found:
            raise ValueError(f"--{option} {given}: no run in {where} has a {given}.ckpt; give a file or a run's folder")
        return max(found, key=lambda path: path.stat().st_mtime)
    path = Path(expanded(given))
    if not path.is_dir():
        if not path.is_file():
            raise ValueError(f"there is no checkpoint {path}")
        return path
    for file in (path / "checkpoints" / f"{name}.ckpt", path / f"{name}.ckpt"):
        if file.is_file():
            return file
    others = sorted(str(file) for file in path.rglob("*.ckpt"))
    has = f"it has {', '.join(others)}: give the file" if others else "it is no run's folder"
    raise ValueError(f"{path} has no checkpoints/{name}.ckpt; {has}")


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
