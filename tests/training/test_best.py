"""best.ckpt is the best model, whatever else is kept beside it."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from support.command import command, figures
from support.models import events
from support.short_run import saved, tiny

# the rate rises tenfold an epoch: the model gets better, and then far worse
RUINED = ("--model.scheduler", "torch.optim.lr_scheduler.ExponentialLR", "--model.scheduler.gamma", "30")
RUINED += ("--trainer.max_epochs", "5")


@pytest.fixture(autouse=True)
def here(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    tiny(tmp_path)


def curve(run: Path) -> dict[int, float]:
    """Steps done, and the figure then."""
    return {event.step + 1: event.value for event in events(run).Scalars("val/nelbo")}


def refused(capsys: pytest.CaptureFixture[str], *options: str) -> str:
    with pytest.raises(SystemExit):
        command("fit", "--config", "tiny.yaml", *options)
    return capsys.readouterr().err.strip().splitlines()[-1]


@pytest.mark.parametrize(("k", "kept"), [("3", 3), ("-1", 5), ("1", 1)])
def test_the_k_best_are_kept_and_the_best_of_them_is_best(k: str, kept: int) -> None:
    command("fit", "--config", "tiny.yaml", *RUINED, "--best.save_top_k", k)
    run = Path("runs/version_0")
    order = sorted(curve(run), key=curve(run).__getitem__)
    assert order[0] != 50  # the last is not the best
    assert saved(run / "checkpoints/best.ckpt")["global_step"] == order[0]
    files = [path for path in (run / "checkpoints").glob("*.ckpt") if path.stem not in ("best", "last")]
    steps = {int(saved(path)["global_step"]) for path in files}
    assert steps == (set(order[:kept]) if kept > 1 else set())
    command("validate", "--ckpt_path", run)
    assert figures(run)["val/nelbo"] == pytest.approx(min(curve(run).values()), rel=1e-5)


def test_the_best_of_a_run_that_goes_on_is_the_best_of_both_parts() -> None:
    command("fit", "--config", "tiny.yaml", *RUINED, "--best.save_top_k", "2", "--trainer.max_epochs", "3")
    run = Path("runs/version_0")
    command("fit", "--ckpt_path", run, "--trainer.max_epochs", "5")
    order = sorted(curve(run), key=curve(run).__getitem__)
    assert saved(run / "checkpoints/best.ckpt")["global_step"] == order[0]
    found = (run / "checkpoints").glob("best-*.ckpt")
    assert {int(saved(path)["global_step"]) for path in found} == set(order[:2])


def test_a_name_and_a_folder_of_ones_own() -> None:
    command("fit", "--config", "tiny.yaml", *RUINED, "--best.filename", "mine", "--best.dirpath", "kept")
    mine, best = (saved(Path("kept") / f"{name}.ckpt") for name in ("mine", "best"))
    assert all(torch.equal(value, best["state_dict"][name]) for name, value in mine["state_dict"].items())
    figures_then = curve(Path("runs/version_0"))
    assert best["global_step"] == min(figures_then, key=figures_then.__getitem__)


def test_by_steps_it_is_the_best_that_was_validated() -> None:
    options = ("--best.every_n_train_steps", "5", "--trainer.val_check_interval", "5", "--trainer.max_epochs", "4")
    command("fit", "--config", "tiny.yaml", *RUINED, *options)
    run = Path("runs/version_0")
    command("validate", "--ckpt_path", run)
    assert figures(run)["val/nelbo"] <= sorted(curve(run).values())[1]


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--best.save_last", "true"], "last.ckpt is written anyway"),
        (["--best.save_top_k", "3", "--best.filename", "mine"], "needs a best.filename with {step}"),
        (["--best.save_top_k", "2", "--best.filename", "{epoch}"], "needs a best.filename with {step}"),
        (
            ["--best.monitor", "val/elbo"],
            "val/elbo is not logged; there are train/loss, train/nelbo, val/kl, val/nelbo",
        ),
        (
            ["--best.monitor", "val/log_likelihood", "--trainer.callbacks+", "LogLikelihood"],
            "if it is of LogLikelihood, which did not run at this validation, set its every_n_epochs to 1",
        ),
    ],
)
def test_what_cannot_be_kept_is_refused(options: list[str], said: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert said in refused(capsys, *options)
