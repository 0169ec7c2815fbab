"""A search: Optuna chooses trials from what earlier ones found, ends bad ones, and goes on where it was interrupted."""

from __future__ import annotations

import json
import sys
from itertools import islice
from pathlib import Path

import pytest
from support.command import forked
from support.short_run import tiny

from vae_lightning.sweeps import sweep as command
from vae_lightning.sweeps.running import Outcome
from vae_lightning.sweeps.space import Axis, Choice, Range, axis
from vae_lightning.sweeps.study import Journal, Search

SPACE = {"model.lr": axis("model.lr", "1e-4..1e-2:log"), "model.prior": axis("model.prior", "null,a.B")}


@pytest.mark.parametrize(
    ("typed", "found"),
    [
        ("1e-4..1e-2:log", Range(1e-4, 1e-2, log=True, whole=False)),
        ("-0.5..1", Range(-0.5, 1.0, log=False, whole=False)),
        ("8..64", Range(8.0, 64.0, log=False, whole=True)),
        ("8..64:log", Range(8.0, 64.0, log=True, whole=True)),
        ("8,16", Choice(("8", "16"))),
        ("a.B,null", Choice(("a.B", "null"))),
    ],
)
def test_a_space_is_a_range_or_a_choice(typed: str, found: Axis) -> None:
    assert axis("o", typed) == found


@pytest.mark.parametrize("typed", ["2..1", "1..1", "0..1:log", "", "a,a"])
def test_a_space_without_values_is_refused(typed: str) -> None:
    with pytest.raises(ValueError, match=r"--space\.o: "):
        axis("o", typed)


def test_without_optuna_the_extra_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setitem(sys.modules, "optuna", None)
    with pytest.raises(ValueError, match=r"pip install 'vae-lightning\[search\]'"):
        Journal(tmp_path / "out")
    assert not (tmp_path / "out").exists()


@pytest.fixture
def optuna() -> None:
    pytest.importorskip("optuna", reason="optuna, the extra `search`, is not installed")


def search(folder: Path, kind: str = "optuna", total: int = 12) -> Search:
    found = Search(folder, SPACE, ("--config", "c.yaml"), kind, total)
    found.begin("val/nelbo", higher=False, settings=[])
    return found


def value(arguments: tuple[str, ...]) -> float:
    """The closer a learning rate is to 0.001 the lower."""
    (typed,) = (argument for argument in arguments if argument.startswith("--model.lr="))
    return abs(float(typed.partition("=")[2]) - 1e-3)


def run(going: Search, number: int) -> list[str]:
    """So many trials, one after another."""
    done = []
    for trial in islice(going.trials(), number):
        going.tell(trial.number, value(trial.run.arguments))
        done.append(trial.run.name)
    return done


@pytest.mark.usefixtures("optuna")
@pytest.mark.parametrize("kind", ["optuna", "random"])
def test_a_search_that_was_interrupted_goes_on_as_if_it_had_not_been(kind: str, tmp_path: Path) -> None:
    whole = run(search(tmp_path / "whole", kind), 100)
    assert len(whole) == 12
    parts = run(search(tmp_path / "parts", kind), 5)
    begun = next(search(tmp_path / "parts", kind).trials())  # killed
    again = search(tmp_path / "parts", kind)
    assert again.done == 5
    assert next(again.trials()) == begun
    assert parts + run(search(tmp_path / "parts", kind), 100) == whole
    assert run(search(tmp_path / "parts", kind), 100) == []
    with pytest.raises(ValueError, match="holds a search of other options"):
        Search(tmp_path / "parts", SPACE, (), kind, 12).begin("val/kl", higher=False, settings=[])


@pytest.mark.usefixtures("optuna")
def test_later_trials_are_better_than_those_by_chance(tmp_path: Path) -> None:
    names = run(search(tmp_path, total=40), 40)
    found = [value((f"--model.lr={name.split('lr=')[1].split(',')[0]}",)) for name in names]
    assert sum(found[20:]) / 20 < sum(found[:10]) / 10


@pytest.mark.usefixtures("optuna")
def test_a_trial_worse_than_the_median_at_a_step_is_to_end(tmp_path: Path) -> None:
    """The pruner waits for five trials that have come to their end."""
    going = search(tmp_path)
    for trial in islice(going.trials(), 5):
        assert not going.journal.report(trial.number, 10, 30.0)
        going.tell(trial.number, 29.0)
    good, bad = islice(going.trials(), 2)
    assert not Journal(tmp_path).report(good.number, 10, 29.0)
    assert Journal(tmp_path).report(bad.number, 10, 31.0)


@pytest.mark.usefixtures("optuna")
def test_the_command_trains_trials_ends_bad_ones_and_is_read_by_compare(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(Journal, "report", lambda self, number, step, value: number == 1)
    arguments = ("sweep", "--config", tiny(tmp_path), "--space.model.latent_dim", "1..6", "--trials", "2")
    done = forked(*arguments)
    assert done.returncode == 0, done.stderr
    states = {path.parent.name[:7]: json.loads(path.read_text())["state"] for path in Path("runs").rglob("sweep.json")}
    assert states == {"trial=0": "finished", "trial=1": "pruned"}
    compared = forked("compare", "runs/sweep")
    assert "latent_dim" in compared.stdout
    assert ": pruned" in compared.stdout


@pytest.mark.usefixtures("optuna")
def test_a_trial_that_failed_is_not_tried_again_and_the_command_does_not_say_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    failed = next(search(tmp_path, total=1).trials())
    search(tmp_path, total=1).tell(failed.number, None)
    assert list(search(tmp_path, total=1).trials()) == []
    monkeypatch.setattr(command, "_search", lambda _: [(failed, Outcome("failed", "ValueError: no"))])
    with pytest.raises(SystemExit):
        command.sweep(["--config", "c.yaml", "--space.model.latent_dim", "1..6", "--trials", "1"])
    last = capsys.readouterr().err.splitlines()[-1]
    assert last == "vae-lightning: 1 failed; they count as trials: for others raise --trials"
