"""Work in a child -> its end: by itself, or killed as a file was being written, or at random moments."""

from __future__ import annotations

import multiprocessing
import os
import shutil
import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np

from support.interrupted import differences
from vae_lightning.studies.base import Study

FORK = multiprocessing.get_context("fork")
KILLS = int(os.environ.get("RANDOM_KILLS", "2"))  # of a training and of a study; `make soak` kills either twenty times


def end_of(run: Callable[[], object], patience: float | None = None) -> int:
    """The exit status of a child that runs this; one that takes longer than the patience, in seconds, is killed."""
    child = FORK.Process(target=run)
    child.start()
    child.join(patience)
    child.kill()
    child.join()
    return child.exitcode or 0


def killed(study: Study[Any, Any], out: Path, number: int) -> None:
    """Reproduce until the number-th file is written, but for its end."""
    left = iter(range(number - 1))
    with patch("os.fsync", side_effect=lambda _: next(left, None) is None and os.kill(os.getpid(), signal.SIGKILL)):
        study.reproduce(out)


def killed_at_random(
    run: Callable[[float | None], int],
    check: Callable[[], object],
    longest: float,
    shortest: float = 0.0,
    kills: int = KILLS,
) -> int:
    """Kill work so many times, let it end, and return how often it ended.

    Args:
        run: the work, begun or gone on with, and killed after so many seconds if given; its exit status.
        check: that what it left is right. It is gone afterwards, so that the work begins anew.
        longest: seconds after which it is killed at the latest.
        shortest: seconds that it has at least.
        kills: how often it is killed.
    """
    delays, wholes = np.random.default_rng(0), 0
    while kills:
        status = run(delays.uniform(shortest, longest))
        assert status in (0, -signal.SIGKILL)
        if status:
            kills -= 1
        else:
            check()
            wholes += 1
    assert run(None) == 0
    check()
    return wholes + 1


def always_ends_alike(
    run: Callable[[float | None], int], folder: Path, parts: Callable[[Path], object], kills: int = KILLS
) -> int:
    """Run in this folder once; then kill as `killed_at_random` does: the same parts are left. How often it ended."""
    began = time.monotonic()
    told = folder / "told"
    assert run(None) == 0, told.read_text() if told.exists() else "what it printed is above"
    took, expected = time.monotonic() - began, parts(folder)
    shutil.rmtree(folder)

    def check() -> None:
        assert differences(expected, parts(folder)) == []
        shutil.rmtree(folder)

    return killed_at_random(run, check, longest=3 * took / 4, shortest=took / 4, kills=kills)
