"""Running: a run of a sweep -> its folder, trained from where it stands, and how that ended."""

from __future__ import annotations

import os
import sys
import time
import traceback
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from lightning.pytorch.callbacks import Callback

from vae_lightning.messages import in_one_line
from vae_lightning.process.output import printing_to
from vae_lightning.signals import Interrupted, signals
from vae_lightning.sweeps.grid import Run
from vae_lightning.sweeps.record import Record, State, settings
from vae_lightning.training import TrainingCLI
from vae_lightning.training.checkpoint import whole
from vae_lightning.trust import read_record

OUTPUT = "output.txt"


@dataclass(frozen=True)
class Task:
    """A run, and the folder of all: what a process is given."""

    run: Run
    sweep: Path

    @property
    def folder(self) -> Path:
        """The folder of this run."""
        return self.sweep / self.run.name


@dataclass(frozen=True)
class Outcome:
    """How a run has ended, after how many seconds; of one that failed the error, in one line."""

    state: State
    error: str = ""
    seconds: float = 0.0


def train(task: Task, observers: Sequence[Callback] = ()) -> Outcome:
    """Train a run in this process, from its last.ckpt if it has one; what it prints goes into output.txt.

    It computes on one thread unless OMP_NUM_THREADS says otherwise, so that its bits do not depend on how many run
    beside it. An error is the outcome; a signal ends the process when the step is over.
    """
    began, folder = time.monotonic(), task.folder
    folder.mkdir(parents=True, exist_ok=True)
    asked = settings(task.run.arguments)
    Record(asked, "started").write(folder)
    torch.set_num_threads(int(os.environ.get("OMP_NUM_THREADS", "1")))
    os.environ.pop("PL_GLOBAL_SEED", None)  # of a run that this process has had before
    with printing_to(folder / OUTPUT), signals.handling():
        error = _error(_arguments(task), folder, observers)
    state: State = "failed" if error else "finished"
    Record(asked, state, error).write(folder)
    return Outcome(state, error, time.monotonic() - began)


def _arguments(task: Task) -> list[str]:
    """What is typed: where there is a last.ckpt to go on from, that, and not what the run had started from."""
    last = task.folder / "checkpoints" / "last.ckpt"
    if not last.is_file():
        return ["fit", *task.run.arguments]
    kept, skipped = [], False
    for argument in task.run.arguments:
        if not skipped and not argument.startswith("--start_from"):
            kept.append(argument)
        skipped = argument == "--start_from"
    return ["fit", *kept, f"--ckpt_path={whole(last)}"]


def _error(arguments: list[str], folder: Path, observers: Sequence[Callback]) -> str:
    """Train the run; return what went wrong in one line, or an empty text."""
    try:
        TrainingCLI.run(arguments, folder, observers)
        signals.answer()
    except Interrupted:
        raise
    except SystemExit as left:
        return _last_line(folder / OUTPUT) if left.code else ""
    except Exception as error:
        traceback.print_exc()
        return f"{type(error).__name__}: {in_one_line(str(error))}"
    return ""


def _last_line(output: Path) -> str:
    sys.stderr.flush()
    lines = output.read_text(errors="replace").strip().splitlines()
    return lines[-1].removeprefix("vae-lightning: ") if lines else "it ended without a word"


def figure(folder: Path, name: str) -> float | None:
    """The last value of a figure, if the run has logged it."""
    try:
        value = read_record(folder / "metrics.json").get(name)
    except (OSError, ValueError):
        return None
    return float(value) if isinstance(value, int | float) else None
