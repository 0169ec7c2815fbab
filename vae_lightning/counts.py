"""Counts: sparse rows of a bag of words, sliced by whole batches."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
import scipy.sparse
import torch
import torch.nn.functional as F
from jaxtyping import Float, Int64
from torch import Tensor


@dataclass(frozen=True, eq=False)
class Counts:
    """A batch of B sparse rows in compressed form: row b holds entries `offsets[b]:offsets[b + 1]`.

    torch's own CSR tensors cannot be sliced, expanded or concatenated; this record can. `indices` are word ids,
    `values` how often each occurs in its row, `total` the row's length l = sum of its counts, as observed: it stays
    when `values` are rescaled (frequencies, TF-IDF).

    Examples:
        >>> import torch
        >>> from vae_lightning.counts import Counts
        >>> x = Counts.from_dense(torch.tensor([[2.0, 0.0, 1.0], [0.0, 3.0, 0.0]]))
        >>> x.values, x.indices, x.total  # only what is not zero
        (tensor([2., 1., 3.]), tensor([0, 2, 1]), tensor([3., 3.]))
        >>> x @ torch.eye(3)
        tensor([[2., 0., 1.],
                [0., 3., 0.]])
        >>> Counts.from_scipy(x.to_scipy(num_words=3)).total  # rows of scipy.sparse, as CountVectorizer gives them
        tensor([3., 3.])
    """

    indices: Int64[Tensor, " entries"]
    offsets: Int64[Tensor, " boundaries"]
    values: Float[Tensor, " entries"]
    total: Float[Tensor, " rows"]

    @classmethod
    def from_dense(cls, x: Float[Tensor, "rows words"]) -> Counts:
        """The non-zero entries of a dense matrix of counts."""
        rows, indices = x.nonzero(as_tuple=True)
        offsets = F.pad(torch.bincount(rows, minlength=len(x)).cumsum(0), (1, 0))
        return cls(indices, offsets, x[rows, indices], x.sum(-1))

    @classmethod
    def from_scipy(cls, matrix: scipy.sparse.sparray | scipy.sparse.spmatrix) -> Counts:
        """The rows of a sparse matrix, documents x words, which is copied; entries of one place are added.

        Raises ValueError for what is no matrix of counts: negative, fractional, infinite, missing or too large ones.
        """
        rows = count_rows(matrix)
        indices, offsets = (torch.from_numpy(part.astype(np.int64)) for part in (rows.indices, rows.indptr))
        values = torch.from_numpy(rows.data.astype(np.float32))
        return cls(indices, offsets, values, torch.segment_reduce(values, "sum", offsets=offsets))

    def to_scipy(self, num_words: int) -> scipy.sparse.csr_array:
        """The same rows as a matrix of scipy, of its own memory; ValueError where a word id does not fit."""
        self.check_words(num_words)
        values, indices, offsets = (part.detach().cpu().numpy() for part in (self.values, self.indices, self.offsets))
        return scipy.sparse.csr_array((values, indices, offsets), shape=(len(self), num_words), copy=True)

    def dense(self, num_words: int) -> Float[Tensor, "rows words"]:
        """The same rows with their zeros; raises ValueError where a word id does not fit."""
        self.check_words(num_words)
        out = self.values.new_zeros(len(self), num_words)
        return out.index_put_((self.rows, self.indices), self.values, accumulate=True)

    def __len__(self) -> int:
        return len(self.total)

    @cached_property
    def pattern(self) -> Pattern:
        """Where the entries stand, whatever their values."""
        return Pattern(self.indices, self.offsets)

    @property
    def rows(self) -> Int64[Tensor, " entries"]:
        """The row each entry belongs to."""
        return self.pattern.rows

    @cached_property
    def values_by_word(self) -> Float[Tensor, " entries"]:
        """The values in order of their words."""
        return self.values.index_select(0, self.pattern.by_word[0])

    @cached_property
    def log_arrangements(self) -> Float[Tensor, " rows"]:
        """Log l! / prod_k x_k!: in how many orders a row's words can stand, in nats."""
        return torch.lgamma(self.total + 1) - self.row_sums(torch.lgamma(self.values + 1))

    @cached_property
    def log_saturated(self) -> Float[Tensor, " rows"]:
        """sum_k x_k log(x_k / l): what a row's words are worth under their own frequencies, in nats."""
        return self.row_sums(torch.xlogy(self.values, self.values)) - torch.xlogy(self.total, self.total)

    @property
    def words(self) -> int | None:
        """How many words all rows have together, if they were counted before they came to another device."""
        return self.__dict__.get("_words")

    def select(self, rows: Int64[Tensor, " selected"]) -> Counts:
        """The given rows, in the given order; one gather, no loop."""
        starts, lengths = self.offsets[rows], self.offsets.diff()[rows]
        offsets = F.pad(lengths.cumsum(0), (1, 0))
        entries = torch.arange(int(offsets[-1]), device=rows.device)
        entries += torch.repeat_interleave(starts - offsets[:-1], lengths)
        indices, values = self.indices.index_select(0, entries), self.values.index_select(0, entries)
        selected = Counts(indices, offsets, values, self.total[rows])
        for constant in _ROW_CONSTANTS:  # known for the whole, a batch need not compute them again
            selected.__dict__[constant] = getattr(self, constant)[rows]
        return selected

    def with_values(self, values: Float[Tensor, " entries"]) -> Counts:
        """The same pattern of words with other values."""
        other = replace(self, values=values)
        other.__dict__["pattern"] = self.pattern
        return other

    def row_sums(self, values: Float[Tensor, " entries"]) -> Float[Tensor, " rows"]:
        """Sum over each row of one number per entry."""
        return torch.segment_reduce(values, "sum", offsets=self.offsets)

    def inner(self, eta: Float[Tensor, "*samples rows words"]) -> Float[Tensor, "*samples rows"]:
        """<x_b, eta_b> for every row b."""
        products = self.values * eta[..., self.rows, self.indices]
        return products.new_zeros(eta.shape[:-1]).index_add(-1, self.rows, products)

    def __matmul__(self, weight: Float[Tensor, "words *columns"]) -> Float[Tensor, "rows *columns"]:
        """X W, touching only the rows of W whose words occur."""
        matrix = weight if weight.ndim == 2 else weight[:, None]
        product = _SparseMatmul.apply(matrix, self)
        return product if weight.ndim == 2 else product[:, 0]

    def transposed_matmul(self, y: Float[Tensor, "rows columns"], num_words: int) -> Float[Tensor, "words columns"]:
        """X^T Y for a vocabulary of so many words."""
        return _bag(y, self.pattern.by_word[1], self.pattern.word_offsets(num_words), self.values_by_word)

    def to(self, *args: Any, **kwargs: Any) -> Counts:
        """Move all four tensors, and what is known of the rows; self if nothing moves."""
        other = self._each(lambda tensor: tensor.to(*args, **kwargs))
        if all(new is old for new, old in zip(other._tensors(), self._tensors(), strict=True)):
            return self
        other.__dict__["_words"] = self.words if self.total.device.type != "cpu" else int(self.total.long().sum())
        return other

    def pin_memory(self) -> Counts:
        """Page-locked copies, for DataLoader(pin_memory=True)."""
        return self._each(Tensor.pin_memory)

    def _each(self, change: Callable[[Tensor], Tensor]) -> Counts:
        other = Counts(*map(change, self._tensors()))
        known = _ROW_CONSTANTS & self.__dict__.keys()
        other.__dict__.update({constant: change(self.__dict__[constant]) for constant in known})
        return other

    def check_words(self, num_words: int) -> None:
        """ValueError where a word id does not fit a vocabulary of so many words."""
        if len(self.indices) and int(self.indices.max()) >= num_words:
            raise ValueError(f"word id {int(self.indices.max())} does not fit a vocabulary of {num_words} words")

    def _tensors(self) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        return self.indices, self.offsets, self.values, self.total


@dataclass(frozen=True, eq=False)
class Pattern:
    """Which words stand in which rows; what is derived of it is computed once, for all values in the same places."""

    indices: Int64[Tensor, " entries"]
    offsets: Int64[Tensor, " boundaries"]

    @cached_property
    def rows(self) -> Int64[Tensor, " entries"]:
        """The row each entry belongs to."""
        numbers = torch.arange(len(self.offsets) - 1, device=self.indices.device)
        return torch.repeat_interleave(numbers, self.offsets.diff(), output_size=len(self.indices))

    @cached_property
    def by_word(self) -> tuple[Int64[Tensor, " entries"], Int64[Tensor, " entries"]]:
        """The entries in order of their words, and the row of each."""
        order = torch.argsort(self.indices.int())
        return order, self.rows.index_select(0, order)

    def word_offsets(self, num_words: int) -> Int64[Tensor, " boundaries"]:
        """Where, in this order, each word of a vocabulary of so many begins, and where the last ends."""
        known: dict[int, Tensor] = self.__dict__.setdefault("_word_offsets", {})
        if num_words not in known:
            ends = self.indices.new_zeros(num_words + 1)  # not bincount, which waits for the device
            known[num_words] = ends.index_add_(0, self.indices + 1, torch.ones_like(self.indices)).cumsum_(0)
        return known[num_words]


def count_rows(matrix: scipy.sparse.sparray | scipy.sparse.spmatrix) -> scipy.sparse.csr_array:
    """Compressed rows in the order of their words, without zeros; ValueError for entries that are no counts."""
    if matrix.dtype.kind in "iu" and matrix.dtype.itemsize < 8:  # entries of one place are added, and must have room
        matrix = matrix.astype(np.int64)
    rows = scipy.sparse.csr_array(matrix, copy=True)
    if rows.ndim != 2 or rows.dtype.kind not in "biuf":
        raise ValueError(f"expected a matrix of counts, documents x words, got {rows.ndim} axes of {rows.dtype}")
    rows.check_format(full_check=True)
    rows.sum_duplicates()
    rows.eliminate_zeros()
    counted = np.isfinite(rows.data) & (rows.data > 0) & (rows.data == np.rint(rows.data))
    if not counted.all():
        raise ValueError(f"counts are whole numbers above 0, got {rows.data[~counted][0]}")
    if rows.nnz and rows.data.max() > _LARGEST_COUNT:
        raise ValueError(f"counts above {_LARGEST_COUNT:,} are not exact in float32, got {rows.data.max()}")
    return rows


def select(x: Tensor | Counts, rows: Tensor) -> Tensor | Counts:
    """These rows of dense or sparse observations."""
    rows = rows.to(device_of(x))
    return x.select(rows) if isinstance(x, Counts) else x[rows]


def device_of(x: Tensor | Counts) -> torch.device:
    """The device of observations."""
    return (x.total if isinstance(x, Counts) else x).device


_LARGEST_COUNT = 1 << 24  # up to which float32 has every whole number
_ROW_CONSTANTS = {"log_arrangements", "log_saturated"}


class _SparseMatmul(torch.autograd.Function):
    """X W and its gradient X^T G, both as bags of rows: three times faster on a CPU than embedding_bag's backward."""

    @staticmethod
    def forward(ctx: Any, weight: Tensor, x: Counts) -> Tensor:
        ctx.x, ctx.num_words = x, len(weight)
        return _bag(weight.detach(), x.indices, x.offsets, x.values)

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None]:
        return ctx.x.transposed_matmul(gradient, ctx.num_words), None


def _bag(table: Tensor, indices: Tensor, offsets: Tensor, values: Tensor) -> Tensor:
    values = values.to(table.dtype)
    return F.embedding_bag(
        indices, table.contiguous(), offsets, mode="sum", per_sample_weights=values, include_last_offset=True
    )
