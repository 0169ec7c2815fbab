"""LabelScores against scikit-learn's scores of each label."""

from __future__ import annotations

import pytest
import torch
from sklearn import metrics as peer
from torch import Tensor

from vae_lightning.metrics import LabelScores

NAMES = ["one", "two", "three"]


def drawn(n: int = 57) -> tuple[Tensor, Tensor]:
    """Logits with ties, which know something of the labels."""
    generator = torch.Generator().manual_seed(0)
    labels = (torch.rand(n, 3, generator=generator) < torch.tensor([0.2, 0.5, 0.8])).float()
    return ((labels + torch.randn(n, 3, generator=generator)) * 4).round() / 4, labels


def scored(logits: Tensor, labels: Tensor) -> dict[str, Tensor]:
    metric = LabelScores(NAMES)
    for rows in torch.arange(len(labels)).split(10):
        metric.update({"logits": logits[rows], "labels": labels[rows]})
    return metric.compute()


def test_each_label_has_the_scores_of_scikit_learn() -> None:
    logits, labels = drawn()
    found = scored(logits, labels)
    for number, name in enumerate(NAMES):
        truth, value = labels[:, number], logits[:, number]
        assert found[f"auc/{name}"].item() == pytest.approx(peer.roc_auc_score(truth, value), abs=1e-6)
        assert found[f"accuracy/{name}"].item() == pytest.approx(peer.accuracy_score(truth, value > 0))
        balanced = peer.balanced_accuracy_score(truth, value > 0)
        assert found[f"balanced_accuracy/{name}"].item() == pytest.approx(balanced)
        assert found[f"base_rate/{name}"].item() == pytest.approx(truth.mean().item())
    losses = [peer.log_loss(labels[:, n], logits[:, n].double().sigmoid()) for n in range(3)]
    assert found["loss"].item() == pytest.approx(sum(losses) / 3)
    assert found["auc"].item() == pytest.approx(sum(found[f"auc/{name}"].item() for name in NAMES) / 3)


def test_the_order_of_large_logits_counts_as_that_of_small_ones() -> None:
    logits, labels = drawn()
    assert scored(logits + 30, labels)["auc"] == scored(logits, labels)["auc"]


def test_a_label_that_all_images_have_is_left_out_of_the_means() -> None:
    logits, labels = drawn()
    labels[:, 1] = 1
    found = scored(logits, labels)
    assert found["auc/two"].isnan()
    assert found["balanced_accuracy/two"].isnan()
    assert found["auc"].item() == pytest.approx((found["auc/one"] + found["auc/three"]).item() / 2)
    assert found["accuracy"].item() == pytest.approx(((logits > 0) == (labels > 0)).double().mean().item())
