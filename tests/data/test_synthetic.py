"""Synthetic: splits drawn once from a process, a function of the seed and nothing else."""

from __future__ import annotations

import pytest
import torch

from vae_lightning.data import Synthetic
from vae_lightning.data.processes import GaussianMixture


def synthetic(sizes: tuple[int, ...] = (100, 20, 30), seed: int = 0) -> Synthetic:
    data = Synthetic(GaussianMixture(), sizes, seed, batch_size=32)
    data.setup("fit")
    return data


def test_batches_are_rows_of_the_process_and_their_numbers() -> None:
    data = synthetic()
    x, rows = next(iter(data.train_dataloader()))
    assert x.shape == (32, 2)
    assert torch.equal(x, data.train.x[rows])
    assert sum(len(y) for _, y in data.test_dataloader()) == 30


def test_the_same_seed_draws_the_same_data_and_leaves_the_global_stream_alone() -> None:
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    first, again, other = synthetic(), synthetic(), synthetic(seed=1)
    assert torch.equal(torch.rand(3), expected)
    assert torch.equal(first.train.x, again.train.x)
    assert not torch.equal(first.train.x, other.train.x)


def test_splits_do_not_depend_on_each_others_sizes_and_share_no_row() -> None:
    small, large = synthetic(), synthetic((1000, 20, 30))
    assert torch.equal(small.val.x, large.val.x)
    assert torch.equal(small.test.x, large.test.x)
    assert not (small.val.x[:, None] == small.test.x).all(-1).any()


def test_checkpoints_keep_plain_hyperparameters() -> None:
    assert synthetic().hparams["sizes"] == (100, 20, 30)
    assert synthetic().hparams["process"]["class_path"] == "vae_lightning.data.processes.GaussianMixture"


@pytest.mark.parametrize("sizes", [(100, 20), (100, 0, 20)])
def test_sizes_are_three_positive_numbers(sizes: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match="three positive numbers"):
        synthetic(sizes)
