"""Runs as users start them, by torchrun on two machines or by the command on one, and what they leave."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from support.command import ROOT, figures
from support.interrupted import differences, end
from support.machines import Machine
from support.short_run import saved

RUN = Path("runs", "version_0")
LAST = RUN / "checkpoints" / "last.ckpt"
DDP = ("--config", str(ROOT / "configs" / "trainer" / "ddp.yaml"))
HERE = {"OMP_NUM_THREADS": "1", "PYTHONUNBUFFERED": "1"}
_TORCHRUN = (sys.executable, "-m", "torch.distributed.run")
_PATIENCE = 300.0  # seconds


class Failed(Exception):
    """A promise that does not hold."""


def hold(holds: bool, what: str, told: Path) -> None:
    """Failed, with what was printed last, if it does not hold."""
    if not holds:
        raise Failed(f"{what}\n{told.read_text()[-4000:]}")


@dataclass
class Pair:
    """Two machines, a folder of this one, and what was started on them last."""

    machines: list[Machine]
    top: Path
    started: list[subprocess.Popen[bytes]] = field(default_factory=list)

    @property
    def first(self) -> Machine:
        """The one whose process writes."""
        return self.machines[0]

    @property
    def second(self) -> Machine:
        """The other."""
        return self.machines[1]

    @property
    def told(self) -> Path:
        """What both print."""
        return self.top / "told"

    def begin(self, *arguments: str) -> None:
        """`torchrun --nnodes 2 ... -m vae_lightning ARGUMENTS` on both."""
        self.told.unlink(missing_ok=True)
        meeting = ("--nnodes", "2", "--rdzv-backend", "c10d", "--rdzv-endpoint", f"{self.first.name}:29500")
        command = [*_TORCHRUN, *meeting, "--nproc-per-node", "1", "-m", "vae_lightning", *arguments]
        self.started = [each.start(command, self.told, **HERE) for each in self.machines]

    def both(self, *arguments: str) -> float:
        """The run of both, from its start to its end; how many seconds."""
        began = time.monotonic()
        self.begin(*arguments)
        statuses = [each.wait(_PATIENCE) for each in self.started]
        hold(statuses == [0, 0], f"statuses {statuses}", self.told)
        return time.monotonic() - began

    def on(self, each: Machine, *arguments: str) -> None:
        """The command on one of them."""
        status = each.start([sys.executable, "-m", "vae_lightning", *arguments], self.told, **HERE).wait(_PATIENCE)
        hold(status == 0, f"status {status}", self.told)

    def killed(self, number: int, *arguments: str, by_cable: bool = False) -> float:
        """Begin a run of both, and end a machine when a few epochs are done, in mid-epoch; when that was."""
        self.begin(*arguments)
        until = time.monotonic() + _PATIENCE
        while time.monotonic() < until and not (self.first.disk / LAST).is_file():
            time.sleep(0.1)
        time.sleep(2)
        lost = self.machines[number]
        lost.cut_the_cable() if by_cable else lost.pull_the_plug()
        return time.monotonic()

    def end_of(self, left: Machine) -> str:
        """What the machine that is left says of it, in one line, when it ends; where both are left, both say it."""
        status = self.started[left.number].wait(_PATIENCE)
        lines = {line for line in self.told.read_text().splitlines() if line.startswith("vae-lightning: ")}
        hold(status == 1 and len(lines) == 1, f"status {status}, {len(lines)} lines", self.told)
        return lines.pop()

    def clear(self) -> None:
        """Remove the runs of both."""
        for each in self.machines:
            shutil.rmtree(each.disk / "runs", ignore_errors=True)


def alone(folder: Path, *arguments: str, processes: int = 1) -> Path:
    """A run on this machine, in a folder of its own."""
    folder.mkdir(parents=True)
    several = (*_TORCHRUN, "--standalone", "--nproc-per-node", str(processes))
    command: Sequence[str] = (*(several if processes > 1 else (sys.executable,)), "-m", "vae_lightning", *arguments)
    done = subprocess.run(command, cwd=folder, env=os.environ | HERE, capture_output=True, text=True, check=False)
    if done.returncode:
        raise Failed(done.stderr[-4000:])
    return folder


def validated(folder: Path) -> dict[str, float]:
    """The figures of the last validation of the run in this folder."""
    return {name: value for name, value in figures(folder / RUN).items() if name.startswith("val/")}


def farthest(one: dict[str, float], other: dict[str, float]) -> float:
    """The largest relative difference of the figures of two runs."""
    if one.keys() != other.keys():
        raise Failed(f"{one} and {other}")
    return max(abs(one[name] - other[name]) / abs(one[name]) for name in one)


def but_config(one: Path, other: Path) -> list[str]:
    """Where the bits of two runs differ: checkpoints, figures, curves."""
    return [each for each in differences(end(one), end(other)) if not each.startswith("/config")]


def weights(checkpoint: Path) -> dict[str, list[float]]:
    """Of a model."""
    return {name: value.tolist() for name, value in saved(checkpoint)["state_dict"].items()}


def step_of(folder: Path) -> int:
    """The step of a run's last checkpoint."""
    return int(saved(folder / LAST)["global_step"])
