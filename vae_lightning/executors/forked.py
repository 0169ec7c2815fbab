"""Forked: a function and its items -> the results, computed in children of this process."""

from __future__ import annotations

import multiprocessing
import signal
from collections.abc import Callable, Generator, Iterable
from contextlib import suppress
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess

from vae_lightning.executors.base import Executor, Item, Lost, Result
from vae_lightning.signals import signals

_LOOK = 1.0  # seconds
_FORK = multiprocessing.get_context("fork")


class Forked(Executor):
    """Calls each in a child of its own, several at once: all have this process's imports behind them.

    A child that dies takes nothing with it. When this ends early, by a signal or since nobody asks for more, the
    children get SIGTERM and are waited for.

    Args:
        jobs: how many children run at once.

    ValueError for fewer than one.

    Examples:
        >>> from vae_lightning.executors import Forked
        >>> sorted(Forked(jobs=2).each(lambda item: item**2, [1, 2, 3]))
        [(1, 1), (2, 4), (3, 9)]
    """

    def __init__(self, jobs: int = 1) -> None:
        if jobs < 1:
            raise ValueError(f"jobs is how many run at once, at least 1; got {jobs}")
        self.jobs = jobs

    def each(
        self,
        work: Callable[[Item], Result],
        items: Iterable[Item],
        lost: Lost[Item, Result] | None = None,
    ) -> Generator[tuple[Item, Result], None, None]:
        """Yield in the order in which they are done; the next item is taken when a child has ended."""
        waiting, more = iter(items), True
        running: dict[Connection, tuple[Item, BaseProcess]] = {}
        try:
            while running or more:
                while more and len(running) < self.jobs:
                    try:
                        item = next(waiting)
                    except StopIteration:
                        more = False
                    else:
                        connection, child = _start(work, item)
                        running[connection] = item, child
                for connection in _answered(running):
                    item, child = running.pop(connection)
                    yield item, _result(connection, child, item, lost)
        finally:
            for _, child in running.values():
                child.terminate()
            for _, child in running.values():
                child.join()


def _answered(running: Iterable[Connection]) -> list[Connection]:
    """Those whose children have sent a result, or ended; waits for the first of them, and looks for signals.

    One that comes while a child is forked is `received` and raises nothing: Python drops what a hook of fork raises.
    """
    waiting = list(running)
    while True:
        signals.answer()
        if not waiting or (found := wait(waiting, timeout=_LOOK)):
            return [each for each in found if isinstance(each, Connection)] if waiting else []


def _start(work: Callable[[Item], Result], item: Item) -> tuple[Connection, BaseProcess]:
    here, there = _FORK.Pipe(duplex=False)
    child = _FORK.Process(target=_call, args=(work, item, there))
    child.start()
    there.close()  # or the end of the child would not be seen
    return here, child


def _call(work: Callable[[Item], Result], item: Item, answer: Connection) -> None:
    answer.send(work(item))


def _result(answer: Connection, child: BaseProcess, item: Item, lost: Lost[Item, Result] | None) -> Result:
    with answer, suppress(EOFError):
        result: Result = answer.recv()
        child.join()
        return result
    child.join()
    code = child.exitcode or 0
    reason = f"its process was ended by {signal.Signals(-code).name}" if code < 0 else f"its process ended with {code}"
    if lost is None:
        raise RuntimeError(f"{item}: {reason}")
    return lost(item, reason)
