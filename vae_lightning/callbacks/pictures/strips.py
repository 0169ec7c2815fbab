"""Strips: observations in short sequences, which is what a picture shows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from torch import Tensor


@dataclass(frozen=True, eq=False)
class Strips:
    """What a picture shows, whatever an observation looks like.

    A strip is a sequence (L, *X) of observations that belong together: a single sample, an observation and its
    reconstruction, a path. Each may have a label.
    """

    title: str
    rows: Sequence[Tensor]
    labels: Sequence[str] = ()
