"""Runs of the command for tests: on the miniature archive, in this process or as a real one."""

from __future__ import annotations

import json
import os
import runpy
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

from support.forked import in_children
from vae_lightning.cli import main

ROOT = Path(__file__).parents[2]
HASHING = ROOT / "configs" / "newsgroups" / "8bit.yaml"


def on_miniature(miniature: Path, out: Path) -> list[str]:
    """The options that turn a config of 20 Newsgroups into seconds of work on the miniature archive."""
    return [
        *("--data.path", str(miniature), "--data.hashes", "null", "--data.num_words", "80", "--model.num_words", "80"),
        *("--data.batch_size", "16", "--data.eval_batch_size", "8", "--data.val_size", "20"),
        *("--trainer.max_epochs", "2", "--trainer.log_every_n_steps", "2", "--trainer.accelerator", "cpu"),
        *("--trainer.logger.save_dir", str(out)),
    ]


def command(*arguments: str | Path) -> None:
    """`vae-lightning ARGUMENTS` in this process."""
    main([str(argument) for argument in arguments])


def left_with(arguments: Sequence[str]) -> int:
    """`vae-lightning ARGUMENTS` in this process; the status that it would exit with."""
    return _status(main, arguments)


def _status(program: Callable[[Sequence[str]], object], arguments: Sequence[str]) -> int:
    try:
        program(arguments)
    except SystemExit as left:
        if isinstance(left.code, str):  # a message, which the interpreter prints
            print(left.code, file=sys.stderr)
            return 1
        return int(left.code or 0)
    return 0


def _script(path: Path, arguments: Sequence[str]) -> None:
    sys.argv = [str(path), *arguments]
    runpy.run_path(str(path), run_name="__main__")


def forked(*arguments: str | Path, processes: int = 1, script: Path | None = None) -> subprocess.CompletedProcess[str]:
    """`vae-lightning ARGUMENTS`, or a script with them, in children that need not import anything; else as `process`.

    Its status is that of the first process that has one.
    """
    typed = [str(argument) for argument in arguments]
    program = main if script is None else partial(_script, script)
    with tempfile.TemporaryDirectory() as folder:
        out, err = Path(folder, "stdout"), Path(folder, "stderr")
        statuses = in_children([partial(_status, program, typed)] * processes, Path.cwd(), out, err)
        told = out.read_text(), err.read_text()
    return subprocess.CompletedProcess(typed, next(filter(None, statuses), 0), *told)


def process(
    *arguments: str | Path,
    program: Sequence[str] = ("-m", "vae_lightning"),
    cwd: Path | None = None,
    **environment: str,
) -> subprocess.CompletedProcess[str]:
    """`vae-lightning ARGUMENTS` as a process of its own; its callbacks may come from `tests`."""
    paths = os.pathsep.join([str(ROOT / "tests"), os.environ.get("PYTHONPATH", "")])
    return subprocess.run(
        [sys.executable, *program, *map(str, arguments)],
        env=os.environ | {"PYTHONPATH": paths, "OMP_NUM_THREADS": "1"} | environment,
        capture_output=True, text=True, check=False, timeout=300,
    )  # fmt: skip


def figures(run: Path) -> dict[str, float]:
    """A run's metrics.json."""
    return json.loads((run / "metrics.json").read_text())
