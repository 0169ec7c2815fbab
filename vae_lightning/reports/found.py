"""find: paths -> the runs and the studies in them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from vae_lightning.reports.run import Run, is_run
from vae_lightning.reports.study import StudyFolder, is_study

DEEPEST = 4
"""Folders below the one that is named, in which runs are looked for."""


def find(paths: Sequence[Path]) -> tuple[list[Run], list[StudyFolder]]:
    """What is in these folders, in the order in which they are named, each once.

    A path is the folder of a run or of a study, a checkpoint of a run, or a folder with runs below it, as of a sweep.
    ValueError for one that is neither.
    """
    folders: dict[Path, Path] = {}
    for path in paths:
        found = list(_within(_folder(path), DEEPEST))
        if not found:
            raise ValueError(f"{path} holds no run and no study: give a folder as `vae-lightning fit` writes it")
        folders |= {folder.resolve(): folder for folder in found}
    studies = [StudyFolder(folder) for folder in folders.values() if is_study(folder)]
    return [Run(folder) for folder in folders.values() if not is_study(folder)], studies


def _folder(path: Path) -> Path:
    """The folder that is meant; ValueError if there is none."""
    if path.is_file():
        return path.parent.parent if path.parent.name == "checkpoints" else path.parent
    if not path.is_dir():
        raise ValueError(f"there is no folder {path}: give one as `vae-lightning fit` writes it")
    return path


def _within(folder: Path, depth: int) -> Iterator[Path]:
    """Runs and studies in or below a folder; not below these, where the parts of a study lie."""
    if is_study(folder) or is_run(folder):
        yield folder
    elif depth:
        for each in sorted(folder.iterdir(), key=_by_number):
            if each.is_dir() and not each.name.startswith("."):
                yield from _within(each, depth - 1)


def _by_number(folder: Path) -> tuple[str, int, str]:
    """So that version_10 comes after version_9."""
    stem = folder.name.rstrip("0123456789")
    digits = folder.name[len(stem) :]
    return stem, int(digits[:18] or 0), folder.name
