"""Process: a distribution of x that samples and knows its own density."""

from __future__ import annotations

import abc

from jaxtyping import Float
from torch import Generator, Size, Tensor


class Process(abc.ABC):
    """p*(x), the truth behind synthetic data: it samples, and evaluates log p*(x) exactly; stateless.

    Shapes: x is (*B, *E) with E the `event_shape`; log p* is (*B), in nats, in closed form or by quadrature that has
    converged to the dtype of x.
    """

    event_shape: Size

    @abc.abstractmethod
    def sample(self, n: int, generator: Generator | None = None) -> Float[Tensor, "n *event"]:
        """N independent observations, in torch's default dtype; a function of the generator where one is given."""

    @abc.abstractmethod
    def log_prob(self, x: Float[Tensor, "*B_and_event"]) -> Float[Tensor, "*B"]:
        """Log p*(x), in nats."""
