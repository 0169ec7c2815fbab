"""Numbers: values of any kind -> float32, NaN where there is none; or which of them is no number."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

MISSING = ("", "NA", "N/A", "#N/A", "n/a", "NULL", "null", "None", "<NA>")  # what tables write where there is no number
STEPS = 100  # of float32 between the smallest and the largest number of a column, below which little is left of it
_ROUNDING = 1e-12  # of a number: what differs by less is the same number, computed in two ways


def numbers(values: NDArray[Any], where: str) -> NDArray[np.float32]:
    """As float32; a field of a table that is empty, or says so as NA does, is a missing number.

    A warning says where float32 has too few digits to tell them apart.
    """
    if values.dtype.kind == "U":
        values = np.where(np.isin(np.char.strip(values), MISSING), "nan", values)
    try:
        if values.dtype.kind == "O":
            values = np.asarray(np.frompyfunc(_number, 1, 1)(values), object)
        if values.dtype.kind in "mMc":  # of times NumPy would take the nanoseconds, of complex numbers a part
            raise TypeError(f"{values.dtype} is no kind of number")
        with np.errstate(over="ignore"):
            found = values.astype(np.float32)
    except (ValueError, TypeError, OverflowError) as error:
        bad = next((value for value in values.ravel() if not _is_number(value)), values.dtype)
        raise ValueError(f"{where}: expected numbers, got {str(bad)[:40]!r}") from error
    if not np.can_cast(values.dtype, np.float32):
        _tell_rounded(values.astype(np.float64) if values.dtype.kind in "UO" else values, where)
    return found


def _tell_rounded(values: NDArray[Any], where: str) -> None:
    """Warn of entries that lie close together and far from 0, as times in seconds do: float32 has seven digits."""
    if not values.size or not values.ndim:
        return
    with np.errstate(all="ignore"):
        low, high = (reduce(values, axis=0).astype(np.float64) for reduce in (np.fmin.reduce, np.fmax.reduce))
        most = np.maximum(np.abs(low), np.abs(high))
        step = np.spacing(most.astype(np.float32)).astype(np.float64)
        close = (high - low > _ROUNDING * most) & (high - low < STEPS * step)
        rounded = close.any() and (close & (np.abs(values.astype(np.float32) - values) > 0)).any()  # no whole numbers
    if rounded:
        from lightning.pytorch.utilities import rank_zero_warn  # which a query has not imported

        rank_zero_warn(
            f"{where}: numbers are kept to seven digits, which do not tell some of these apart: subtract what they "
            "have in common before"
        )


def _number(value: Any) -> Any:
    """NaN for none; TypeError for a time of NumPy, of which float would take the days or the nanoseconds."""
    if isinstance(value, np.generic) and value.dtype.kind in "mMc":
        raise TypeError(f"{value.dtype} is no kind of number")
    return np.nan if not isinstance(value, float) and str(value).strip() in MISSING else value


def _is_number(value: Any) -> bool:
    try:
        float(_number(value))
    except (ValueError, TypeError, OverflowError):
        return False
    return True


def is_missing(values: NDArray[Any]) -> NDArray[np.bool_]:
    """Which of them are None or NaN, as frames say that there is no value, of texts, too, or empty, as tables do."""
    if values.dtype.kind == "U":
        return np.char.strip(values) == ""
    if values.dtype.kind in "mM":
        return np.isnat(values)
    none = ("None", "nan", "NaT", "<NA>")
    told = (not value.strip() if isinstance(value, str) else str(value) in none for value in values)
    return np.fromiter(told, bool, len(values)) if values.dtype.kind in "Of" else np.zeros(len(values), bool)
