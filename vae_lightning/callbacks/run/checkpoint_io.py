"""AtomicCheckpointIO: a checkpoint is whole or it is not there, and can do nothing but be read."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import torch
from lightning.fabric.plugins.io.torch_io import TorchCheckpointIO
from lightning.pytorch.utilities import rank_zero_warn

from vae_lightning.files import atomic_write
from vae_lightning.trust import read_checkpoint

_OF_A_PROCESS = ".temp.ckpt"  # weights alone, by which a process that Lightning has spawned gives back what it learnt
_WRITTEN_TO = "bad_batches_path"  # in the state of Lightning's SpikeDetection: a file, wherever the checkpoint says


class AtomicCheckpointIO(TorchCheckpointIO):
    """Writes beside the target, flushes to the disk and moves with `os.replace`; loads what `read_checkpoint` allows.

    Args:
        trust: packages, or `ClassPath`s, of the user's own that a checkpoint may name.
    """

    trust: tuple[str, ...] = ()
    _folders: frozenset[Path] = frozenset()  # that this run has written checkpoints into
    _given_back: Path | None = None  # by a process that this run has spawned

    def __init__(self, trust: Iterable[str] = ()) -> None:
        super().__init__()
        self.trust = tuple(trust)

    def save_checkpoint(self, checkpoint: dict[str, Any], path: str | Path, storage_options: Any | None = None) -> None:
        """Whoever reads `path` at any moment finds the old checkpoint or the new one."""
        self._folders |= {Path(path).parent.resolve()}
        with atomic_write(Path(path)) as file:
            try:
                torch.save(checkpoint, file)
            except RuntimeError as error:  # torch's zip writer has its own words for a disk that is full
                if isinstance(full := error.__context__, OSError):
                    raise full from error
                raise

    def load_checkpoint(
        self, path: str | Path, map_location: Any = None, weights_only: bool | None = None
    ) -> dict[str, Any]:
        """ValueError, whatever the caller says, for a file that is not whole or names what it may not.

        A callback that would write to a path of its state is not given this state, and begins anew.
        """
        if Path(path).name == _OF_A_PROCESS:
            self._given_back = Path(path)
            location: Any = map_location or "cpu"
            return super().load_checkpoint(path, location, weights_only=True)
        content = read_checkpoint(Path(path), trust=self.trust)
        if map_location is not None:
            content = super().load_checkpoint(path, map_location, weights_only=True)
        states = content.get("callbacks") or {}
        for name in [each for each, state in states.items() if isinstance(state, dict) and _WRITTEN_TO in state]:
            del states[name]
        return content

    def remove_checkpoint(self, path: str | Path) -> None:
        """Remove a file of a folder that this run writes to: paths come from checkpoints, and those from anyone."""
        target = Path(path)
        ours = target.parent.resolve() in self._folders or target == self._given_back
        if not ours or (target.exists() and not target.is_file()):
            rank_zero_warn(f"not removing {target}: it is no checkpoint in a folder that this run writes to")
            return
        target.unlink(missing_ok=True)
