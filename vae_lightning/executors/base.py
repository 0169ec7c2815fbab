"""Executor: a function and its items -> the results, wherever they are computed."""

from __future__ import annotations

import abc
from collections.abc import Callable, Generator, Iterable
from typing import TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")
Lost = Callable[[Item, str], Result]
"""What stands for the result of an item whose process has ended without one, and the reason."""


class Executor(abc.ABC):
    """Calls a function for each of several items, somewhere."""

    @abc.abstractmethod
    def each(
        self,
        work: Callable[[Item], Result],
        items: Iterable[Item],
        lost: Lost[Item, Result] | None = None,
    ) -> Generator[tuple[Item, Result], None, None]:
        """Items with their results, as they come.

        An item is taken when there is a place for it. One whose process ends without a result, killed or out of memory,
        has the result that `lost` gives; without it, that raises here.
        """
