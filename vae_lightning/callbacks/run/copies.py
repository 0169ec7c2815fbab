"""Copies: a file that the first process has written -> the same file on machines that do not share its folder."""

from __future__ import annotations

import hashlib
import secrets
import socket
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import BinaryIO

import lightning.pytorch as pl
import torch

from vae_lightning.files import atomic_write
from vae_lightning.process import from_first

_CHUNK = 16 << 20  # bytes


class Copies:
    """Where machines share no folder, each gets the files that a run goes on from: any of them may be lost.

    All processes make one at the same moment, and call `send` together. On one machine, and where all see the folder,
    it does nothing. A file travels in parts of 16 MB, so that it need not fit into memory.

    Args:
        trainer: whose processes have begun.
        folder: of the run.
    """

    def __init__(self, trainer: pl.Trainer, folder: Path) -> None:
        self._first, self._device, self.keeps = trainer.is_global_zero, torch.device("cpu"), False
        self._sent = trainer.num_nodes > 1 and trainer.world_size > 1
        if self._sent:
            self._device = trainer.strategy.root_device
            self.keeps = not _sees(trainer, folder) and trainer.local_rank == 0
            self._sent = trainer.strategy.reduce_boolean_decision(self.keeps, all=False)

    def send(self, path: Path) -> None:
        """Give each machine apart this file, under the same path; nothing if the first process has none."""
        if not self._sent:
            return
        size = self._told(path.stat().st_size if self._first and path.is_file() else -1)
        if size < 0:
            return
        with self._opened(path) as file:
            for start in range(0, size, _CHUNK):
                self._send_part(file, min(_CHUNK, size - start))

    def settle(self, checkpoint: Path, folder: Path) -> None:
        """Give each machine apart the checkpoint that a run goes on from, and those of its folder, as the first has it.

        A machine that was killed while a file was on its way has the one before.
        """
        if self._sent:
            for path in from_first(sorted({checkpoint, *folder.glob("*.ckpt")})):
                if self.strangers(path, missing=True):
                    self.send(path)

    def strangers(self, path: Path, missing: bool = False) -> list[str]:
        """The machines apart where a file of this path is not the first process's, or is missing if that counts."""
        if not self._sent:
            return []
        here = _digest(path)
        differs = here != from_first(here)  # all have to ask
        is_strange = self.keeps and differs and (missing or here != b"")
        told: list[str | None] = [None] * torch.distributed.get_world_size()
        torch.distributed.all_gather_object(told, socket.gethostname() if is_strange else None)
        return [name for name in told if name is not None]

    def _opened(self, path: Path) -> AbstractContextManager[BinaryIO | None]:
        if self._first:
            return path.open("rb")
        return atomic_write(path) if self.keeps else nullcontext()

    def _send_part(self, file: BinaryIO | None, size: int) -> None:
        part = torch.empty(size, dtype=torch.uint8)
        if self._first and file is not None:
            part = torch.frombuffer(bytearray(file.read(size)), dtype=torch.uint8)
        part = part.to(self._device)
        torch.distributed.broadcast(part, 0)
        if self.keeps and file is not None:
            file.write(part.cpu().numpy().data)

    def _told(self, number: int) -> int:
        told = torch.tensor(number, device=self._device)
        torch.distributed.broadcast(told, 0)
        return int(told)


def _digest(path: Path) -> bytes:
    """Of what a file holds; nothing of one that is not there."""
    if not path.is_file():
        return b""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").digest()


def _sees(trainer: pl.Trainer, folder: Path) -> bool:
    """Whether what the first process writes into the folder is there for this one.

    The name is new each time: nothing between a shared disk and its reader can remember that it was not there.
    """
    mark = folder / from_first(f".{secrets.token_hex(8)}.part")
    if trainer.is_global_zero:
        folder.mkdir(parents=True, exist_ok=True)
        mark.touch()
    trainer.strategy.barrier()
    seen = mark.exists()
    trainer.strategy.barrier()
    if trainer.is_global_zero:
        mark.unlink(missing_ok=True)
    return seen
