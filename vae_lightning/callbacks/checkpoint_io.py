"""AtomicCheckpointIO: a checkpoint is whole or it is not there."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from lightning.fabric.plugins.io.torch_io import TorchCheckpointIO

from vae_lightning.files import atomic_write


class AtomicCheckpointIO(TorchCheckpointIO):
    """Writes beside the target, flushes to the disk and moves with `os.replace`; loads with `weights_only=True`."""

    def save_checkpoint(self, checkpoint: dict[str, Any], path: str | Path, storage_options: Any | None = None) -> None:
        """Whoever reads `path` at any moment finds the old checkpoint or the new one."""
        with atomic_write(Path(path)) as file:
            torch.save(checkpoint, file)

    def load_checkpoint(
        self, path: str | Path, map_location: Any = None, weights_only: bool | None = None
    ) -> dict[str, Any]:
        """Plain types and tensors only, whatever the caller says."""
        location: Any = map_location or "cpu"
        return super().load_checkpoint(path, location, weights_only=True)
