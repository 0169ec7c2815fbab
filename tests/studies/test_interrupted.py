"""A study that SIGTERM or SIGINT ends: its exit status, and one line that says what the same command does next."""

from __future__ import annotations

import signal
from pathlib import Path

import pytest
from support.interrupted import Moment, Probe, forked
from support.interruptions import HANDLED
from support.small_studies import SMALL, few_steps

from vae_lightning.studies import catalogue

KEPT = "go on with the same command: what the study has finished is kept"
ANEW = "the same command begins the study anew"


@pytest.mark.parametrize("signum", HANDLED)
@pytest.mark.parametrize(("name", "line"), [("newsgroups", KEPT), ("libi", KEPT), ("mixture", ANEW)])
def test_it_says_in_one_line_how_to_go_on(
    name: str, line: str, signum: int, miniature: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    study = SMALL[name](miniature)

    class Small:
        """In place of the study."""

        options = study.options

        def __new__(cls, scale: str, seed: int) -> object:
            return study

    monkeypatch.setitem(catalogue.STUDIES, name, Small)
    with few_steps():
        typed = ["reproduce", name, "--scale", "quick", "--out", "out"]
        assert forked(tmp_path, typed, Probe({Moment("on_before_backward", 3): signum})) == [128 + signum]
        told = (tmp_path / "told").read_text().splitlines()
        assert told[-1] == f"vae-lightning: stopped by {signal.Signals(signum).name}; {line}"
        assert forked(tmp_path, typed, Probe()) == [0]
    assert (tmp_path / "out" / "table.md").is_file()
