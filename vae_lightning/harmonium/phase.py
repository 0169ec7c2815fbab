"""NegativePhase: a harmonium and a batch of data -> the model's moments, and the chains to go on from."""

from __future__ import annotations

import abc

from jaxtyping import Float
from torch import Tensor, nn

from vae_lightning.counts import Counts
from vae_lightning.harmonium.harmonium import Harmonium
from vae_lightning.harmonium.moments import ContrastiveMoments

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


def at_least_one(name: str, **counts: int) -> None:
    """ValueError for a count below 1."""
    for what, count in counts.items():
        if count < 1:
            raise ValueError(f"{name} needs {what} >= 1, got {count}")
