"""Executors: where the cells of a study run: here, one after another, or on the machines of a Ray cluster."""

from __future__ import annotations

import abc
import os
from collections.abc import Callable, Iterable, Iterator
from importlib import import_module
from typing import Any, TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")


class Executor(abc.ABC):
    """Calls a function for each of several items, somewhere."""

    @abc.abstractmethod
    def each(self, work: Callable[[Item], Result], items: Iterable[Item]) -> Iterator[tuple[Item, Result]]:
        """Items with their results, as they come."""


class Local(Executor):
    """Calls in this process, one after another."""

    def each(self, work: Callable[[Item], Result], items: Iterable[Item]) -> Iterator[tuple[Item, Result]]:
        """Yield in the order of the items, each taken when the one before is done."""
        for item in items:
            yield item, work(item)


class RayCluster(Executor):
    """Calls on all machines of a Ray cluster at once, each item on one core.

    Ray connects to the cluster that RAY_ADDRESS names, or starts one on this machine. This package must be installed
    on all of them; results come back to this process, which alone writes them.
    ValueError without Ray, which is the extra `ray`.
    """

    def __init__(self) -> None:
        try:
            self.ray: Any = import_module("ray")
        except ImportError as error:
            raise ValueError(
                "cells run on several machines through Ray, which is not installed: pip install 'vae-lightning[ray]', "
                "or unset RAY_ADDRESS to run them here"
            ) from error

    def each(self, work: Callable[[Item], Result], items: Iterable[Item]) -> Iterator[tuple[Item, Result]]:
        """Yield in the order in which they are done; an item that fails raises here."""
        self.ray.init(ignore_reinit_error=True)

        def run(item: Item) -> Result:
            return work(item)

        remote = self.ray.remote(num_cpus=1)(run)  # Ray takes functions alone, not partial ones
        running = {remote.remote(item): item for item in items}
        while running:
            (done, *_), _ = self.ray.wait(list(running))
            yield running.pop(done), self.ray.get(done)


def chosen_executor() -> Executor:
    """The Ray cluster that RAY_ADDRESS names, if it is set, else this process."""
    return RayCluster() if os.environ.get("RAY_ADDRESS") else Local()
