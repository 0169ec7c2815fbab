"""Target: what --out names -> whether it can be written, and the output once there are answers."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from vae_lightning.answers import Answer
from vae_lightning.commands.outputs.arrays import Arrays
from vae_lightning.commands.outputs.base import Output
from vae_lightning.commands.outputs.lines import Delimited, JSONLines, TabDelimited
from vae_lightning.commands.outputs.parquet import Parquet
from vae_lightning.commands.outputs.pictures import MOST, Folder, Grid, Layout
from vae_lightning.files import atomic_write, expanded, pointed_to

TABLES: dict[str, Callable[[BinaryIO], Output]] = {
    ".csv": Delimited,
    ".tsv": TabDelimited,
    ".jsonl": JSONLines,
    ".npz": Arrays,
    ".parquet": Parquet,
}
GRID = ".png"


class Target:
    """A file or folder that does not stand yet, or may be overwritten; ValueError otherwise, before any work."""

    def __init__(self, out: Path, overwrite: bool, pictures: bool) -> None:
        self.path, self.ending = Path(expanded(str(out))), Path(out).suffix.lower()
        known = [*TABLES, *([GRID, "or no ending, a folder of .png"] if pictures else [])]
        if self.ending not in TABLES and not (pictures and self.is_pictures):
            raise ValueError(f"--out {out}: expected one of {', '.join(known)}")
        if self.path.is_dir() and not self.is_folder:
            raise ValueError(f"--out {out} is a folder: name a file in it")
        if self.path.is_file() and self.is_folder:
            raise ValueError(f"--out {out} is a file, and without an ending a folder is expected: {', '.join(known)}")
        if not overwrite and (any(self.path.iterdir()) if self.path.is_dir() else self.path.exists()):
            raise ValueError(f"--out {out} exists: give another name, or --overwrite to replace it")

    @property
    def is_folder(self) -> bool:
        """Whether a .png of each row is wanted."""
        return not self.ending

    @property
    def is_pictures(self) -> bool:
        """Whether rows have to be pictures."""
        return self.is_folder or self.ending == GRID

    def check(self, shape: Sequence[int], count: int) -> None:
        """ValueError if pictures are wanted of rows that are none, or of too many for one grid."""
        if self.is_pictures and not (len(shape) == 3 and shape[0] in (1, 3)):  # channels, height, width
            raise ValueError(
                f"--out {self.path}: the model's data are no pictures (channels, height, width), but {_said(shape)}: "
                f"name a table, such as {self.path.with_suffix('.csv').name}"
            )
        if self.ending == GRID and count > MOST:
            raise ValueError(
                f"--out {self.path}: a grid has at most {MOST:,} pictures, got {count:,}: name a folder, such as "
                f"{self.path.with_suffix('').name}/, for a .png of each"
            )

    @contextmanager
    def writer(self, layout: Layout) -> Iterator[Callable[[Answer], None]]:
        """What takes answers part by part; all of them stand at the end of the block, or nothing does."""
        if self.is_folder:
            folder = Folder(self.path)
            try:
                yield folder.write
                folder.finish()
            finally:
                folder.remove()
            return
        with atomic_write(pointed_to(self.path)) as file:
            output = Grid(file, layout) if self.ending == GRID else TABLES[self.ending](file)
            try:
                yield output.write
                output.finish()
            finally:
                output.release()


def _said(shape: Sequence[int]) -> str:
    return f"rows of shape {tuple(shape)}" if shape else "texts"
