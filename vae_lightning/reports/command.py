"""`vae-lightning report` and `vae-lightning card`: folders of runs -> one page, or a model card, for somebody else."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from vae_lightning.files import atomic_write, expanded
from vae_lightning.messages import CommandParser
from vae_lightning.reports.card import model_card
from vae_lightning.reports.found import find
from vae_lightning.reports.page import page

_REPORT = """Write one page about runs, sweeps or studies that can be sent to a colleague: it needs no other file.

It says what was trained and on what, says in words what the diagnostics found, puts figures with their errors beside
each other, shows curves and pictures, and how to repeat it all. Several runs are put side by side.

  vae-lightning report runs/version_0
  vae-lightning report runs/version_0 runs/version_3 --out two.html
  vae-lightning report runs/sweep runs/mixture --title "What we tried" --out all.html
"""
_CARD = """Write the model card of a run, in Markdown: what it is, its figures, its limits, how to load it.

What no file of the run says is marked TO FILL IN: what it is meant for, and the license.

  vae-lightning card runs/version_0 --out model-card.md
"""


def report_command(arguments: Sequence[str]) -> None:
    """`vae-lightning report`."""
    parser = CommandParser("report", _REPORT)
    parser.add_argument(
        "runs", nargs="+", type=Path, metavar="RUN",
        help="a run's folder, one that holds many, as a sweep's, or a study's, which `reproduce` writes",
    )  # fmt: skip
    parser.add_argument("--title", help="of the page, in place of the models' and data's names")
    _add_target(parser, "report.html")
    given = parser.parse(arguments)
    report(given.runs, given.out, given.title, given.overwrite)


def card_command(arguments: Sequence[str]) -> None:
    """`vae-lightning card`."""
    parser = CommandParser("card", _CARD)
    parser.add_argument("run", type=Path, metavar="RUN", help="a run's folder, or one of its checkpoints")
    _add_target(parser, "model-card.md")
    given = parser.parse(arguments)
    card(given.run, given.out, given.overwrite)


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


def _add_target(parser: CommandParser, default: str) -> None:
    parser.add_argument("--out", type=Path, default=Path(default), help=f"the file to write (default: {default})")
    parser.add_argument("--overwrite", action="store_true", help="replace the file if there is one")


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
    with atomic_write(target) as file:
        file.write(text.encode())
