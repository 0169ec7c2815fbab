"""A command leaves the process as it found it, and nothing of its own in memory: a program may run many."""

from __future__ import annotations

import atexit
import gc
import logging
import os
import re
import signal
import sys
import threading
import warnings
import weakref
from pathlib import Path
from typing import Any

import pytest
import torch
from support.command import command, left_with
from support.short_run import tiny

from vae_lightning.studies.mixture import MixtureStudy
from vae_lightning.training.cli import TrainingCLI

BRIEF = ("--trainer.max_epochs", "1", "--trainer.limit_train_batches", "2")
_LOGGERS = "lightning", "lightning.pytorch", "lightning.pytorch.utilities.rank_zero", "vae_lightning"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """With tiny.yaml and a run of it, after which all that a command imports is there."""
    folder = tmp_path_factory.mktemp("surroundings")
    command("fit", "--config", tiny(folder), *BRIEF, "--trainer.logger.save_dir", folder)
    return folder


def surroundings() -> dict[str, Any]:
    """What the parts of a process share."""
    loggers = map(logging.getLogger, (*_LOGGERS, None))
    return {
        "environment": dict(os.environ),
        "folder": Path.cwd(),
        "search path": list(sys.path),
        "arguments": list(sys.argv),
        "streams": (sys.stdin, sys.stdout, sys.stderr),
        "open files": sorted(each.name for each in Path("/proc/self/fd").iterdir()),
        "warnings": (list(warnings.filters), warnings.showwarning, warnings.formatwarning),
        "loggers": [(each.name, each.level, each.handlers[:], each.filters[:], each.disabled) for each in loggers],
        "signals": [signal.getsignal(number) for number in signal.valid_signals()],
        "hooks": (sys.excepthook, threading.excepthook, sys.gettrace(), sys.getprofile(), gc.callbacks[:]),
        "at exit": atexit._ncallbacks(),
        "threads": [each.name for each in threading.enumerate()],
        "garbage": (gc.isenabled(), gc.get_threshold()),
        "torch": (
            torch.get_num_threads(), torch.get_default_dtype(), torch.is_grad_enabled(),
            torch.are_deterministic_algorithms_enabled(), torch.is_deterministic_algorithms_warn_only_enabled(),
            torch.get_float32_matmul_precision(), torch.backends.cudnn.benchmark, torch.distributed.is_initialized(),
        ),
    }  # fmt: skip


@pytest.mark.parametrize(
    ("arguments", "status"),
    [
        (("fit", "--config", "{0}/tiny.yaml", *BRIEF, "--trainer.deterministic", "warn", "--trainer.benchmark", "true",
          "--seed_everything", "7", "--trainer.logger.save_dir", "{0}/two"), 0),
        (("test", "--ckpt_path", "{0}/version_0"), 0),
        (("sample", "--ckpt", "{0}/version_0", "--n", "4", "--out", "{0}/rows.csv"), 0),
        (("report", "{0}/version_0", "--out", "{0}/report.html"), 0),
        (("fit", "--config", "{0}/tiny.yaml", "--data.batch_size", "-3"), 1),
        (("fit", "--nonsense"), 2),
    ],
    ids=lambda value: " ".join(value[:2]) if isinstance(value, tuple) else "",
)  # fmt: skip
def test_a_command_leaves_its_process_as_it_was(
    arguments: tuple[str, ...], status: int, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)  # which is not on the search path
    before = surroundings()
    assert left_with([word.format(folder) for word in arguments]) == status
    after = surroundings()
    assert {name: after[name] for name in after if after[name] != before[name]} == {}


def test_a_run_of_processes_leaves_no_place_among_them(folder: Path, tmp_path: Path) -> None:
    """Where the next one would look for the others."""
    before = surroundings()
    command(
        "fit",
        "--config",
        folder / "tiny.yaml",
        *BRIEF,
        "--trainer.strategy",
        "ddp",
        "--trainer.logger.save_dir",
        tmp_path,
    )
    after = surroundings()
    assert [name for name in ("environment", "hooks", "torch") if after[name] != before[name]] == []


def test_a_command_runs_where_the_folder_was_removed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of its search path there was a traceback."""
    monkeypatch.setattr(sys, "path", [part for part in sys.path if part])
    (tmp_path / "gone").mkdir()
    monkeypatch.chdir(tmp_path / "gone")
    (tmp_path / "gone").rmdir()
    with pytest.raises(SystemExit, match="0"):
        command("encode", "--help")


def test_a_study_leaves_what_lightning_says_as_it_was(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        MixtureStudy, "reproduce", lambda study, out: warnings.filterwarnings("ignore", message="imported")
    )
    logger, filters = logging.getLogger("lightning.pytorch"), list(warnings.filters)
    level = logger.level
    command("reproduce", "mixture")
    assert logger.level == level
    (imported, *others) = warnings.filters
    assert (str(imported[1]), others) == (str(re.compile("imported", re.IGNORECASE)), filters)


def test_nothing_of_a_fit_stays_in_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Not even what modules remember of how they were built: a builder of them may hold the whole command."""
    seen: list[weakref.ref[object]] = []

    def see(cli: TrainingCLI) -> None:
        seen.extend(map(weakref.ref, (cli, cli.trainer, cli.model, cli.datamodule, cli.trainer.optimizers[0])))

    monkeypatch.setattr(TrainingCLI, "after_fit", see)
    command("fit", "--config", tiny(tmp_path), *BRIEF, "--trainer.logger.save_dir", tmp_path)
    gc.collect()
    assert [each() for each in seen] == [None] * 5
