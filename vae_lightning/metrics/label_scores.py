"""LabelScores: logits of several labels, and the labels -> how often each is told right, and how well it is ranked."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn.functional import binary_cross_entropy_with_logits
from torchmetrics import Metric
from torchmetrics.functional.classification import binary_auroc
from torchmetrics.utilities import dim_zero_cat

from vae_lightning.metrics.gather import gather_rows


class LabelScores(Metric):
    """Scores of L yes-or-no labels, over any number of processes; it keeps all logits and labels, 8 L bytes each image.

    `loss` is the cross-entropy in nats, the mean over labels; `accuracy` the share of right answers (the logit's sign);
    `balanced_accuracy` the mean of that among images with the label and of that among those without; `auc` the
    probability that an image with the label has a larger logit than one without. Each is logged for every label, as
    `auc/Smiling`, beside `base_rate/Smiling`, the share of images with it; and, but for that, as a mean over labels.
    A label that all images have, or none, has no balanced accuracy and no AUC (NaN), and is left out of their means.

    Args:
        names: of the L labels.

    Examples:
        >>> import torch
        >>> from vae_lightning.metrics import LabelScores
        >>> metric = LabelScores(["tall", "wide"])
        >>> labels = torch.tensor([[1.0, 0.0], [0.0, 1.0], [1.0, 1.0]])
        >>> metric.update({"logits": 4 * labels - 2, "labels": labels})
        >>> metric.compute()["auc/tall"], metric.compute()["accuracy"]
        (tensor(1., dtype=torch.float64), tensor(1., dtype=torch.float64))
    """

    full_state_update = False
    logits: list[Tensor] | Tensor
    labels: list[Tensor] | Tensor

    def __init__(self, names: Sequence[str], **kwargs: Any) -> None:
        super().__init__(**{"dist_sync_fn": gather_rows} | kwargs)
        self.names = tuple(names)
        for state in ("logits", "labels"):
            self.add_state(state, [], dist_reduce_fx="cat")

    def update(self, figures: Mapping[str, Float[Tensor, "B L"]]) -> None:
        """Add `logits` and `labels`, 0 or 1, of a batch."""
        for state, kept in (("logits", self.logits), ("labels", self.labels)):
            assert isinstance(kept, list), "merged only while they are computed"
            kept.append(figures[state].detach().float())

    def compute(self) -> dict[str, Tensor]:
        """All of them by name."""
        logits, labels = dim_zero_cat(self.logits), dim_zero_cat(self.labels)
        each = _of_each(logits, labels)
        loss = binary_cross_entropy_with_logits(logits.double(), labels.double())
        means = {score: values.nanmean() for score, values in each.items() if score != "base_rate"}
        named = {
            f"{score}/{name}": value
            for score, values in each.items()
            for name, value in zip(self.names, values, strict=True)
        }
        return {"loss": loss} | means | named


def _of_each(logits: Float[Tensor, "N L"], labels: Float[Tensor, "N L"]) -> dict[str, Float[Tensor, " L"]]:
    """The scores of each label."""
    has, right = labels.double(), ((logits > 0) == (labels > 0)).double()
    with_it, without = (right * has).sum(0) / has.sum(0), (right * (1 - has)).sum(0) / (1 - has).sum(0)
    balanced, ranked = (with_it + without) / 2, _ranks(logits)
    auc = [
        binary_auroc(ranked[:, label], labels[:, label].long()).double() if known else balanced.new_tensor(torch.nan)
        for label, known in enumerate(balanced.isfinite())
    ]
    return {
        "base_rate": has.mean(0),
        "accuracy": right.mean(0),
        "balanced_accuracy": balanced,
        "auc": torch.stack(auc),
    }


def _ranks(logits: Float[Tensor, "N L"]) -> Float[Tensor, "N L"]:
    """The order of each label's logits, from 0 to 1: their sigmoids are equal where they are large."""
    return torch.stack([each.unique(return_inverse=True)[1] for each in logits.mT], 1).double() / len(logits)
