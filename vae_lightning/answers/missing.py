"""Missing: rows of which some entries may be NaN -> an error that names these, where a verb needs whole rows."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor


def check_whole(x: Tensor, names: Sequence[str], columns: Sequence[str] | None) -> None:
    """ValueError names the first entry that is missing."""
    bad = x.isnan()
    if not bad.any():
        return
    row, *place = bad.nonzero()[0].tolist()
    column = columns[place[0]] if columns is not None and len(place) == 1 else ", ".join(map(str, place))
    raise ValueError(
        f"{int(bad.sum())} numbers are missing, the first in row {names[row]!r}, column {column}: fill them in, which "
        "`impute` does; `log_likelihood` takes such rows as they are"
    )
