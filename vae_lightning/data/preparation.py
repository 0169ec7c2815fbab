"""Preparation: somebody's data, of any kind that a data module reads -> named rows as the model sees them, and back.

A model keeps the preparation of the data that it was trained on, its checkpoint says it in plain values, and so whoever
has the checkpoint alone can give the model other data of the same kind.
"""

from __future__ import annotations

import abc
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import scipy.sparse
import torch
from jaxtyping import Float
from torch import Tensor

from vae_lightning.counts import Counts
from vae_lightning.data.loaders import Observations
from vae_lightning.data.mapped import Mapped


@dataclass(frozen=True, eq=False)
class Block:
    """Some named rows as the model sees them, and in the units of the data."""

    names: Sequence[str]
    x: Tensor | Counts
    original: Tensor | Counts

    def __len__(self) -> int:
        return len(self.names)


@dataclass(frozen=True, eq=False)
class Prepared:
    """N named rows: `names[n]` is of row n of `observations`; `notes` are lines to tell of them.

    `original` are the rows in the units of the data, where x is not.
    """

    names: Sequence[str]
    observations: Observations
    notes: Sequence[str] = ()
    original: Observations | None = None

    def __post_init__(self) -> None:
        if len(self.names) != len(self.observations):
            raise ValueError(f"each row has a name: got {len(self.observations)} rows and {len(self.names)} names")

    def __len__(self) -> int:
        return len(self.names)

    def blocks(self, size: int) -> Iterator[Block]:
        """So many rows at a time."""
        for start in range(0, len(self), size):
            rows = torch.arange(start, min(start + size, len(self)))
            x, _ = self.observations.batch(rows)
            original = x if self.original is None else self.original.batch(rows)[0]
            yield Block(self.names[start : start + size], x, original)

    def part(self, start: int, end: int) -> Prepared:
        """The rows from start to before end."""
        rows = torch.arange(start, end)
        original = None if self.original is None else self.original.select(rows)
        return Prepared(self.names[start:end], self.observations.select(rows), (), original)


class Preparation(abc.ABC):
    """What data go through before a model sees them; its constructor takes plain values, which a checkpoint keeps."""

    def __deepcopy__(self, memo: object) -> Preparation:
        """Give itself: it never changes, and of a copy nobody could say what it was built with."""
        return self

    @abc.abstractmethod
    def read(self, data: Any) -> Prepared:
        """Rows, named, of data in memory or the path of them; ValueError for data that are not of the model's kind."""

    def to_original(self, x: Float[Tensor, "*n *X"]) -> Float[Tensor, "*n *X"]:
        """The model's x in the units of the data; by default they are the same."""
        return x

    def spread(self, x: Float[Tensor, "*n *X"]) -> Float[Tensor, "*n *X"]:
        """A standard deviation of the model's x in the units of the data."""
        return x

    def texts(self, x: Float[Tensor, "n *X"]) -> Sequence[str] | None:
        """Rows in the units of the data as texts, where they are of texts."""
        return None

    def log_volume(self, x: Tensor | Counts) -> Float[Tensor, " n"]:
        """Log of the Jacobian of data -> x of each row, (n,): log p(data) = log p(x) + this."""
        return torch.zeros(len(x), dtype=torch.float64)

    @property
    def columns(self) -> Sequence[str] | None:
        """What the entries of a row are called, if they have names."""
        return None


class Unprepared(Preparation):
    """Rows as they are: (N, *X) of NumPy or torch, or counts of words, (N, W), sparse or `Counts`.

    Args:
        shape: (*X), which each row must have; () if it is not known.

    Examples:
        >>> import numpy as np
        >>> from vae_lightning.data.preparation import Unprepared
        >>> prepared = Unprepared([2]).read(np.ones((3, 2)))
        >>> prepared.names, prepared.observations.x.dtype
        (['0', '1', '2'], torch.float32)
    """

    def __init__(self, shape: Sequence[int] = ()) -> None:
        self.shape = tuple(shape)

    def read(self, data: Any) -> Prepared:
        """ValueError for rows of another shape, and for what is no array."""
        x = as_rows(data)
        if self.shape and isinstance(x, Tensor) and tuple(x.shape[1:]) != self.shape:
            raise ValueError(
                f"the model takes rows of shape {self.shape}, (N, {', '.join(map(str, self.shape))}) in all; got "
                f"{tuple(x.shape)}"
            )
        return prepared(x)


def as_rows(data: Any) -> Tensor | Counts:
    """An array of any library as float32, sparse rows as `Counts`; ValueError for anything else, such as a path."""
    if isinstance(data, Counts):
        return data
    if scipy.sparse.issparse(data):
        return Counts.from_scipy(data)
    if isinstance(data, Tensor):
        return data.detach().cpu().float()
    try:
        return torch.from_numpy(np.asarray(data).astype(np.float32))
    except (ValueError, TypeError) as error:
        raise ValueError(
            f"the model keeps nothing of the data that it was trained on, so it takes arrays of NumPy or torch alone; "
            f"got {type(data).__name__}: train with a data module of vae_lightning.data, which knows how to read yours"
        ) from error


def prepared(x: Tensor | Counts | Mapped, names: Sequence[str] | None = None, notes: Sequence[str] = ()) -> Prepared:
    """Rows by their names, by default their numbers; none of them has a label."""
    told = [str(number) for number in range(len(x))] if names is None else names
    return Prepared(told, Observations.numbered(x, torch.full((len(x),), -1)), notes)
