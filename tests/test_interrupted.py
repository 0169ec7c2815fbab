"""A run that is interrupted at any moment and resumed ends with the same bits as one that is not.

All of it is compared: last.ckpt (weights, optimizer, schedulers, callbacks, loops), best.ckpt, metrics.json, each point
and picture for TensorBoard, config.yaml. `make soak` tries every hook under every option; these cases cover them.
"""

from __future__ import annotations

import signal
from pathlib import Path

import pytest
import torch
from support.interrupted import Moment, Probe, differences, end, forked, go_on, in_parts, newest
from support.interruptions import HANDLED, HOOKS, MODULE, SCHEDULER, Bench, Case, chosen, covering


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Bench:
    return Bench(tmp_path_factory.mktemp("bench"))


@pytest.mark.parametrize("case", covering(), ids=str)
def test_two_kills_in_a_row(case: Case, bench: Bench) -> None:
    assert bench.differences(case) == []


def test_two_processes_of_which_one_is_killed(bench: Bench) -> None:
    assert bench.differences(chosen(0, "on_before_backward", processes=2)) == []


def test_the_hooks_that_are_tried_are_all_that_a_training_calls(bench: Bench, tmp_path: Path) -> None:
    in_parts(tmp_path, bench.arguments(chosen(0)))
    called = {line.split()[0] for line in (tmp_path / "hooks").read_text().splitlines()}
    assert called == {*HOOKS, *(f"module.{hook}" for hook in (*HOOKS, *MODULE)), SCHEDULER}


def stop(batch: int) -> tuple[str, str]:
    """As `max_time` does, after so many batches."""
    return "--trainer.callbacks+", f"{{class_path: support.resume_probe.Stop, init_args: {{batch: {batch}}}}}"


LIMITS = {
    "max_steps in mid-epoch": ("epochs alone", ("--trainer.max_steps", "8")),
    "max_steps at the end of an epoch": ("epochs alone", ("--trainer.max_steps", "10")),
    "max_steps where a validation is due": ("validation at half an epoch", ("--trainer.max_steps", "7")),
    "max_time in mid-epoch": ("epochs alone", stop(8)),
    "max_time within an accumulated gradient": ("accumulated", stop(7)),
    "max_time at the end of an epoch without validation": ("validation every second epoch", stop(5)),
}


@pytest.mark.parametrize(("option", "limit"), LIMITS.values(), ids=LIMITS)
def test_a_run_that_a_limit_ends_goes_on_in_its_epoch(
    option: str, limit: tuple[str, ...], bench: Bench, tmp_path: Path
) -> None:
    case = Case("vae", option, ())
    in_parts(tmp_path, [*bench.arguments(case), *limit])
    in_parts(tmp_path, bench.arguments(case))
    found = differences(bench.uninterrupted(case), end(tmp_path))
    assert [each for each in found if not each.startswith("/config")] == []  # it says the limit that the run began with


def test_early_stopping_in_mid_epoch_goes_on_there(bench: Bench, tmp_path: Path) -> None:
    """Once the threshold, which ended it after its first validation, is gone."""
    case = Case("vae", "validation at half an epoch", ())
    monitored = "{monitor: val/reconstruction, stopping_threshold: 1e9}"
    stopper = f"{{class_path: lightning.pytorch.callbacks.EarlyStopping, init_args: {monitored}}}"
    in_parts(tmp_path, [*bench.arguments(case), "--trainer.callbacks+", stopper])
    assert torch.load(newest(tmp_path) / "checkpoints" / "last.ckpt", weights_only=True)["global_step"] == 2
    in_parts(tmp_path, bench.arguments(case))
    found = differences(bench.uninterrupted(case), end(tmp_path))
    assert [each for each in found if not each.startswith("/config")] == []


@pytest.mark.parametrize("signum", HANDLED)
def test_a_signal_ends_a_training_when_its_step_is_over(signum: int, bench: Bench, tmp_path: Path) -> None:
    case, last = Case("vae", "epochs alone", ()), "runs/version_0/checkpoints/last.ckpt"
    assert forked(tmp_path, bench.arguments(case), Probe({Moment("on_before_backward", 7): signum})) == [128 + signum]
    assert torch.load(tmp_path / last, weights_only=True)["global_step"] == 7
    line = f"go on with: vae-lightning fit --config runs/version_0/config.yaml --ckpt_path {last}"
    assert (tmp_path / "told").read_text().splitlines()[-1] == (
        f"vae-lightning: stopped by {signal.Signals(signum).name}; {line}"
    )
    assert forked(tmp_path, line.split()[4:], Probe()) == [0]
    assert differences(bench.uninterrupted(case), end(tmp_path)) == []


def test_what_was_stopped_goes_on_with_the_options_that_it_had_then(bench: Bench, tmp_path: Path) -> None:
    stopped = Probe({Moment("on_before_backward", 3): signal.SIGTERM})
    forked(tmp_path, bench.arguments(Case("vae", "epochs alone", ())), stopped)
    forked(tmp_path, ["fit", "--ckpt_path", "runs/version_0", "--trainer.max_epochs", "9"], stopped)
    told = (tmp_path / "told").read_text().splitlines()[-1]
    assert "go on with: vae-lightning fit --config runs/version_0/config-00000003.yaml --ckpt_path" in told


@pytest.mark.parametrize("command", ["validate", "test", "predict"])
def test_a_signal_ends_an_evaluation_at_once(command: str, bench: Bench, tmp_path: Path) -> None:
    arguments = bench.arguments(Case("vae", "epochs alone", ()))
    in_parts(tmp_path, [*arguments, "--trainer.max_epochs", "1"])
    hook = {"validate": "on_validation_start"}.get(command, f"on_{command}_start")
    evaluated = [command, "--config", str(newest(tmp_path) / "config.yaml"), *go_on(tmp_path)]
    assert forked(tmp_path, evaluated, Probe({Moment(hook, 1): signal.SIGTERM})) == [143]
    assert (tmp_path / "told").read_text().splitlines()[-1] == "vae-lightning: stopped by SIGTERM"
