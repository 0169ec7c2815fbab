"""Arrays: somebody's own numbers, in memory or in a file -> splits of rows (x, y), standardised if wanted."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, Int64
from torch import Size, Tensor

from vae_lightning.construction.arguments import check_kinds
from vae_lightning.construction.hyperparameters import only_plain
from vae_lightning.data.arrays.numbers import is_missing
from vae_lightning.data.arrays.preparation import RowPreparation
from vae_lightning.data.arrays.rows import Rows, Selection, check_finite, rows_in, rows_of
from vae_lightning.data.arrays.scaling import scaling_of, which_columns
from vae_lightning.data.base import InMemoryDataModule
from vae_lightning.data.loaders import Observations
from vae_lightning.data.protocols import SplitName
from vae_lightning.data.reading import user_path
from vae_lightning.data.splits import stratified_rows

SPLITS: tuple[SplitName, ...] = ("train", "val", "test")
NO_LABEL = -1


class Arrays(InMemoryDataModule):
    """Your own rows of numbers; a batch is x (B, *X) in float32 and labels y (B,), -1 without.

    x is an array of NumPy, torch or scipy.sparse, a frame of pandas, polars or pyarrow, or the path of a .npy, .npz,
    .csv, .tsv or .parquet. Of a frame or table every column is a feature that `label`, `id` and `split` do not name,
    or those that `columns` names. A column without a name that numbers the rows, as pandas writes a frame's index, is
    left out, and a warning says so. With `standardise` a batch has (x - mean) / scale, the mean and standard deviation
    of each entry over the training rows; checkpoints keep them, `to_original` undoes it. Validation and test rows are
    those of the column `split` (train, val or test), or chosen by `split_seed`, in proportion to the labels. `names[i]`
    names the row of id i, `feature_names` the columns. ValueError, in one line, for what is no number, missing or
    infinite.

    With `missing`, entries that are NaN, None or empty stay in x as NaN: they are not observed, means and standard
    deviations are of those that are, and a model's family has to be `families.PartlyObserved` of another.

    Args:
        x: the rows, or the path of their file.
        y: a label for each row; whole numbers or texts.
        ids: a name for each row; by default its number, from 0.
        path: the path of a file in place of x, for the command line.
        columns: the features of a table; by default all its other columns.
        label: a table's column of labels.
        id: a table's column of names.
        split: a table's column that says train, val or test.
        standardise: whether each entry has mean 0 and standard deviation 1 over the training rows; or the names of
            the columns that have: the reals of a table that holds bits, counts and categories, too.
        missing: whether entries may be missing.
        val_size: validation rows, a share below 1 or how many.
        test_size: likewise, for the test.
        split_seed: chooses them.
        batch_size: training rows of a process and step.
        eval_batch_size: rows of a batch of evaluation.
        predict_split: which split `predict` answers for.

    Examples:
        >>> import numpy as np
        >>> from vae_lightning.data import Arrays
        >>> data = Arrays(np.arange(40).reshape(20, 2), standardise=True)
        >>> data.setup()
        >>> [len(split) for split in (data.train, data.val, data.test)]
        [16, 2, 2]
        >>> x, y = next(iter(data.train_dataloader()))
        >>> x.shape, data.to_original(x).sum(1).min()  # row 0 is 0, 1
        (torch.Size([16, 2]), tensor(1.))
    """

    label_names: Sequence[str] = ()
    _scaling: tuple[Tensor, Tensor] | None = None

    def __init__(
        self,
        x: Any = None,
        y: Any = None,
        ids: Sequence[Any] | None = None,
        *,
        path: str | Path | None = None,
        columns: Sequence[str] | None = None,
        label: str | None = None,
        id: str | None = None,
        split: str | None = None,
        standardise: bool | Sequence[str] = False,
        missing: bool = False,
        val_size: int | float = 0.1,
        test_size: int | float = 0.1,
        split_seed: int = 0,
        batch_size: int = 128,
        eval_batch_size: int = 512,
        predict_split: SplitName = "test",
    ) -> None:
        check_kinds(Arrays, locals())
        super().__init__(batch_size, eval_batch_size, predict_split)
        if (x is None) == (path is None):
            raise ValueError("Arrays takes either x, an array or a frame, or the path of a file (--data.path FILE)")
        path = None if path is None else str(path)
        with only_plain(self):
            self.save_hyperparameters(logger=False)
        self.x, self.y, self.ids, self.path = x, y, ids, path
        self.selection, self.standardise, self.missing = Selection(columns, label, id, split), standardise, missing
        self.sizes, self.split_seed = {"val_size": val_size, "test_size": test_size}, split_seed

    @cached_property
    def rows(self) -> Rows:
        """All of them, as they are; read once."""
        place = self.path if self.path is not None else self.x if isinstance(self.x, str | Path) else None
        rows = rows_of(self.x, self.selection, "x") if place is None else rows_in(user_path(place), self.selection)
        check_finite(rows.x, rows.feature_names, "x" if place is None else str(place), self.missing)
        return rows

    @property
    def observed_shape(self) -> Size:
        """(*X)."""
        return Size(self.rows.x.shape[1:])

    @property
    def feature_names(self) -> list[str]:
        """What the columns are called; their numbers where they have no names."""
        width = int(np.prod(self.observed_shape))
        return self.rows.feature_names or [str(number) for number in range(width)]

    @cached_property
    def names(self) -> list[str]:
        """The name of each row; ValueError for two rows of one name, or another number of names."""
        given = self.rows.names if self.ids is None else [str(name) for name in self.ids]
        names = [str(number) for number in range(len(self.rows.x))] if given is None else given
        if len(names) != len(self.rows.x) or len(set(names)) < len(names):
            raise ValueError(f"ids are one name for each of {len(self.rows.x)} rows, each another; got {len(names)}")
        return names

    def load(self) -> tuple[Observations, Observations, Observations]:
        """The three splits."""
        y, x = self._labels(), torch.from_numpy(self.rows.x)
        parts = self._parts(y)
        if self.standardise and self._scaling is None:
            chosen = which_columns(self.standardise, self.feature_names)
            self._scaling = scaling_of(x[parts[0]].double(), self.feature_names, chosen)
        whole = Observations(self.to_model(x), y, torch.arange(len(self.names)))
        train, val, test = (whole.select(rows) for rows in parts)
        return train, val, test

    def to_model(self, x: Float[Tensor, "n *X"]) -> Float[Tensor, "n *X"]:
        """Rows as a batch has them."""
        mean, scale = self.scaling
        return x if self._scaling is None else (x - mean) / scale

    def to_original(self, x: Float[Tensor, "*n *X"]) -> Float[Tensor, "*n *X"]:
        """Rows in the units that they came in."""
        mean, scale = self.scaling
        return x if self._scaling is None else x * scale + mean

    @property
    def scaling(self) -> tuple[Tensor, Tensor]:
        """Mean and scale of each entry, 0 and 1 if it is not standardised.

        log p(x in its own units) = log p(x of a batch) - sum of log scale.
        """
        if self._scaling is not None:
            return self._scaling
        return torch.zeros(self.observed_shape), torch.ones(self.observed_shape)

    @property
    def preparation(self) -> RowPreparation:
        """How other rows become x."""
        mean, scale = (None if self._scaling is None else value.flatten().tolist() for value in self.scaling)
        names, id = self.rows.feature_names, self.selection.id
        return RowPreparation(list(self.observed_shape), names, id, mean, scale)

    def state_dict(self) -> dict[str, Any]:
        """The scaling, for whoever has other rows."""
        mean, scale = self.scaling
        return super().state_dict() | {"mean": mean, "scale": scale, "feature_names": self.feature_names}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Go on with the checkpoint's scaling, also of rows that are read already; ValueError for other columns."""
        super().load_state_dict(state_dict)
        mean, scale = state_dict["mean"], state_dict["scale"]
        if tuple(mean.shape) != tuple(self.observed_shape) or state_dict["feature_names"] != self.feature_names:
            raise ValueError(
                f"the checkpoint's rows have the columns {_shown(state_dict['feature_names'])}, and these "
                f"{_shown(self.feature_names)}: give the same, by data.columns"
            )
        if self.standardise or mean.any() or (scale != 1).any():  # the model saw such rows, whatever is said here
            self._scaling = mean, scale
            if self._splits:  # a trainer reads the data before it restores what is known of them
                self._splits.clear()
                self.setup()

    def _labels(self) -> Int64[Tensor, " N"]:
        """Numbers of the labels in their order, -1 for a row without one; ValueError for another number of them."""
        given = self.rows.labels if self.y is None else np.asarray(self.y)
        if isinstance(self.y, list | tuple) and given is not None and given.dtype.kind == "U":
            given = np.asarray(self.y, object)  # of which NumPy has made texts, of NaN "nan"
        if given is None:
            return torch.full((len(self.rows.x),), NO_LABEL)
        if given.shape != (len(self.rows.x),):
            raise ValueError(f"y is one label for each of {len(self.rows.x)} rows, got an array of shape {given.shape}")
        there = ~is_missing(given)
        try:
            kinds, numbers = np.unique(given[there], return_inverse=True)
        except TypeError:  # some are texts and others numbers, which have no order
            kinds, numbers = np.unique(given[there].astype(str), return_inverse=True)
        self.label_names = [str(kind) for kind in kinds]
        labels = np.full(len(given), NO_LABEL)
        labels[there] = numbers
        return torch.from_numpy(labels)

    def _parts(self, y: Int64[Tensor, " N"]) -> list[Int64[Tensor, " n"]]:
        """Rows of training, validation and test."""
        splits = self.rows.splits
        if splits is None:
            val, test, train = stratified_rows(y, dict(self.sizes), self.split_seed)
            return [rows.sort().values for rows in (train, val, test)]
        said = np.char.strip(splits.astype(str))
        if others := set(said.tolist()) - set(SPLITS):
            raise ValueError(f"the column {self.selection.split!r} says train, val or test, got {min(others)!r}")
        return [torch.from_numpy(np.flatnonzero(said == name)) for name in SPLITS]


def _shown(names: Sequence[str]) -> str:
    return ", ".join([*names[:5], "..."] if len(names) > 5 else names)
