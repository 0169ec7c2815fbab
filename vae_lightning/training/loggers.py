"""Loggers: a folder of runs -> the run's own place in it, which no other run that starts at once takes."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, nullcontext, suppress
from itertools import count
from pathlib import Path
from typing import Any

from lightning.pytorch.loggers import CSVLogger, Logger, TensorBoardLogger
from lightning.pytorch.utilities import rank_zero_only


class _OwnFolder(Logger):
    """A logger of Lightning whose `version_N` is this run's alone."""

    def finalize(self, status: str) -> None:
        """Write what is left; a run that failed before it began leaves no folder.

        Of one that failed since its disk is full, that cannot be written either: why it failed is what is told.
        """
        with suppress(OSError) if status == "failed" else nullcontext():
            super().finalize(status)
        folder: Any = self
        if status == "failed" and folder._version is not None:
            _give_back(folder.log_dir)

    def _get_next_version(self) -> int:
        return _own(str(self.root_dir), super()._get_next_version())  # type: ignore[misc]  # both loggers have it


class RunTensorBoard(_OwnFolder, TensorBoardLogger):
    """TensorBoardLogger whose `version_N` is this run's alone, and whose first cards are `train/` and `val/`.

    The figure `epoch`, which Lightning logs with every other one, is left out: its card would come before all others.

    Examples:
        >>> from tempfile import mkdtemp
        >>> runs = mkdtemp()
        >>> first, second = RunTensorBoard(runs, name=""), RunTensorBoard(runs, name="")
        >>> first.version, second.version  # nothing has been logged yet
        (0, 1)
    """

    def log_metrics(self, metrics: Mapping[str, float], step: int | None = None) -> None:
        """Write figures at a step; OSError names the folder that cannot hold them."""
        with _naming(self):
            super().log_metrics({name: value for name, value in metrics.items() if name != "epoch"}, step)

    def save(self) -> None:
        """Write what waits; OSError as `log_metrics` has it."""
        with _naming(self):
            super().save()


class RunCSV(_OwnFolder, CSVLogger):
    """CSVLogger whose `version_N` is this run's alone.

    Examples:
        >>> from tempfile import mkdtemp
        >>> runs = mkdtemp()
        >>> first, second = RunCSV(runs, name=""), RunCSV(runs, name="")
        >>> first.version, second.version
        (0, 1)
    """


@contextmanager
def _naming(logger: TensorBoardLogger) -> Iterator[None]:
    """Name the run's folder in an error of TensorBoard's writer, which Lightning may tell as a figure that is none."""
    try:
        yield
    except (OSError, ValueError) as error:
        found = error if isinstance(error, OSError) else error.__cause__
        if isinstance(found, OSError) and found.errno is not None and found.filename is None:
            raise OSError(found.errno, os.strerror(found.errno), logger.log_dir) from error
        raise


def _own(root: str, first: int) -> int:
    """The first number from this one on whose folder `version_N` nobody else has made: making it is taking it.

    Of a run's processes the first takes it, and tells the others; in a store that is no folder nothing can be taken.
    """
    number = None if "://" in root else _taken(Path(root), first)
    return first if number is None else number


@rank_zero_only
def _taken(root: Path, first: int) -> int:
    try:
        root.mkdir(parents=True, exist_ok=True)
        for number in count(first):
            with suppress(FileExistsError):
                (root / f"version_{number}").mkdir()
                break
    except OSError as error:
        error.add_note(
            f"runs go to {root.absolute()}, here by user {os.geteuid()}: --trainer.logger.save_dir names another folder"
        )
        raise
    return number


def _give_back(folder: str) -> None:
    """Remove the folder that a run took, if it failed before it wrote anything into it."""
    with suppress(OSError):  # it holds something, or there is none
        Path(folder).rmdir()
