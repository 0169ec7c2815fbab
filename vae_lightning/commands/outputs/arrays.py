"""Arrays: answers -> .npz with every array of theirs, their names and those of their columns."""

from __future__ import annotations

import shutil
import zipfile
from dataclasses import dataclass
from tempfile import SpooledTemporaryFile
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from vae_lightning.answers import Answer
from vae_lightning.commands.outputs.base import Output

IN_MEMORY = 1 << 24  # bytes of an array, above which it waits on disk


class Arrays(Output):
    """What `numpy.load` reads without pickle; arrays wait in temporary files, since a zip takes one after another."""

    def __init__(self, file: BinaryIO) -> None:
        super().__init__(file)
        self.waiting: dict[str, Waiting] = {}
        self.texts: dict[str, list[str]] = {"names": []}
        self.columns: list[str] | None = None

    def write(self, part: Answer) -> None:
        """The next rows."""
        self.texts["names"].extend(part.names)
        self.columns = None if part.columns is None else list(part.columns)
        for name, values in part.arrays.items():
            if values.dtype.kind == "U":
                self.texts.setdefault(name, []).extend(values.tolist())
            else:
                self._waiting(name, values).add(values)

    def finish(self) -> None:
        """Put all of them into the zip."""
        columns = {} if self.columns is None else {"columns": self.columns}
        with zipfile.ZipFile(self.file, "w", zipfile.ZIP_STORED) as members:
            for name, texts in (self.texts | columns).items():
                with members.open(f"{name}.npy", "w") as member:
                    values = np.array(texts, np.str_)
                    np.lib.format.write_array(member, values, allow_pickle=False)
            for name, waiting in self.waiting.items():
                with members.open(f"{name}.npy", "w", force_zip64=True) as member:
                    waiting.move(member)

    def _waiting(self, name: str, values: NDArray[Any]) -> Waiting:
        if name not in self.waiting:
            spool = SpooledTemporaryFile(IN_MEMORY, dir=str(self.folder))  # noqa: SIM115  (closed when it is moved)
            self.waiting[name] = Waiting(spool, values.dtype, values.shape[1:])
        return self.waiting[name]


@dataclass
class Waiting:
    """Rows of one array in a file that has no name."""

    spool: SpooledTemporaryFile[bytes]
    dtype: np.dtype[Any]
    shape: tuple[int, ...]
    rows: int = 0

    def add(self, values: NDArray[Any]) -> None:
        """More rows."""
        self.spool.write(np.ascontiguousarray(values, self.dtype).tobytes())
        self.rows += len(values)

    def move(self, member: Any) -> None:
        """All of them, as .npy."""
        said = {"descr": np.lib.format.dtype_to_descr(self.dtype), "fortran_order": False}
        np.lib.format.write_array_header_1_0(member, {**said, "shape": (self.rows, *self.shape)})
        self.spool.seek(0)
        shutil.copyfileobj(self.spool, member)
        self.spool.close()
