"""Output: an open file -> answers in it, part by part, in bounded memory."""

from __future__ import annotations

import abc
from pathlib import Path
from typing import BinaryIO

from vae_lightning.answers import Answer


class Output(abc.ABC):
    """One format; what is written is whole once it is finished."""

    def __init__(self, file: BinaryIO) -> None:
        self.file = file

    @property
    def folder(self) -> Path:
        """Where the file is being written."""
        return Path(self.file.name).parent

    @abc.abstractmethod
    def write(self, part: Answer) -> None:
        """The next rows."""

    @abc.abstractmethod
    def finish(self) -> None:
        """After the last row; the file stays open."""

    def release(self) -> None:  # noqa: B027  (most formats hold nothing)
        """Let go of the file, finished or not."""
