"""The suite's checks of kinds and shapes say what jaxtyping's own say, of every kind of mistake."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import pytest
import torch
from beartype import beartype
from jaxtyping import Bool, Float, TypeCheckError
from support import checked
from torch import Tensor

from vae_lightning.messages import in_one_line

X, Y = torch.zeros(3, 2), torch.zeros(2)


def rows(x: Float[Tensor, "rows columns"], y: Float[Tensor, " columns"]) -> Float[Tensor, " rows"]:
    return x @ y if len(x) < 5 else y


def kinds(name: str, size: int = 1, *, sizes: Sequence[int] = (), known: Unknown | None = None) -> float:  # type: ignore[name-defined]  # noqa: F821
    return 1.0 if size else "none"  # type: ignore[return-value]


def listed(masks: list[Bool[Tensor, " n"]], x: Float[Tensor, " n"] | None = None) -> int:
    return len(masks)


def inner(x: Float[Tensor, " n"]) -> Float[Tensor, " n"]:
    """Letters are those of one function: of the one that it calls they are others."""
    return rows(x[None].repeat(2, 1), x).sum() + x


def opened(x: Float[Tensor, " n"]) -> Iterator[Float[Tensor, " n"]]:
    yield x


wrapped = contextmanager(opened)

CASES: list[tuple[Callable[..., Any], tuple[Any, ...], dict[str, Any], bool]] = [
    (rows, (X, Y), {}, True),
    (rows, (X,), {"y": Y}, True),
    (rows, (X, torch.zeros(3)), {}, False),
    (rows, (X, X), {}, False),
    (rows, (X.int(), Y), {}, False),
    (rows, (torch.zeros(7, 2), Y), {}, False),  # what it returns
    (kinds, ("a",), {}, True),
    (kinds, ("a", 2), {"sizes": [3], "known": object()}, True),
    (kinds, (1,), {}, False),
    (kinds, ("a", "b"), {}, False),
    (kinds, ("a",), {"sizes": ["b"]}, False),
    (kinds, ("a", 0), {}, False),  # what it returns
    (listed, ([Y > 0],), {}, True),
    (listed, ([Y > 0], Y), {}, True),
    (listed, ([Y > 0], torch.zeros(3)), {}, False),
    (listed, ([Y],), {}, False),
    (inner, (Y,), {}, True),
    (opened, (Y,), {}, True),
    (opened, (X,), {}, False),
    (wrapped, (Y,), {}, True),
]


@pytest.mark.parametrize("decorated", [checked.jaxtyped, checked._slowly], ids=["ours", "jaxtyping's"])
@pytest.mark.parametrize(("fn", "arguments", "named", "right"), CASES)
def test_a_call_is_right_or_a_type_error(
    fn: Callable[..., Any],
    arguments: tuple[Any, ...],
    named: dict[str, Any],
    right: bool,
    decorated: Callable[..., Any],
) -> None:
    call = decorated(typechecker=beartype)(fn)
    if right:
        call(*arguments, **named)
    else:
        with pytest.raises(TypeCheckError):
            call(*arguments, **named)


def test_the_package_is_checked_so() -> None:
    assert in_one_line.__globals__["jaxtyping"].jaxtyped is checked.jaxtyped
    with pytest.raises(TypeCheckError):
        in_one_line(3)  # type: ignore[arg-type]
