"""Task: a batch of images -> what a classifier is asked of it, and how its answers are judged."""

from __future__ import annotations

import abc

from jaxtyping import Float, Shaped
from torch import Tensor
from torchmetrics import Metric


class Task(abc.ABC):
    """What a classifier learns to tell of an image; it holds no state."""

    @property
    @abc.abstractmethod
    def num_outputs(self) -> int:
        """P, how many logits answer it."""

    @abc.abstractmethod
    def check_data(self, data: object) -> None:
        """ValueError if the data module's labels are not what is asked."""

    @abc.abstractmethod
    def posed(
        self, x: Float[Tensor, "B C H W"], y: Shaped[Tensor, "B *L"] | None, training: bool
    ) -> tuple[Float[Tensor, "N C H W"], Shaped[Tensor, "N *L"]]:
        """The images to be looked at and the right answers; in evaluation always the same ones."""

    @abc.abstractmethod
    def losses(self, logits: Float[Tensor, "N P"], answers: Shaped[Tensor, "N *L"]) -> Float[Tensor, " N"]:
        """The cross-entropy of each image's answers, in nats."""

    @abc.abstractmethod
    def figures(self, logits: Float[Tensor, "N P"], answers: Shaped[Tensor, "N *L"]) -> dict[str, Tensor]:
        """What `scores` is updated with."""

    @abc.abstractmethod
    def scores(self) -> Metric:
        """A metric over a split: `update(figures)`, and `compute()` -> what is logged by name."""
