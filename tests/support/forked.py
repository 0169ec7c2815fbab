"""Functions -> children of this process that each run one: they have all imports behind them and start at once."""

from __future__ import annotations

import os
import signal
import socket
import sys
import time
import traceback
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NoReturn

_LONG = 600.0  # seconds after which a child hangs


def in_children(
    runs: Sequence[Callable[[], int]], folder: Path, stdout: Path, stderr: Path, patience: float | None = None
) -> list[int]:
    """Run each in a child of its own, in this folder, and append what it prints to these files; their exit statuses.

    Several are the processes of one run, as torchrun would start them. The status of one that died of a signal is
    minus it. With `patience`, in seconds, one that takes longer is killed.
    """
    ranks = [{}] if len(runs) == 1 else environments(len(runs))
    children = []
    for run, environment in zip(runs, ranks, strict=True):
        sys.stdout.flush()
        sys.stderr.flush()
        children.append(os.fork())
        if not children[-1]:
            _child(run, folder, environment, {1: stdout, 2: stderr})
    return [_status(child, patience) for child in children]


def environments(processes: int) -> list[dict[str, str]]:
    """What each process of a run on one machine finds in its environment."""
    world = {
        "MASTER_ADDR": "127.0.0.1",
        "MASTER_PORT": str(free_port()),
        "WORLD_SIZE": str(processes),
        "NODE_RANK": "0",
    }
    return [world | {"LOCAL_RANK": str(rank)} for rank in range(processes)]


def free_port() -> int:
    """One that nothing listens at."""
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


def _child(run: Callable[[], int], folder: Path, environment: dict[str, str], streams: dict[int, Path]) -> NoReturn:
    status = 70
    try:
        os.chdir(folder)
        os.environ.pop("PL_GLOBAL_SEED", None)
        os.environ.update(environment)
        for stream, path in streams.items():
            os.dup2(os.open(path, os.O_CREAT | os.O_APPEND | os.O_WRONLY), stream)
        # pytest's own would take what Python prints
        sys.stdout, sys.stderr = (os.fdopen(stream, "a", buffering=1, closefd=False) for stream in (1, 2))
        status = run()
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(status)


def _status(child: int, patience: float | None) -> int:
    late = time.monotonic() + (_LONG if patience is None else patience)
    while time.monotonic() < late:
        pid, status = os.waitpid(child, os.WNOHANG)
        if pid:
            return os.waitstatus_to_exitcode(status)
        time.sleep(0.01)
    os.kill(child, signal.SIGKILL)
    _, status = os.waitpid(child, 0)
    if patience is not None:
        return os.waitstatus_to_exitcode(status)
    raise TimeoutError(f"a run took longer than {_LONG} s")
