"""Rotations: images without labels -> by which quarter turn each was rotated."""

from __future__ import annotations

import torch
from jaxtyping import Float, Int64, Shaped
from torch import Tensor
from torch.nn.functional import cross_entropy

from vae_lightning.metrics.averages import Averages
from vae_lightning.models.classifier.task import Task

TURNS = 4


class Rotations(Task):
    """Whether an image was rotated by 0, 90, 180 or 270 degrees: a task that needs no labels, on square images.

    Training turns each image by an angle drawn at each step; evaluation looks at all four of each.
    Source: Gidaris, Singh and Komodakis, Unsupervised representation learning by predicting image rotations (2018).

    Examples:
        >>> import torch
        >>> from vae_lightning.models import Rotations
        >>> images, turns = Rotations().posed(torch.rand(5, 3, 8, 8), torch.zeros(5), training=False)
        >>> images.shape, turns.unique()
        (torch.Size([20, 3, 8, 8]), tensor([0, 1, 2, 3]))
    """

    @property
    def num_outputs(self) -> int:
        """One for each quarter turn."""
        return TURNS

    def check_data(self, data: object) -> None:
        """Any images will do."""

    def posed(
        self, x: Float[Tensor, "B C H H"], y: Shaped[Tensor, "B *L"] | None, training: bool
    ) -> tuple[Float[Tensor, "N C H H"], Int64[Tensor, " N"]]:
        """Each image turned once (N = B), by torch's generator, or in evaluation four times (N = 4B)."""
        turned = torch.stack([x.rot90(quarters, (2, 3)) for quarters in range(TURNS)])
        rows = torch.arange(len(x), device=x.device)
        if training:
            turns = torch.randint(TURNS, rows.shape, device=x.device)
            return turned[turns, rows], turns
        return turned.flatten(0, 1), torch.arange(TURNS, device=x.device).repeat_interleave(len(x))

    def losses(self, logits: Float[Tensor, "N 4"], answers: Int64[Tensor, " N"]) -> Float[Tensor, " N"]:
        """Of the four turns."""
        return cross_entropy(logits, answers, reduction="none")

    def figures(self, logits: Float[Tensor, "N 4"], answers: Int64[Tensor, " N"]) -> dict[str, Tensor]:
        """The loss, and 1 where the answer is right."""
        return {"loss": self.losses(logits, answers), "accuracy": (logits.argmax(1) == answers).float()}

    def scores(self) -> Averages:
        """Their means."""
        return Averages(["loss", "accuracy"])
