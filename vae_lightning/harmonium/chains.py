"""PersistentChains: chains that go on from step to step, in a checkpoint and on several processes -> moments."""

from __future__ import annotations

import abc
from collections.abc import Mapping
from typing import Any, NamedTuple

import torch
import torch.distributed as dist
from jaxtyping import Float
from torch import Size, Tensor

from vae_lightning.counts import Counts
from vae_lightning.harmonium.harmonium import Harmonium
from vae_lightning.harmonium.moments import ContrastiveMoments, Moments
from vae_lightning.harmonium.phase import NegativePhase, Step, at_least_one
from vae_lightning.process import rank_and_size


class Stretch(NamedTuple):
    """Samples of the model (n, *E), E[S(h) | v] at them (n, P), the chains after them, and figures to log by name."""

    samples: Tensor
    hidden: Tensor
    chains: Tensor
    figures: Mapping[str, Tensor] = {}


class PersistentChains(NegativePhase, abc.ABC):
    """Chains of h that go on from step to step, the model's moments taken from where they have come to.

    They are a buffer, so that a checkpoint holds them, and each process moves its own share of them.

    Args:
        steps: moves of every chain for a gradient, at least 1.
        chains: over all processes, at least one for each.
    """

    hidden: Tensor
    totals: Tensor

    def __init__(self, steps: int, chains: int) -> None:
        super().__init__()
        at_least_one(type(self).__name__, steps=steps, chains=chains)
        self.steps, self.chains = steps, chains
        self._words: dict[tuple[int, int], int] = {}

    @property
    def chain_shape(self) -> Size:
        """What a chain is made of: by default one h."""
        return Size()

    @abc.abstractmethod
    def advance(self, model: Harmonium, h: Float[Tensor, "n *Z"]) -> Stretch:
        """One stretch of these chains; of documents, `model` has their lengths."""

    def attach(self, model: Harmonium) -> None:
        """A row for each chain."""
        self.register_buffer("hidden", torch.zeros(self.chains, *self.chain_shape, *model.hidden.event_shape))
        self.register_buffer("totals", torch.ones(self.chains))

    def _load_from_state_dict(self, *args: Any) -> None:
        super()._load_from_state_dict(*args)
        self._words = {}

    def start(self, model: Harmonium, totals: Float[Tensor, " n"] | None) -> None:
        """As if nothing came from v, which is right for a model that is not yet trained."""
        self.hidden.copy_(model.hidden.sample(model.b.expand(self.chains, *self.chain_shape, -1)))
        if totals is not None:
            self.totals.copy_(evenly(totals, self.chains))
            self._words = {}

    @property
    def state(self) -> Float[Tensor, "n *Z"]:
        """This process's chains; ValueError if there are fewer than processes."""
        return self._mine(self.hidden)

    def keep(self, state: Float[Tensor, "n *Z"] | None) -> None:
        """Write them into this process's part of the buffer."""
        if state is not None:
            self._mine(self.hidden).copy_(state)

    def forward(self, model: Harmonium, v: Tensor | Counts, state: Tensor | None = None) -> Step:
        """Both sides, by one stretch of this process's chains: those given, or those it keeps."""
        h = self.state if state is None else state
        mean = model.hidden.mean_statistics(model.hidden_natural(v))
        if model.has_lengths:
            lengths = self._mine(self.totals).reshape(-1, *[1] * len(self.chain_shape))
            model = model.given(lengths, self._words_of_mine())
        found = self.advance(model, h)
        # processes are averaged with equal weights, whichever has a chain more
        share = rank_and_size()[1] / self.chains
        moments = Moments.of(model, found.samples, found.hidden, share)
        return ContrastiveMoments(mean, moments, found.samples, found.figures), found.chains

    def starts(self, model: Harmonium, n: int) -> Float[Tensor, "n *Z"]:
        """The chains, again and again."""
        h = self.of_the_model(self.hidden)
        return h[torch.arange(n, device=h.device) % self.chains]

    def of_the_model(self, chains: Float[Tensor, "n *Z"]) -> Float[Tensor, "n *Z"]:
        """The h among these chains that are the model's own: by default all."""
        return chains

    def merge(self) -> None:
        """Put every process's chains in their places."""
        if rank_and_size()[1] > 1:
            mine = self.state.clone()
            self.hidden.zero_()
            self.keep(mine)
            dist.all_reduce(self.hidden)

    def _words_of_mine(self) -> int:
        """How many words the documents of this process's chains have, read from the device once."""
        process = rank_and_size()
        if process not in self._words:
            self._words[process] = int(self._mine(self.totals).long().sum())
        return self._words[process]

    def _mine(self, rows: Tensor) -> Tensor:
        """This process's share."""
        rank, world_size = rank_and_size()
        if self.chains < world_size:
            raise ValueError(f"{self.chains} chains cannot be shared by {world_size} processes: have more chains")
        return rows.tensor_split(world_size)[rank]


def evenly(ordered: Float[Tensor, " n"], k: int) -> Float[Tensor, " k"]:
    """The middles of k parts of equal size: they stand for all n, as in any mean over them."""
    return ordered[((torch.arange(k, device=ordered.device) + 0.5) * (len(ordered) / k)).long()]
