"""`reproduce all`: every study in a process and a folder of its own, a line each, and where the tables lie."""

from __future__ import annotations

import math
import os
import re
import signal
from pathlib import Path
from typing import Any, ClassVar
from unittest.mock import patch

import pytest
import torch
from support.command import left_with
from support.powers import Power, Powers

from vae_lightning.studies import catalogue, reproduce
from vae_lightning.studies.store import Figures
from vae_lightning.studies.tradeoff import TradeoffStudy
from vae_lightning.studies.tradeoff.study import TradeoffSize


class Troubled(Powers):
    """Its second cell fails as it is told: by an error, by a signal, or not."""

    options = frozenset({"faces", "only"})
    trouble = ""

    def __init__(self, scale: Any, seed: int, faces: Path | None = None, only: str | None = None) -> None:
        super().__init__(scale, seed, only=only)
        self.faces = faces

    def run(self, cell: Power, folder: Path) -> Figures:
        if cell.n == 1 and self.trouble == "killed":
            os.kill(os.getpid(), signal.SIGKILL)
        if cell.n == 1 and self.trouble == "asked to end":
            os.kill(os.getppid(), signal.SIGTERM)
            signal.pause()
        if cell.n == 1 and self.trouble:
            raise FileNotFoundError(f"no {self.faces} there:\nget it first")
        print(f"cell {cell.n} runs")
        return super().run(cell, folder)


class Other(Powers):
    """A study after it."""

    options = frozenset({"images", "only"})

    def __init__(self, scale: Any, seed: int, images: int = 0, only: str | None = None) -> None:
        super().__init__(scale, seed + images, only=only)


class Curve(TradeoffStudy):
    """Two points of it."""

    sizes: ClassVar = {"quick": TradeoffSize((0.0, math.inf), 0)}


@pytest.fixture(autouse=True)
def studies(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Two small ones in place of all."""
    monkeypatch.setattr(catalogue, "STUDIES", {"celeba": Troubled, "libi": Other})
    monkeypatch.chdir(tmp_path)


def test_each_has_its_folder_and_the_rows_it_has_alone(
    capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(catalogue.STUDIES, "tradeoff", Curve)
    torch.manual_seed(7)  # whatever was drawn before does not matter
    reproduce("all", "quick", seed=3)
    out, told = capfd.readouterr()
    line = r"./3 (\w+): runs/reproduce/\1/table.md \(\d+\.\d minutes\)"
    told_of = [re.fullmatch(line, each) for each in told.splitlines()]
    assert [found and found[1] for found in told_of] == ["celeba", "libi", "tradeoff"]
    heading, *lines = out.splitlines()
    assert heading.split() == ["study", "minutes", "table"]
    assert [line.split()[::2] for line in lines] == [
        [name, f"runs/reproduce/{name}/table.md"] for name in ("celeba", "libi", "tradeoff")
    ]
    assert "cell 0 runs" in Path("runs/reproduce/celeba/output.txt").read_text()
    Curve("quick", 3).reproduce(Path("alone"))
    assert Path("alone/results.json").read_text() == Path("runs/reproduce/tradeoff/results.json").read_text()


@pytest.mark.parametrize(
    ("trouble", "message"),
    [("an error", "FileNotFoundError: no photos there: get it first"), ("killed", "its process was ended by SIGKILL")],
)
def test_one_that_fails_is_named_the_others_run_and_the_same_command_goes_on(
    trouble: str, message: str, capfd: pytest.CaptureFixture[str]
) -> None:
    typed = ["reproduce", "all", "--scale", "quick", "--out", "out", "--faces", "photos"]
    with patch.object(Troubled, "trouble", trouble):
        assert left_with(typed) == 1
    out, told = capfd.readouterr()
    first, *_, last = told.splitlines()
    assert first.startswith(f"1/2 celeba: failed: {message} (")
    assert last.startswith("vae-lightning: 1 of 2 studies failed: celeba; to try them again, give the same command")
    assert "Traceback" not in told
    assert re.search(r"celeba +\d\.\d  none, see out/celeba/output.txt", out)
    assert [path.parent.name for path in Path("out").glob("*/table.md")] == ["libi"]
    assert left_with(typed) == 0
    assert re.findall(r"cell . runs", Path("out/celeba/output.txt").read_text()) == ["cell 0 runs", "cell 1 runs"]
    assert Path("out/celeba/table.md").is_file()


def test_sigterm_ends_it_and_the_study_it_is_in_and_says_how_to_go_on(capfd: pytest.CaptureFixture[str]) -> None:
    with patch.object(Troubled, "trouble", "asked to end"):
        assert left_with(["reproduce", "all", "--scale", "quick"]) == 128 + signal.SIGTERM
    told = capfd.readouterr().err
    assert told.splitlines()[-1].startswith("vae-lightning: stopped by SIGTERM; go on with the same command")
    assert not list(Path("runs/reproduce/libi").iterdir())
    assert left_with(["reproduce", "all", "--scale", "quick"]) == 0


def test_a_folder_that_cannot_be_made_is_said_in_one_line_before_hours_have_passed(
    capfd: pytest.CaptureFixture[str],
) -> None:
    Path("runs").mkdir()
    Path("runs/libi").write_text("a file of the user's")
    assert left_with(["reproduce", "all", "--scale", "quick", "--out", "runs"]) == 1
    told = capfd.readouterr().err
    assert told.startswith("vae-lightning: [Errno 17] File exists: 'runs/libi'")
    assert not list(Path("runs/celeba").iterdir())


def test_an_option_of_one_study_is_handed_on_to_it_and_one_of_several_is_refused() -> None:
    with pytest.raises(ValueError, match="all takes no --only, which means another thing to each of celeba, libi"):
        reproduce("all", "quick", only="one")
    reproduce("all", "quick", images=5)
    assert 'seed": 5' in next(Path("runs/reproduce/libi").rglob("figures.json")).read_text()


def test_a_file_in_the_place_of_the_folder_is_refused(tmp_path: Path) -> None:
    (tmp_path / "rows.csv").touch()
    for study in ("mixture", "all"):
        with pytest.raises(ValueError, match=r"--out takes a folder, .*rows\.csv is a file$"):
            reproduce(study, "quick", tmp_path / "rows.csv")
