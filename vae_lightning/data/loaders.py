"""Loaders: observations in memory and an order over them -> whole batches (x, y), one slice each.

There is no torch DataLoader here. Data in memory need no workers; a batch is one slice, where a DataLoader collates row
by row. Iterating a DataLoader draws from torch's global random state, so that watching a run would change it, and
Lightning's sampler for several processes pads a split, so that some observations count twice. Here the order is a
function of (seed, epoch), a resumed epoch goes on with its next batch, and evaluation batch b goes to process b mod W.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, ClassVar, Protocol, runtime_checkable

import torch
import torch.nn.functional as F
from jaxtyping import Int64, Shaped
from torch import Size, Tensor

from vae_lightning.counts import Counts
from vae_lightning.data.mapped import Mapped
from vae_lightning.data.orders import EvaluationOrder, TrainingOrder
from vae_lightning.randomness import derive_seed

Batch = tuple[Tensor | Counts, Tensor]

_VIEWED = 4096  # observations viewed at once


@runtime_checkable
class View(Protocol):
    """How what is stored becomes what a model sees, each observation apart; its entries lie within `limits`."""

    limits: ClassVar[tuple[float, float]]

    def __call__(self, stored: Any, ids: Int64[Tensor, " B"], draw: int | None = None) -> Tensor:
        """x of the observations of these ids; `draw` is a new number every training epoch, None in evaluation."""


@dataclass(frozen=True, eq=False)
class Observations:
    """N observations in memory or in a file that is mapped into it: `x` (N, *X) or sparse, labels `y`, `ids` (N,).

    What is `stored` is x itself, unless there is a `view` of it, which looks at a batch on `device`, by default where
    it is stored. Labels are (N,), or (N, L) where each has several.

    Examples:
        >>> import torch
        >>> from vae_lightning.data import Observations
        >>> data = Observations.numbered(torch.rand(100, 6), torch.zeros(100))
        >>> x, y = data.batch(torch.tensor([3, 1, 4]))
        >>> x.shape, y.shape, data.select(torch.tensor([3, 1, 4])).ids
        (torch.Size([3, 6]), torch.Size([3]), tensor([3, 1, 4]))
    """

    stored: Tensor | Counts | Mapped
    y: Shaped[Tensor, "n *labels"]
    ids: Int64[Tensor, " n"]
    view: View | None = None
    device: torch.device | None = None

    def __post_init__(self) -> None:
        if not len(self.stored) == len(self.y) == len(self.ids):
            sizes = f"{len(self.stored)}, {len(self.y)} and {len(self.ids)}"
            raise ValueError(f"x, y and ids must be equally many, got {sizes}")

    @property
    def x(self) -> Tensor | Counts:
        """All of x as evaluation sees it; made anew at each call where there is a view."""
        if self.view is None:
            return self._stored(torch.arange(len(self))) if isinstance(self.stored, Mapped) else self.stored
        parts = torch.arange(len(self)).split(_VIEWED)
        return torch.cat([self.view(self._stored(rows), self.ids[rows]) for rows in parts])

    @cached_property  # a view has to make an observation to tell
    def shape(self) -> Size | None:
        """(N, *X) of x; None where it is sparse."""
        x, _ = self.batch(torch.arange(min(1, len(self))))
        return Size((len(self), *x.shape[1:])) if isinstance(x, Tensor) else None

    @property
    def limits(self) -> tuple[float, float]:
        """Between which numbers the entries of x lie, as the view says or x shows; NaN are none of them."""
        if self.view is not None:
            return self.view.limits
        entries = F.pad(x.values, (1, 0)) if isinstance(x := self.x, Counts) else x  # a word that is not there is 0
        missing = entries.isnan()
        low, high = (entries[~missing] if missing.any() else entries).aminmax()
        return float(low), float(high)

    @classmethod
    def numbered(cls, x: Tensor | Counts | Mapped, y: Tensor) -> Observations:
        """Observations without names of their own: 0, 1, ..., N - 1."""
        return cls(x, y, torch.arange(len(y)))

    def __len__(self) -> int:
        return len(self.y)

    def batch(self, rows: Int64[Tensor, " B"], draw: int | None = None) -> Batch:
        """(x, y) of these rows, in this order; a view may see others in each `draw`."""
        stored = self._stored(rows)
        if self.view is None:
            return stored, self.y[rows]
        there = stored if self.device is None else stored.to(self.device)
        return self.view(there, self.ids[rows], draw), self.y[rows]

    def select(self, rows: Int64[Tensor, " selected"]) -> Observations:
        """The observations of these rows, in this order."""
        stored = self.stored[rows] if isinstance(self.stored, Tensor) else self.stored.select(rows)
        return replace(self, stored=stored, y=self.y[rows], ids=self.ids[rows])

    def _stored(self, rows: Tensor) -> Tensor | Counts:
        return self.stored.select(rows) if isinstance(self.stored, Counts) else self.stored[rows]


@runtime_checkable
class Rows(Protocol):
    """What gives a batch of some of its rows, as `Observations` do."""

    def batch(self, rows: Int64[Tensor, " B"], draw: int | None = None) -> Batch:
        """(x, y) of these rows."""


class EvaluationLoader:
    """The batches of an evaluation order."""

    def __init__(self, data: Observations, order: EvaluationOrder) -> None:
        self.data, self.order = data, order

    def __len__(self) -> int:
        return len(self.order)

    def __iter__(self) -> Iterator[Batch]:
        return map(self.data.batch, self.order)


class TrainingLoader:
    """The batches of a training order, resumable in mid-epoch: Lightning keeps its state in every checkpoint.

    The state names the epoch and how many of its batches were handed out. After loading it, that epoch goes on with
    the next batch; any other epoch starts at its first. The length stays the whole epoch's. Nothing is drawn from
    torch's global random state.
    """

    def __init__(self, data: Rows, sampler: TrainingOrder) -> None:
        self.data, self.sampler = data, sampler
        self._position = {"epoch": sampler.epoch, "batches": 0}
        self._resumed: dict[str, int] | None = None

    def __len__(self) -> int:
        return len(self.sampler)

    def __iter__(self) -> Iterator[Batch]:
        # a generator: Lightning makes the iterator before it sets the epoch, so nothing may be read before `next`
        epoch, done = self.sampler.epoch, self._batches_done()
        self._resumed = None
        draw = derive_seed(self.sampler.seed, "draw", self.sampler.drawn)
        for number, rows in enumerate(self.sampler):
            if number < done:
                continue
            self._position = {"epoch": epoch, "batches": number + 1}
            yield self.data.batch(rows, draw)

    def state_dict(self) -> dict[str, Any]:
        """The position in the epoch, the same on every process."""
        return {"step_size": self.sampler.step_size, **self._position}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Continue where this state was taken."""
        state = {"step_size": self.sampler.step_size} | state  # older checkpoints of full batches have none
        self._resumed = {key: state[key] for key in ("epoch", "batches", "step_size")}
        self._position = {key: state[key] for key in ("epoch", "batches")}

    def _batches_done(self) -> int:
        resumed, sampler = self._resumed, self.sampler
        if resumed is None or resumed["epoch"] != sampler.epoch:
            return 0
        if resumed["step_size"] != sampler.step_size:
            raise ValueError(
                f"the checkpoint was taken in mid-epoch with {resumed['step_size']} observations a step, which now has "
                f"{sampler.step_size}: resume with the same batch size and number of processes"
            )
        return resumed["batches"]
