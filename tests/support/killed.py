"""A study in a child -> its end: by itself, or killed as a file was being written."""

from __future__ import annotations

import multiprocessing
import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any
from unittest.mock import patch

from vae_lightning.studies.base import Study

FORK = multiprocessing.get_context("fork")


def end_of(run: Callable[[], object]) -> int:
    """The exit status of a child that runs this."""
    child = FORK.Process(target=run)
    child.start()
    child.join()
    return child.exitcode or 0


def killed(study: Study[Any, Any], out: Path, number: int) -> None:
    """Reproduce until the number-th file is written, but for its end."""
    left = iter(range(number - 1))
    with patch("os.fsync", side_effect=lambda _: next(left, None) is None and os.kill(os.getpid(), signal.SIGKILL)):
        study.reproduce(out)
