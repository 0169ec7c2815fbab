"""SmoothKNN inside a real fit, against the function on the same rows, and on a model that is the truth."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from support.models import digits, gaussian_vae, hashing, newsgroups, trainer
from torch import Generator, Size, Tensor

from vae_lightning.callbacks import SmoothKNN
from vae_lightning.data import Synthetic
from vae_lightning.data.processes import Process
from vae_lightning.families import Normal
from vae_lightning.metrics.functional import smooth_knn
from vae_lightning.models import GaussianVAE
from vae_lightning.randomness import seeded


@pytest.mark.parametrize("limit", [500, 40])
def test_logs_the_statistic_of_the_first_data_and_as_many_samples(limit: int) -> None:
    module, data = gaussian_vae(), digits()
    run = trainer(SmoothKNN(k=2, alpha=(0.5, 1.0), limit=limit, every_n_epochs=1))
    run.fit(module, datamodule=data)
    samples = []
    for number, (x, _) in enumerate(data.val_dataloader()):
        with seeded(0, "SmoothKNN", number), torch.no_grad():
            samples.append(module.sample(len(x)).flatten(1))
    x = data.val.x.flatten(1)[:limit]
    expected = smooth_knn(x, torch.cat(samples)[:limit], k=2, alpha=(0.5, 1.0))
    assert len(x) == min(61, limit)
    assert float(run.logged_metrics["val/smooth_knn"]) == pytest.approx(expected.item(), rel=1e-4)


class Line(Process):
    """x = (z, 2 z) + 0.3 e, with z and e standard normal."""

    event_shape = Size([2])

    def sample(self, n: int, generator: Generator | None = None) -> Tensor:
        z, e = torch.randn(n, 1, generator=generator), torch.randn(n, 2, generator=generator)
        return z * torch.tensor([1.0, 2.0]) + 0.3 * e

    def log_prob(self, x: Tensor) -> Tensor:
        raise NotImplementedError


def test_a_model_that_is_the_truth_cannot_be_told_from_data_and_another_can() -> None:
    """0 within 4 of its own standard deviations of 1, for every one of five sets of data."""
    module = GaussianVAE(1, Normal(2, 0.3))
    told = {}
    for slope in (2.0, -2.0):
        with torch.no_grad():
            module.model.decoder.network.output.weight.copy_(torch.tensor([[1.0], [slope]]))
            module.model.decoder.network.output.bias.zero_()
        told[slope] = [
            trainer(SmoothKNN(limit=200)).test(module, Synthetic(Line(), (10, 10, 300), seed), verbose=False)[0]
            for seed in range(5)
        ]
    truth, other = ([figures["test/smooth_knn"] for figures in told[slope]] for slope in (2.0, -2.0))
    assert max(map(abs, truth)) < 4
    assert abs(sum(truth) / 5) < 4 / 5**0.5
    assert min(other) > 10


def test_says_before_training_that_bags_of_words_have_no_distances(miniature: Path) -> None:
    with pytest.raises(TypeError, match="HashingVAE models bags of words: leave this callback out"):
        trainer(SmoothKNN()).fit(hashing(), datamodule=newsgroups(miniature))
    with pytest.raises(ValueError, match="k >= 1, got 0"):
        SmoothKNN(k=0)
