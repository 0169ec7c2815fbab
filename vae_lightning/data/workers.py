"""Workers: a function and items -> its results in their order, from as many processes as there are cores."""

from __future__ import annotations

import multiprocessing
import os
import signal
import sys
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from itertools import chain, islice
from multiprocessing.connection import wait
from typing import Any, TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")

_AHEAD = 2  # items a process that are under way, which bounds the memory


def cores() -> int:
    """How many processes may work for this one: one a core on Linux; 1 where copies of it are unsafe or forbidden."""
    alone = sys.platform != "linux" or multiprocessing.current_process().daemon
    return 1 if alone else len(os.sched_getaffinity(0))


def in_order(work: Callable[[Item], Result], items: Iterable[Item]) -> Iterator[Result]:
    """As `map(work, items)`, on all cores if there are several items; results alone are pickled, and items.

    The processes are copies of this one, so that `work` may be anything that is there, such as a class of a notebook.
    They end when this one does, however it ends. ValueError if one of them is killed.
    """
    items = iter(items)
    first = list(islice(items, 2))
    processes = cores()
    if processes == 1 or len(first) < 2:
        yield from map(work, chain(first, items))
        return
    with ProcessPoolExecutor(processes, multiprocessing.get_context("fork"), _begin, (work,)) as pool:
        try:
            yield from _results(pool, chain(first, items), processes * _AHEAD)
        except BrokenProcessPool as error:
            raise ValueError(
                "a process that counted was killed, as the system does when memory runs out: free some, and try again"
            ) from error
        finally:
            pool.shutdown(cancel_futures=True)


def _results(pool: ProcessPoolExecutor, items: Iterator[Any], most: int) -> Iterator[Any]:
    under_way: deque[Future[Any]] = deque()
    for item in items:
        under_way.append(pool.submit(_work, item))
        if len(under_way) >= most:
            yield under_way.popleft().result()
    while under_way:
        yield under_way.popleft().result()


_working: list[Callable[[Any], Any]] = []  # what a process of a pool does


def _begin(work: Callable[[Any], Any]) -> None:
    """Let a new process ignore signals, which its parent answers, and end when its parent ends."""
    for signum in (signal.SIGINT, signal.SIGHUP):  # which a terminal sends to all of its processes
        signal.signal(signum, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    _working[:] = [work]
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    assert parent is not None, "it was made by one"
    wait([parent.sentinel])
    os._exit(1)


def _work(item: Any) -> Any:
    return _working[0](item)
