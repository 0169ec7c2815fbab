"""SLURM's signal before the end of a job: the step ends, the job is requeued, and its next start goes on exactly."""

from __future__ import annotations

import os
import signal
import subprocess
from pathlib import Path

import pytest
from support.command import ROOT
from support.interrupted import Moment, Probe, differences, end, forked

SCRIPT = ROOT / "docs" / "guides" / "slurm.sh"
RUN = Path("runs", "version_0")
FIT = ["fit", "--config", "digits/vae", "--trainer.callbacks", "[]", "--trainer.max_epochs", "2"]
FIT += ["--trainer.accelerator", "cpu", "--trainer.devices", "1", "--trainer.enable_progress_bar", "false"]
FIT += ["--trainer.enable_model_summary", "false", "--model.encoder.hidden", "[8]", "--data.test_size", "1436"]
"""3 steps an epoch."""


def program(folder: Path, name: str, does: str) -> None:
    (folder / name).write_text(f"#!/bin/sh\n{does}\n")
    (folder / name).chmod(0o755)


@pytest.fixture
def slurm(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A job of one task; what is asked of `scontrol` and `srun` goes to the file of this name."""
    asked, bin = tmp_path / "asked", tmp_path / "bin"
    bin.mkdir()
    for name in ("scontrol", "srun"):
        program(bin, name, f'echo {name} "$@" >> {asked}')
    monkeypatch.setenv("PATH", str(bin), prepend=":")
    job = {"JOB_ID": "4711", "JOB_NAME": "digits", "NTASKS": "1", "PROCID": "0", "LOCALID": "0", "NODEID": "0"}
    for name, value in job.items():
        monkeypatch.setenv(f"SLURM_{name}", value)
    return asked


def test_a_job_whose_time_is_over_is_requeued_and_goes_on_with_the_same_bits(slurm: Path, tmp_path: Path) -> None:
    whole, parts = tmp_path / "whole", tmp_path / "parts"
    for folder in (whole, parts):
        folder.mkdir()
    assert forked(whole, FIT, Probe()) == [0], (whole / "told").read_text()
    assert not slurm.exists()

    assert forked(parts, FIT, Probe({Moment("on_before_backward", 5): signal.SIGUSR1})) == [128 + signal.SIGUSR1]
    assert slurm.read_text() == "scontrol requeue 4711\n"
    last = (parts / "told").read_text().splitlines()[-1]
    assert last.startswith("vae-lightning: stopped by SIGUSR1; go on with: vae-lightning fit --config runs/version_0")
    assert last.endswith("; requeued: scontrol requeue 4711")
    assert not list(parts.glob("*.ckpt"))  # Lightning's own, which every later run of this folder would go on from

    assert forked(parts, ["fit", "--ckpt_path", str(RUN)], Probe()) == [0], (parts / "told").read_text()
    assert differences(end(whole), end(parts)) == []


def test_a_cluster_that_refuses_is_told_of(slurm: Path, tmp_path: Path) -> None:
    program(tmp_path / "bin", "scontrol", "echo not allowed >&2; exit 1")
    assert forked(tmp_path, FIT, Probe({Moment("on_before_backward", 5): signal.SIGUSR1})) == [128 + signal.SIGUSR1]
    told = (tmp_path / "told").read_text().splitlines()[-1]
    assert told.endswith("; `scontrol requeue 4711` failed, do it by hand: not allowed")


def test_the_script_begins_a_run_and_goes_on_with_its_last_checkpoint(slurm: Path, tmp_path: Path) -> None:
    def start(count: str | None) -> str:
        slurm.unlink(missing_ok=True)
        environment = {} if count is None else {"SLURM_RESTART_COUNT": count}
        subprocess.run(["sh", SCRIPT, *FIT[1:3]], cwd=tmp_path, env=os.environ | environment, check=True)
        return slurm.read_text().strip()

    assert start(None) == "srun vae-lightning fit --config digits/vae --trainer.logger.version job-4711-0"
    (tmp_path / "runs" / "job-4711-0").mkdir(parents=True)  # it was killed before it had a checkpoint
    assert start("1") == "srun vae-lightning fit --config digits/vae --trainer.logger.version job-4711-1"
    (tmp_path / "runs" / "job-4711-1" / "checkpoints").mkdir(parents=True)
    (tmp_path / "runs" / "job-4711-1" / "checkpoints" / "last.ckpt").touch()
    assert start("2") == "srun vae-lightning fit --ckpt_path runs/job-4711-1"
