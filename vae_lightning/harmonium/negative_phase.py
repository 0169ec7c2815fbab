"""Negative phases: a harmonium and a batch of data -> the model's moments, by short chains, long ones or exactly."""

from __future__ import annotations

import abc
from typing import Any

import torch
import torch.distributed as dist
from jaxtyping import Float
from torch import Tensor, nn

from vae_lightning.construction.arguments import check_kinds
from vae_lightning.counts import Counts
from vae_lightning.distributions import HELD_BITS
from vae_lightning.families.enumeration import states
from vae_lightning.harmonium.harmonium import Harmonium
from vae_lightning.harmonium.moments import ContrastiveMoments, Moments
from vae_lightning.process import rank_and_size

Step = tuple[ContrastiveMoments, Tensor | None]
"""Both sides of the gradient, and the chains to go on from."""


class NegativePhase(nn.Module, abc.ABC):
    """Where the model's moments come from in the gradient of the log-likelihood,

        d log p(v) / dW = E[T(v) S(h)^T | v] - E[T(v) S(h)^T].

    The first term is exact, and the second an average over samples v of the model, of E[S(h) | v].

    A step is a pure function of the chains that it goes on from: `forward` returns those that it ends in, and `keep`
    remembers them for the next step.
    """

    @property
    def state(self) -> Float[Tensor, "n *Z"] | None:
        """The chains of this process that the next step goes on from; None where nothing goes on."""
        return None

    def keep(self, state: Float[Tensor, "n *Z"] | None) -> None:
        """Let the next step go on from these chains."""

    def attach(self, model: Harmonium) -> None:
        """Make room for what depends on the model's shapes; ValueError for a model that it does not fit."""

    def start(self, model: Harmonium, totals: Float[Tensor, " n"] | None) -> None:
        """Begin a training; `totals` are lengths of documents, evenly spaced through those of the training data."""

    @abc.abstractmethod
    def forward(self, model: Harmonium, v: Tensor | Counts, state: Tensor | None = None) -> Step:
        """Both sides of the gradient for a batch of data, and the chains that come of `state`."""

    def starts(self, model: Harmonium, n: int) -> Float[Tensor, "n *Z"]:
        """N values of h for new chains to start from; by default as if nothing came from v."""
        return model.hidden.sample(model.b.expand(n, -1))

    def merge(self) -> None:
        """Let every process know all that the processes hold."""


class ContrastiveDivergence(NegativePhase):
    """CD-k: chains of k Gibbs steps, started at the data of every batch anew.

    The gradient is biased towards the data, less so the larger k, and of low variance.
    Source: Hinton, Training Products of Experts by Minimizing Contrastive Divergence (2002), Eq. 5.

    Args:
        steps: k, at least 1.

    Examples:
        >>> import torch
        >>> from vae_lightning.families import Bernoulli
        >>> from vae_lightning.harmonium import ContrastiveDivergence
        >>> from vae_lightning.models import RBM
        >>> rbm = RBM(Bernoulli(4), Bernoulli(3), ContrastiveDivergence(steps=1))
        >>> loss, _ = rbm.loss((torch.ones(5, 4), torch.zeros(5)), step=0)
        >>> loss.backward()
        >>> rbm.model.weight.grad.shape  # of the data's moments minus those of one Gibbs step later
        torch.Size([4, 3])
    """

    def __init__(self, steps: int = 1) -> None:
        check_kinds(ContrastiveDivergence, locals())
        super().__init__()
        _at_least_one(type(self).__name__, steps=steps)
        self.steps = steps

    def forward(self, model: Harmonium, v: Tensor | Counts, state: Tensor | None = None) -> Step:
        """Both sides, by chains from the data's own h on; documents keep their lengths."""
        model = model.containing(v)
        mean, h = model.hidden.mean_and_sample(model.hidden_natural(v))
        for left in reversed(range(self.steps)):
            samples = model.visible.sample(model.visible_natural(h))
            eta = model.hidden_natural(samples)
            if left:
                h = model.hidden.sample(eta)
        found = model.hidden.mean_statistics(eta)
        return ContrastiveMoments(mean, Moments.of(model, samples, found, 1 / len(samples)), samples), None


class PersistentContrastiveDivergence(NegativePhase):
    """PCD: chains that go on from step to step, k Gibbs steps each; stochastic maximum likelihood.

    The gradient is right as far as the chains keep up with the model: use smaller learning rates than with CD. The
    chains are a buffer, so that a checkpoint holds them, and are shared among the processes of a run. Chains of
    documents have lengths of their own, evenly spaced through those of the training documents.
    Source: Tieleman, Training Restricted Boltzmann Machines using Approximations to the Likelihood Gradient (2008).

    Args:
        steps: k, at least 1.
        chains: over all processes, at least one for each.

    Examples:
        >>> from vae_lightning.families import Bernoulli
        >>> from vae_lightning.harmonium import PersistentContrastiveDivergence
        >>> from vae_lightning.models import RBM
        >>> rbm = RBM(Bernoulli(4), Bernoulli(3), PersistentContrastiveDivergence(chains=20))
        >>> [(name, tuple(value.shape)) for name, value in rbm.state_dict().items() if len(value) == 20]
        [('algorithm.hidden', (20, 3)), ('algorithm.totals', (20,))]
    """

    hidden: Tensor
    totals: Tensor

    def __init__(self, steps: int = 1, chains: int = 100) -> None:
        check_kinds(PersistentContrastiveDivergence, locals())
        super().__init__()
        _at_least_one(type(self).__name__, steps=steps, chains=chains)
        self.steps, self.chains = steps, chains
        self._words: dict[tuple[int, int], int] = {}

    def attach(self, model: Harmonium) -> None:
        """A row for each chain."""
        self.register_buffer("hidden", torch.zeros(self.chains, *model.hidden.event_shape))
        self.register_buffer("totals", torch.ones(self.chains))

    def _load_from_state_dict(self, *args: Any) -> None:
        super()._load_from_state_dict(*args)
        self._words = {}

    def start(self, model: Harmonium, totals: Float[Tensor, " n"] | None) -> None:
        """As if nothing came from v, which is right for a model that is not yet trained."""
        self.hidden.copy_(super().starts(model, self.chains))
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
        model = model.given(self._mine(self.totals), self._words_of_mine()) if model.has_lengths else model
        for _ in range(self.steps):
            samples = model.visible.sample(model.visible_natural(h))
            found, h = model.hidden.mean_and_sample(model.hidden_natural(samples))
        # processes are averaged with equal weights, whichever has a chain more
        share = rank_and_size()[1] / self.chains
        return ContrastiveMoments(mean, Moments.of(model, samples, found, share), samples), h

    def starts(self, model: Harmonium, n: int) -> Float[Tensor, "n *Z"]:
        """The chains, again and again."""
        return self.hidden[torch.arange(n, device=self.hidden.device) % self.chains]

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


class EnumeratedLikelihood(NegativePhase):
    """The exact gradient, by a sum over every value of h: for models with at most 16 hidden bits, and no documents.

    Of two Normals it is in closed form, of any size. No samples, no noise; what the other two are judged by.

    Examples:
        >>> import torch
        >>> from vae_lightning.families import Bernoulli
        >>> from vae_lightning.harmonium import EnumeratedLikelihood
        >>> from vae_lightning.models import RBM
        >>> rbm = RBM(Bernoulli(4), Bernoulli(3), EnumeratedLikelihood())
        >>> loss, _ = rbm.loss((torch.ones(5, 4), torch.zeros(5)), step=0)
        >>> loss.backward()
        >>> rbm.model.weight.grad.shape  # of the likelihood itself, by all codes
        torch.Size([4, 3])
    """

    def attach(self, model: Harmonium) -> None:
        """ValueError for a model with too much to sum over."""
        if model.joint_normal is not None:
            return
        found = states(model.hidden)
        if found is None or found.bits > HELD_BITS or model.has_lengths:
            size = f"2^{found.bits:.0f} values of h" if found else f"{model.hidden}, which cannot be listed"
            raise ValueError(
                f"EnumeratedLikelihood sums over at most 2^{HELD_BITS} values of h, and not for documents; got "
                f"{model.visible} with {size}: use PersistentContrastiveDivergence"
            )

    def forward(self, model: Harmonium, v: Tensor | Counts, state: Tensor | None = None) -> Step:
        """Both sides, with E[T(v) | h] in closed form for every h, weighted by p(h)."""
        mean = model.hidden.mean_statistics(model.hidden_natural(v))
        if (joint := model.joint_normal) is not None:
            return ContrastiveMoments(mean, Moments(*(each.to(model.weight) for each in joint.moments())), None), None
        values = states(model.hidden)
        assert values is not None, "attach refuses what cannot be listed"
        h = values.every(model.weight)
        probability = (-model.hidden_free_energy(h)).softmax(0)[:, None]
        t, s = model.visible.mean_statistics(model.visible_natural(h)), model.hidden.sufficient_statistics(h)
        weighted = probability * s
        moments = Moments(t[:, model.visible.coupled].T @ weighted, (probability * t).sum(0), weighted.sum(0))
        return ContrastiveMoments(mean, moments, None), None


def evenly(ordered: Float[Tensor, " n"], k: int) -> Float[Tensor, " k"]:
    """The middles of k parts of equal size: they stand for all n, as in any mean over them."""
    return ordered[((torch.arange(k, device=ordered.device) + 0.5) * (len(ordered) / k)).long()]


def _at_least_one(name: str, **counts: int) -> None:
    for what, count in counts.items():
        if count < 1:
            raise ValueError(f"{name} needs {what} >= 1, got {count}")
