"""`vae-lightning report` and `vae-lightning card`: folders of runs -> one page, or a model card, for somebody else."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from vae_lightning.files import atomic_write, expanded, pointed_to
from vae_lightning.reports.card import model_card
from vae_lightning.reports.found import find
from vae_lightning.reports.page import page


def report(
    runs: Sequence[Path | str], out: Path | str = "report.html", title: str | None = None, overwrite: bool = False
) -> Path:
    """Write one page about the runs, sweeps and studies in these folders; return its path.

    The page is one HTML file without any other, and without a script. ValueError for a folder that holds neither runs
    nor studies, for a file of a run that is damaged, and for a file that exists unless it is to be replaced.
    """
    target = _target(out, overwrite)
    found, studies = find(_paths(runs))
    _write(target, page(found, studies, title))
    several = f"{len(found)} run{'s' * (len(found) != 1)}" if found else ""
    print(f"report: {target} ({', '.join(filter(None, [several, *(study.name for study in studies)]))})")
    return target


def card(run: Path | str, out: Path | str = "model-card.md", overwrite: bool = False) -> Path:
    """Write the model card of a run's best checkpoint, or of the checkpoint that is given; return its path.

    ValueError for a run without a checkpoint, and as `report`.
    """
    target = _target(out, overwrite)
    (path,) = _paths([run])
    found, _ = find([path])
    if len(found) != 1:
        raise ValueError(f"{run} holds {len(found)} runs: a card is of one, give its folder")
    _write(target, model_card(found[0], path if path.is_file() else None))
    print(f"card: {target}")
    return target


def _paths(given: Sequence[Path | str]) -> list[Path]:
    return [Path(expanded(str(each))) for each in given]


def _target(out: Path | str, overwrite: bool) -> Path:
    """The file to write; ValueError if it exists and is not to be replaced, or is a folder."""
    target = Path(expanded(str(out)))
    if target.is_dir():
        raise ValueError(f"--out {target} is a folder: name the file to write")
    if target.exists() and not overwrite:
        raise ValueError(f"{target} exists: give --overwrite to replace it, or another --out")
    return target


def _write(target: Path, text: str) -> None:
    with atomic_write(pointed_to(target)) as file:
        file.write(text.encode())
