"""RayCluster: a function and its items -> the results, computed on the machines of a Ray cluster."""

from __future__ import annotations

import os
from collections.abc import Callable, Generator, Iterable
from contextlib import suppress
from importlib import import_module
from itertools import islice
from pathlib import Path
from typing import Any

from vae_lightning.executors.base import Executor, Item, Lost, Result


class RayCluster(Executor):
    """Calls on all machines of a Ray cluster at once, each item on one core.

    Ray connects to the cluster that RAY_ADDRESS names, or starts one on this machine. This package must be installed
    on all of them; results come back to this process. A path means the same there as here, where there is such a
    folder. The items of a machine that is lost are run again on the others.
    ValueError without Ray, which is the extra `ray`.

    Args:
        at_once: how many items are taken before their results are there; by default all.
    """

    def __init__(self, at_once: int | None = None) -> None:
        self.at_once = at_once
        try:
            self.ray: Any = import_module("ray")
        except ImportError as error:
            raise ValueError(
                "RAY_ADDRESS names a Ray cluster, and Ray is not installed: pip install 'vae-lightning[ray]', "
                "or unset RAY_ADDRESS to run on this machine"
            ) from error

    def each(
        self,
        work: Callable[[Item], Result],
        items: Iterable[Item],
        lost: Lost[Item, Result] | None = None,
    ) -> Generator[tuple[Item, Result], None, None]:
        """Yield in the order in which they are done; an item that fails raises here, or is `lost`."""
        self.ray.init(ignore_reinit_error=True)
        here = Path.cwd()

        def run(item: Item) -> Result:
            with suppress(OSError):  # a machine may have no such folder
                os.chdir(here)
            return work(item)

        remote = self.ray.remote(num_cpus=1)(run)  # Ray takes functions alone, not partial ones
        waiting = iter(items)
        running: dict[Any, Item] = {}
        try:
            while True:
                room = None if self.at_once is None else self.at_once - len(running)
                running |= {remote.remote(item): item for item in islice(waiting, room)}
                if not running:
                    return
                (done, *_), _ = self.ray.wait(list(running))
                item = running.pop(done)
                yield item, self._result(done, item, lost)
        finally:
            for promise in running:  # an interrupted run may end as it does at a signal
                self.ray.cancel(promise)

    def _result(self, promise: Any, item: Item, lost: Lost[Item, Result] | None) -> Result:
        try:
            result: Result = self.ray.get(promise)
        except Exception as error:
            if lost is None:
                raise
            return lost(item, f"{type(error).__name__}: {' '.join(str(error).split())[:300]}")
        return result
