"""Answering: what every trained model can be asked: arrays, frames, texts and pictures in, records out."""

from __future__ import annotations

import abc
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import Any, TypeVar

import torch
from torch import Tensor
from torch.distributions import Distribution

from vae_lightning.answers.codes import between, blank, how_many, read_codes
from vae_lightning.answers.missing import check_whole
from vae_lightning.answers.neighbours import nearest
from vae_lightning.answers.records import Anomalies, Answer, Decoded, Encoded, Imputed, Nearest, Scored
from vae_lightning.answers.verbs import Decode, Encode, Impute, Law, Reconstruct, Sample, Score, Verb
from vae_lightning.counts import Counts
from vae_lightning.data.arrays.preparation import RowPreparation
from vae_lightning.data.loaders import Observations
from vae_lightning.data.preparation import Preparation, Prepared, Unprepared
from vae_lightning.families import ExponentialFamily
from vae_lightning.inference import Imputed as Filled
from vae_lightning.inference import Scores
from vae_lightning.randomness import seeded

ROWS = 256  # answered at once, each block under a seed of its own

A = TypeVar("A", bound=Answer)


class Answering(abc.ABC):
    """The verbs of a model: data of any kind in -> a record of named rows out.

    Data are whatever the data module of its training reads: an array, a frame, a path; texts; pictures. They are
    prepared as the training data were, and answers are in the units of the data. The same model, seed and rows always
    give the same answer.

    Examples:
        >>> import numpy as np
        >>> import vae_lightning as vl
        >>> model = vl.GaussianVAE(2, vl.Normal(3, scale=1.0))  # untrained: it takes rows as they are
        >>> model.encode(np.zeros((4, 3)))
        Encoded(4 rows: mean (4, 2), sd (4, 2))
        >>> model.generate(5).x.shape, bool((model.log_likelihood(np.zeros((4, 3)), K=200).stderr < 1).all())
        ((5, 3), True)
        >>> model.impute(np.array([[1.0, np.nan, 2.0]])).x[:, [0, 2]]  # what was observed stays
        array([[1., 2.]], dtype=float32)
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

    @abc.abstractmethod
    def simulate(self, n: int) -> Law:
        """P(x | z) at n codes of the model's own: what its samples are drawn from."""

    def simulate_component(self, n: int, k: int) -> Law:
        """The same at codes of the k-th component of the model's prior; TypeError where that has none."""
        raise TypeError(f"{type(self).__name__} has no prior with components to draw from: leave component out")

    def as_observed(self, x: Tensor) -> Tensor | Counts:
        """Sampled observations as the model sees them: documents as `Counts`."""
        return Counts.from_dense(x) if self.observed is not None and self.observed.has_length else x

    def draw(self, n: int) -> Any:
        """N observations as the model sees them: what `sample` gives in the units of the data."""
        with torch.no_grad():
            return self.as_observed(self.simulate(n).sample())

    @abc.abstractmethod
    def scorer(self, rows: Observations, samples: int | None) -> Callable[[Tensor | Counts], Scores]:
        """A function that gives log p(x) of some of these rows, by `samples` samples, or as many as suit the model."""

    @abc.abstractmethod
    def imputed(self, x: Tensor, samples: int | None) -> Filled:
        """Fill in the missing entries of rows, by as many samples as `scorer` takes."""

    @property
    def observed(self) -> ExponentialFamily | None:
        """The family that observations must be of, if the model has one."""
        return None

    @property
    def observed_shape(self) -> Sequence[int]:
        """(*X) of an observation; () where any will do, and of a bag of words."""
        return () if self.observed is None or self.observed.has_length else self.observed.event_shape

    @property
    def takes_missing(self) -> bool:
        """Whether the encoder was made for rows with missing entries."""
        return self.observed is not None and self.observed.takes_missing

    @property
    def read_by(self) -> Preparation:
        """How data become x: as those it was trained on, or else as they are."""
        shape = self.observed_shape
        return self.preparation or (RowPreparation(list(shape)) if shape else Unprepared())

    @property
    @abc.abstractmethod
    def code_shape(self) -> Sequence[int]:
        """(*Z) of a code."""

    # -- the verbs -----------------------------------------------------------------------------------------------

    def encode(self, x: Any, samples: int = 0) -> Encoded:
        """Encode data: the mean and standard deviation of q(z | x) for each row, and `samples` samples of z."""
        return self.answer(Encode(samples), self.read_by.read(x))

    def decode(self, z: Any) -> Decoded:
        """Decode codes (N, *Z), or what `encode` answered: the mean of p(x | z) for each."""
        return self.answer(Decode(), read_codes(z, self.code_shape))

    def reconstruct(self, x: Any) -> Decoded:
        """Encode data and decode the codes: the mean of p(x | z) at the code of each row."""
        return self.answer(Reconstruct(), self.read_by.read(x))

    def interpolate(self, a: Any, b: Any, steps: int = 8) -> Decoded:
        """Decode `steps` points on the straight line from the code of each row of a to that of b, ends included."""
        return self.answer(Decode(), between(self.encode(a), self.encode(b), steps))

    def generate(self, n: int, mean: bool = False, component: int | None = None) -> Decoded:
        """Draw n new rows, or give the means that they are drawn around; every call draws the same ones.

        With a component of the prior all of z is drawn from it: with k those of a VampPrior's k-th pseudo-input.
        """
        return self.answer(Sample(mean, component), blank(n))

    def sample(self, n: int, mean: bool = False) -> Any:
        """N observations from the model (n, *X) in the units of the data, or their means E[x | z]; torch draws them."""
        with torch.no_grad():
            law = self.simulate(how_many(n, 0))
            return self.as_observed(self.read_by.to_original(law.mean if mean else law.sample()))

    def log_likelihood(self, x: Any, K: int | None = None) -> Scored:
        """Estimate log p(x) of each row in nats, with its standard error; of a row with missing entries, of the others.

        By K importance samples of each row, 1,000 by default; of an RBM exactly where one side is small, or else by K
        chains of annealing, 100 by default.
        """
        return self.answer(Score(K), self.read_by.read(x))

    def anomaly(self, x: Any, K: int | None = None) -> Anomalies:
        """-log p(x) of each row: the larger, the less such a row is expected."""
        found = self.log_likelihood(x, K)
        return Anomalies(found.names, found.anomaly, found.stderr, found.effective_sample_size)

    def impute(self, x: Any, K: int | None = None) -> Imputed:
        """Fill in the missing entries (NaN) of each row given its others, which stay as they are; with errors.

        By K importance samples of each row, 1,000 by default; of an RBM by K Gibbs chains, 20 by default.
        """
        return self.answer(Impute(K), self.read_by.read(x))

    def nearest(self, query: Any, among: Any, k: int = 10) -> Nearest:
        """Find the k rows of `among` whose codes are nearest to that of each row of `query`.

        By Hamming distance where codes are bits, else by Euclidean distance of their means. Both are data, or what
        `encode` answered of them.
        """
        ours, theirs = (each if isinstance(each, Encoded) else self.encode(each) for each in (query, among))
        return nearest(ours, theirs, k)

    # -- how -----------------------------------------------------------------------------------------------------

    def answer(self, verb: Verb[A], rows: Prepared) -> A:
        """All rows' answers in one record."""
        return (parts := list(self.answers(verb, rows)))[0].joined(parts)

    def answers(self, verb: Verb[A], rows: Prepared) -> Iterator[A]:
        """All rows' answers, some rows at a time, so that memory is bounded; ValueError where there are no rows."""
        if not len(rows):
            raise ValueError("there are no rows to answer for")
        with self._ready(), seeded(self.seed, type(verb).__name__):
            verb = verb.begun(self, rows)
        for number, block in enumerate(rows.blocks(ROWS)):
            if isinstance(block.x, Tensor) and not (verb.takes_missing or self.takes_missing):
                check_whole(block.x, block.names, self.read_by.columns)
            with self._ready(), seeded(self.seed, type(verb).__name__, number):
                answer = verb(self, replace(block, x=self._placed(block.x)))
            yield answer

    @property
    def where(self) -> torch.device:
        """The device of the weights."""
        return next(self.parameters()).device

    def _placed(self, x: Tensor | Counts) -> Tensor | Counts:
        """Rows where the weights are, dense ones in their precision, which after a run of 64-true is double."""
        if not isinstance(x, Tensor):
            return x.to(self.where)
        x = x.to(self.where)
        placed = x.to(next(self.parameters()))
        if placed.dtype.itemsize < 4 and bool(((x == x.round()) & (x != placed)).any()):
            raise ValueError(
                f"{placed.dtype}, of this model, rounds whole numbers of the data: call model.float() first"
            )
        return placed

    @contextmanager
    def _ready(self) -> Iterator[None]:
        """Without gradient, in full precision, and as in evaluation."""
        modes = [(each, each.training) for each in self.modules()]  # of which some may be held
        self.train(False)
        try:
            with torch.no_grad(), torch.autocast(self.where.type, enabled=False):
                yield
        finally:
            for each, training in modes:
                each.training = training

    @abc.abstractmethod
    def parameters(self, recurse: bool = True) -> Iterator[torch.nn.Parameter]:
        """As torch's modules do."""

    @abc.abstractmethod
    def modules(self) -> Iterator[torch.nn.Module]:
        """As torch's modules do."""

    @abc.abstractmethod
    def train(self, mode: bool = True) -> Any:
        """As torch's modules do."""
