"""Maker: what an index says of the model that made it -> that model, or in one line why it is not to be had."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from vae_lightning.files import find, pointed_to
from vae_lightning.search.encoder import Encoder, sha256_of


@dataclass(frozen=True)
class Maker:
    """A checkpoint by the sha256 of its file, and where it lay: a path relative to the index's folder."""

    checkpoint: str
    path: str
    kind: str

    @classmethod
    def of(cls, encoder: Encoder, index: Path | None) -> Maker:
        """What an index in this place says of an encoder."""
        path = str(encoder.path.absolute())
        if index is not None:
            path = os.path.relpath(path, pointed_to(index).absolute().parent)
        return cls(encoder.sha256, path, encoder.kind)

    def encoder(self, index: Path | None, ckpt: Path | None) -> Encoder:
        """The encoder of that checkpoint, from where it lay, from beside the index, or from where it is said to be.

        ValueError if it is not there, or is another.
        """
        name = "the index" if index is None else str(index)
        file = self._find(name, index) if ckpt is None else find(str(ckpt), "ckpt", "best", Path("runs"))
        if sha256_of(file) == self.checkpoint:
            return Encoder.read(file)
        if ckpt is None:
            raise ValueError(
                f"{file} has changed since it made {name}: build the index anew with --overwrite, or give by --ckpt "
                f"the checkpoint that made it (sha256 {self.checkpoint[:12]})"
            )
        raise ValueError(
            f"{name} was made by another model than {file}: by a {self.kind} whose checkpoint has sha256 "
            f"{self.checkpoint[:12]} and was {self.path}"
        )

    def _find(self, name: str, index: Path | None) -> Path:
        folder = Path() if index is None else index.parent
        real = folder if index is None else pointed_to(index).parent
        for place in (each / path for each in (real, folder) for path in (self.path, Path(self.path).name)):
            if place.is_file():
                return place
        raise ValueError(
            f"{name} needs the checkpoint that made it, and {folder / self.path} is not there: put it beside the "
            "index, or say by --ckpt where it is"
        )
