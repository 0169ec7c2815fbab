"""RowPreparation: other rows of the same columns -> standardised as the training rows were, and back."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from numpy.typing import NDArray
from torch import Tensor

from vae_lightning.construction.arguments import check_kinds
from vae_lightning.counts import Counts
from vae_lightning.data.arrays.rows import Rows, Selection, check_finite, rows_in, rows_of
from vae_lightning.data.preparation import Preparation, Prepared, prepared
from vae_lightning.data.reading import user_path


class RowPreparation(Preparation):
    """Rows of numbers, of an array, a frame or a file, as `data.Arrays` reads them.

    Of a table the columns are found by their names, whatever their order; an array has them in the model's order.

    Args:
        shape: (*X) of a row.
        columns: what the columns are called, if they have names.
        id: a table's column of names of rows, used where there is one.
        mean: of each entry, flattened, over the training rows; None if rows are not standardised.
        scale: likewise, their standard deviation.

    Examples:
        >>> import numpy as np
        >>> from vae_lightning.data.arrays.preparation import RowPreparation
        >>> preparation = RowPreparation([2], ["a", "b"], mean=[1.0, 2.0], scale=[1.0, 4.0])
        >>> x = preparation.read(np.array([[2.0, 6.0]])).observations.x
        >>> x, preparation.to_original(x)
        (tensor([[1., 1.]]), tensor([[2., 6.]]))
    """

    def __init__(
        self,
        shape: Sequence[int],
        columns: Sequence[str] | None = None,
        id: str | None = None,
        mean: Sequence[float] | None = None,
        scale: Sequence[float] | None = None,
    ) -> None:
        check_kinds(RowPreparation, locals())
        self.shape, self.names, self.id = tuple(shape), columns, id
        self.scaled = mean is not None or scale is not None
        zeros = np.zeros(int(np.prod(self.shape)))
        self.mean = torch.tensor(zeros if mean is None else mean, dtype=torch.float32).view(self.shape)
        self.scale = torch.tensor(zeros + 1 if scale is None else scale, dtype=torch.float32).view(self.shape)

    @property
    def columns(self) -> Sequence[str] | None:
        """Of the table that the model was trained on."""
        return self.names

    def read(self, data: Any) -> Prepared:
        """ValueError, in one line, for other columns, and for what is no number; a missing one is NaN."""
        is_file = isinstance(data, str | Path)
        chosen = _AsTrained(self.names, id=self.id)
        rows = rows_in(user_path(data), chosen) if is_file else rows_of(data, chosen, "x")
        where = str(data) if is_file else "x"
        if rows.x.shape[1:] != self.shape:
            raise ValueError(f"{where}: the model takes rows of shape {self.shape}, got {tuple(rows.x.shape[1:])}")
        check_finite(rows.x, rows.feature_names, where, missing=True)
        x = torch.from_numpy(rows.x)
        if not self.scaled:
            return prepared(x, rows.names)
        return replace(prepared((x - self.mean) / self.scale, rows.names), original=prepared(x).observations)

    def to_original(self, x: Float[Tensor, "*n *X"]) -> Float[Tensor, "*n *X"]:
        """X * scale + mean."""
        return x * self.scale.to(x) + self.mean.to(x) if self.scaled else x

    def spread(self, x: Float[Tensor, "*n *X"]) -> Float[Tensor, "*n *X"]:
        """X * scale."""
        return x * self.scale.to(x)

    def log_volume(self, x: Tensor | Counts) -> Float[Tensor, " n"]:
        """-sum_d log scale_d over the entries that a row has."""
        assert isinstance(x, Tensor), "rows of numbers are dense"
        logs = self.scale.to(x.device).double().log().expand_as(x)
        return -torch.where(x.isnan(), 0, logs).flatten(1).sum(1)


class _AsTrained(Selection):
    """The columns that the model was trained on; the one of names may be missing."""

    def of(self, table: Mapping[str, NDArray[Any]], where: str) -> Rows:
        id = self.id if self.id in table else None
        columns = [name for name in table if name != id] if self.columns is None else self.columns
        return Selection(columns, id=id).of(table, where)
