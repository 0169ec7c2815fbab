"""Surroundings: the process that a command runs in -> the same when the command is over, but for what was imported."""

from __future__ import annotations

import logging
import os
import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from vae_lightning.messages import unheard

# the seed and the place among the processes of a run, which the next one must not find
_OF_RUN = re.compile(
    r"PL_\w+|CUBLAS_WORKSPACE_CONFIG|MASTER_(ADDR|PORT)|(LOCAL_|NODE_|GROUP_)?RANK|(LOCAL_)?WORLD_SIZE"
)
_NOISE = (
    ".*treespec, LeafSpec.*",
    # said of every run that goes on in its folder: best.ckpt and the rows of metrics.csv are kept there
    "(Checkpoint|Experiment logs) directory .* exists and is not empty",
    # torch's successor of it synchronises buffers when a run begins, and torch says to wait for a better one
    "`broadcast_buffers` is deprecated",
)


@contextmanager
def surroundings() -> Iterator[None]:
    """Within the block, Lightning's remarks about itself are unheard, and classes of this folder can be imported.

    Afterwards environment, search path, warnings, Lightning's loggers, torch's choice of algorithms and what prints an
    uncaught exception are as before, so that a process may run many commands. What random numbers come next is not: a
    run seeds their generators.
    """
    with _environment(), _search_path(), unheard(*_NOISE), _logger(), _algorithms(), _hook():
        yield


@contextmanager
def _environment() -> Iterator[None]:
    before = _of_run()
    try:
        yield
    finally:
        for name in _of_run().keys() - before.keys():
            del os.environ[name]
        os.environ.update(before)


def _of_run() -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if _OF_RUN.fullmatch(name)}


@contextmanager
def _search_path() -> Iterator[None]:
    """With this folder, where `python -m vae_lightning` finds a class path's module, too."""
    try:
        here = str(Path.cwd())
    except FileNotFoundError:  # removed since the shell went there
        here = ""
    if not here or {"", here} & set(sys.path):
        yield
        return
    sys.path.append(here)
    try:
        yield
    finally:
        if here in sys.path:
            sys.path.remove(here)


@contextmanager
def _logger() -> Iterator[None]:
    """Without Lightning's advertisements."""
    logger = logging.getLogger("lightning.pytorch.utilities.rank_zero")
    before = list(logger.filters)
    logger.addFilter(_no_advertisement)
    try:
        yield
    finally:
        logger.filters[:] = before


def _no_advertisement(record: logging.LogRecord) -> bool:
    return not any(name in record.getMessage() for name in ("litlogger", "TPU available: False"))


@contextmanager
def _hook() -> Iterator[None]:
    """With torch's, which tells the rank of the process, in a run of several."""
    before = sys.excepthook
    try:
        yield
    finally:
        sys.excepthook = before


@contextmanager
def _algorithms() -> Iterator[None]:
    """With those of torch that --trainer.deterministic and --trainer.benchmark ask for."""
    before = _asked_of_torch()
    try:
        yield
    finally:
        if before != _asked_of_torch():
            deterministic, warn_only, benchmark = before
            torch = sys.modules["torch"]
            torch.use_deterministic_algorithms(deterministic, warn_only=warn_only)
            torch.backends.cudnn.benchmark = benchmark


def _asked_of_torch() -> tuple[bool, bool, bool]:
    """Whether for algorithms that repeat their bits, or to warn of others alone; whether for the quickest, by trial."""
    if "torch" not in sys.modules:
        return False, False, False
    torch = sys.modules["torch"]
    warn_only = torch.is_deterministic_algorithms_warn_only_enabled()
    return torch.are_deterministic_algorithms_enabled(), warn_only, torch.backends.cudnn.benchmark
