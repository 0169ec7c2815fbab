"""Local: a function and its items -> the results, computed in this process."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable

from vae_lightning.executors.base import Executor, Item, Lost, Result


class Local(Executor):
    """Calls in this process, one after another.

    Examples:
        >>> from vae_lightning.executors import Local
        >>> list(Local().each(lambda item: item**2, [1, 2, 3]))
        [(1, 1), (2, 4), (3, 9)]
    """

    def each(
        self,
        work: Callable[[Item], Result],
        items: Iterable[Item],
        lost: Lost[Item, Result] | None = None,
    ) -> Generator[tuple[Item, Result], None, None]:
        """Yield in the order of the items, each taken when the one before is done."""
        for item in items:
            yield item, work(item)
