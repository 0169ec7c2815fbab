"""Answering: what every trained model can be asked: arrays, frames, texts and pictures in, records out."""

from __future__ import annotations

import abc
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.distributions import Distribution

from vae_lightning.answers.records import Answer, Decoded, Encoded
from vae_lightning.answers.verbs import Decode, Encode, Reconstruct, Verb
from vae_lightning.counts import Counts
from vae_lightning.data.preparation import Preparation, Prepared, Unprepared, prepared
from vae_lightning.randomness import seeded

ROWS = 256  # answered at once, each block under a seed of its own

A = TypeVar("A", bound=Answer)


class Answering(abc.ABC):
    """The verbs of a model: data of any kind in -> a record of named rows out.

    Data are whatever the data module of its training reads: an array, a frame, a path; texts; pictures. What was done
    to the training data is done to them, and undone in the answers, which are functions of (the model's seed, rows).
    """

    seed: int
    training: bool
    preparation: Preparation | None

    @abc.abstractmethod
    def posterior(self, x: Tensor | Counts) -> Distribution:
        """Q(z | x) of rows as the model sees them; p(z | x) where that is known."""

    @abc.abstractmethod
    def likelihood(self, z: Tensor) -> Distribution:
        """P(x | z)."""

    @property
    @abc.abstractmethod
    def observed_shape(self) -> Sequence[int]:
        """(*X) of an observation; () of a bag of words."""

    @property
    def read_by(self) -> Preparation:
        """How data become x: as those it was trained on, or else as they are."""
        return self.preparation or Unprepared(self.observed_shape)

    # -- the verbs -----------------------------------------------------------------------------------------------

    def encode(self, x: Any, samples: int = 0) -> Encoded:
        """The codes of data: the mean and standard deviation of q(z | x), and so many samples of z."""
        return self.answer(Encode(samples), self.read_by.read(x))

    def decode(self, z: Any) -> Decoded:
        """The observations of codes (N, *Z): the mean of p(x | z)."""
        return self.answer(Decode(), prepared(torch.from_numpy(np.asarray(z, np.float32))))

    def reconstruct(self, x: Any) -> Decoded:
        """What the model makes of data: the mean of p(x | z) at the code of each row."""
        return self.answer(Reconstruct(), self.read_by.read(x))

    def interpolate(self, a: Any, b: Any, steps: int = 8) -> Decoded:
        """So many observations on the straight line from the code of each row of a to that of b, ends included."""
        if steps < 2:
            raise ValueError(f"interpolate needs at least 2 steps, the two ends; got {steps}")
        start, end = self.encode(a), self.encode(b)
        if len(start) != len(end):
            raise ValueError(f"interpolate goes from each row of a to that of b, got {len(start)} and {len(end)} rows")
        names = [
            f"{one} to {other}, {step}"
            for one, other in zip(start.names, end.names, strict=True)
            for step in range(steps)
        ]
        return self.answer(Decode(), prepared(torch.from_numpy(_between(start.mean, end.mean, steps)), names))

    # -- how -----------------------------------------------------------------------------------------------------

    def answer(self, verb: Verb[A], rows: Prepared) -> A:
        """All rows' answers in one record."""
        return (parts := list(self.answers(verb, rows)))[0].joined(parts)

    def answers(self, verb: Verb[A], rows: Prepared) -> Iterator[A]:
        """The same, some rows at a time, so that no more need be in memory; ValueError for none."""
        if not len(rows):
            raise ValueError("there are no rows to answer for")
        for number, (names, x) in enumerate(rows.chunks(ROWS)):
            with self._ready(), seeded(self.seed, type(verb).__name__, number):
                yield verb(self, names, x.to(self.where))

    @property
    def where(self) -> torch.device:
        """The device of the weights."""
        return next(self.parameters()).device

    @contextmanager
    def _ready(self) -> Iterator[None]:
        """Without gradient, in full precision, and as in evaluation."""
        training = self.training
        self.train(False)
        try:
            with torch.no_grad(), torch.autocast(self.where.type, enabled=False):
                yield
        finally:
            self.train(training)

    @abc.abstractmethod
    def parameters(self, recurse: bool = True) -> Iterator[torch.nn.Parameter]:
        """As torch's modules do."""

    @abc.abstractmethod
    def train(self, mode: bool = True) -> Any:
        """As torch's modules do."""


def _between(a: NDArray[Any], b: NDArray[Any], steps: int) -> NDArray[Any]:
    """(N * steps, *Z): the points of N straight lines, one line after another."""
    share = np.linspace(0, 1, steps, dtype=a.dtype).reshape(1, steps, *[1] * (a.ndim - 1))
    return ((1 - share) * a[:, None] + share * b[:, None]).reshape(-1, *a.shape[1:])
