"""Digits: scikit-learn's images in three splits, and what a process sees of them in training."""

from __future__ import annotations

import itertools
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from jsonargparse import ArgumentParser
from lightning.pytorch import LightningDataModule, LightningModule, seed_everything
from lightning.pytorch.callbacks import ModelCheckpoint
from sklearn.datasets import load_digits
from support.models import trainer
from torch import Tensor

from vae_lightning.data import Binarisation, Digits, DynamicBinarisation, StaticBinarisation, ThresholdBinarisation

SPLITS = ("train", "val", "test")
BINARISATIONS = [StaticBinarisation(), DynamicBinarisation(), ThresholdBinarisation()]


def digits(binarisation: Binarisation | None = None, rank: int = 0, world: int = 1, **changes: Any) -> Digits:
    data = Digits(binarisation, **{"batch_size": 100, "eval_batch_size": 50} | changes)
    data.trainer = SimpleNamespace(global_rank=rank, world_size=world, overfit_batches=0.0, global_step=0)
    data.setup("fit")
    return data


def batches(data: Digits, epoch: int) -> list[tuple[Tensor, Tensor]]:
    loader = data.train_dataloader()
    loader.sampler.set_epoch(epoch)
    return list(loader)


def by_id(data: Digits, epoch: int) -> dict[int, Tensor]:
    """What this process sees in an epoch of training, by the digit's row in the file."""
    loader = data.train_dataloader()
    loader.sampler.set_epoch(epoch)
    ids = [data.train.ids[rows] for rows in loader.sampler]
    return {int(n): x for rows, (batch, _) in zip(ids, loader, strict=True) for n, x in zip(rows, batch, strict=True)}


# --- what is in it ---------------------------------------------------------------------------------------------------


def test_the_splits_are_scikit_learns_digits_each_once() -> None:
    data = digits()
    assert [len(data.split(name)) for name in SPLITS] == [1258, 180, 359]
    assert sorted(torch.cat([data.split(name).ids for name in SPLITS]).tolist()) == list(range(1797))
    images, labels = load_digits(return_X_y=True)
    for name in SPLITS:
        split = data.split(name)
        assert split.x.shape == (len(split), *data.observed_shape) == (len(split), 1, 8, 8)
        assert split.x.dtype == torch.float32
        assert split.x.aminmax() == (0, 1)
        assert (split.x.flatten(1).numpy() * 16 == images[split.ids]).all()
        assert (split.y.numpy() == labels[split.ids]).all()


def test_each_split_has_the_labels_in_proportion() -> None:
    data = digits()
    everywhere = sum(data.split(name).y.bincount() for name in SPLITS) / 1797
    for name in SPLITS:
        y = data.split(name).y
        assert (y.bincount() - len(y) * everywhere).abs().max() < 2


def test_the_first_digits_of_each_split_have_the_labels_in_proportion() -> None:
    """However many: diagnostics read the first n of a split."""
    data = digits()
    for name in SPLITS:
        y = data.split(name).y
        counts, n = torch.nn.functional.one_hot(y).cumsum(0), torch.arange(1, len(y) + 1)[:, None]
        assert (counts - n * y.bincount() / len(y)).abs().max() < 2.5


def test_the_split_is_a_function_of_the_seed_and_the_test_does_not_depend_on_validation() -> None:
    first, again, other, larger = digits(), digits(), digits(seed=1), digits(val_size=500)
    assert first.train.ids.equal(again.train.ids)
    assert not first.test.ids.equal(other.test.ids)
    assert first.test.ids.equal(larger.test.ids)
    assert len(larger.val) == 500
    assert len(digits(val_size=0).val) == 0


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"val_size": 1797}, "test_size 0.2 and val_size 1797 leave nothing of 1797 observations for training"),
        ({"val_size": 0.6, "test_size": 0.5}, "leave nothing of 1797"),
        ({"test_size": 1798}, "test_size must be a share in .* or a whole number up to 1797, got 1798"),
        ({"test_size": 10.5}, "test_size must be a share"),
        ({"val_size": -1}, "val_size must be a share"),
    ],
)
def test_impossible_sizes(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        digits(**changes)


# --- what a process sees ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("binarisation", BINARISATIONS, ids=lambda b: type(b).__name__)
def test_batches_are_binary_and_evaluation_does_not_move(binarisation: Binarisation) -> None:
    data = digits(binarisation)
    assert all(set(x.unique().tolist()) == {0, 1} for x, _ in batches(data, 0))
    for name in SPLITS:
        first, again = ([x for x, _ in data.evaluation_dataloader(name)] for _ in range(2))
        assert all(map(torch.equal, first, again))
        assert torch.cat(first).equal(data.split(name).x)
    assert digits(binarisation).val.x.equal(data.val.x)
    grey = digits().train.x
    assert ((data.train.x == 0) | (grey > 0)).all()  # paper stays paper
    assert ((data.train.x == 1) | (grey < 1)).all()


def test_dynamic_binarisation_draws_each_digit_anew_every_epoch_about_its_intensity() -> None:
    """z-scores over 300 epochs have mean square 1, to 4 standard errors."""
    data, epochs = digits(DynamicBinarisation(), val_size=0, test_size=1700), 300
    seen = torch.stack([torch.stack([x for _, x in sorted(by_id(data, epoch).items())]) for epoch in range(epochs)])
    assert not seen[0].equal(seen[1])
    train = digits(val_size=0, test_size=1700).train
    x = train.x[train.ids.argsort()].double()
    z = ((seen.double().mean(0) - x) / (x * (1 - x) / epochs).sqrt())[(x > 0) & (x < 1)]
    assert abs(float(z.square().mean()) - 1) < 4 * (2 / len(z)) ** 0.5


def test_static_binarisation_shows_the_same_in_every_epoch() -> None:
    data = digits(StaticBinarisation())
    first, second = by_id(data, 0), by_id(data, 1)
    assert all(first[n].equal(second[n]) for n in first)


@pytest.mark.parametrize("done", [1, 5, 12])
def test_an_interrupted_epoch_goes_on_with_the_same_bits(done: int) -> None:
    data = digits(DynamicBinarisation())
    data.load_state_dict({"seed": 7})
    whole = batches(data, 3)
    loader = data.train_dataloader()
    loader.sampler.set_epoch(3)
    list(itertools.islice(loader, done))

    resumed = digits(DynamicBinarisation())
    resumed.load_state_dict(data.state_dict())
    rest = resumed.train_dataloader()
    rest.load_state_dict(loader.state_dict())
    rest.sampler.set_epoch(3)
    torch.rand(3)  # another global stream
    for (x, y), (expected, labels) in zip(rest, whole[done:], strict=True):
        assert x.equal(expected)
        assert y.equal(labels)
    other = digits(DynamicBinarisation())
    other.load_state_dict({"seed": 8})
    one, another = by_id(data, 3), by_id(other, 3)
    assert not all(one[n].equal(another[n]) for n in one)  # the draws are of the run's seed


class Recorder(LightningModule):
    """Remembers the observations it was shown."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = torch.nn.Parameter(torch.zeros(()))
        self.seen: list[Tensor] = []

    def training_step(self, batch: tuple[Tensor, Tensor]) -> Tensor:
        self.seen.append(batch[0])
        return (self.weight * batch[0]).mean()

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.SGD(self.parameters(), lr=0.1)


def test_a_fit_resumed_in_mid_epoch_sees_the_same_bits(tmp_path: Path) -> None:
    whole, resumed = Recorder(), Recorder()
    seed_everything(3, verbose=False)
    save = ModelCheckpoint(tmp_path, filename="{step}", save_top_k=-1, every_n_train_steps=5)
    trainer(save, max_epochs=2, enable_checkpointing=True).fit(whole, datamodule=Digits(DynamicBinarisation(), 0))
    seed_everything(4, verbose=False)  # the seed of the run comes from the checkpoint
    data, checkpoint = Digits(DynamicBinarisation(), 0), tmp_path / "step=30.ckpt"  # of 23 steps an epoch
    trainer(max_epochs=2).fit(resumed, datamodule=data, ckpt_path=checkpoint, weights_only=True)
    assert len(resumed.seen) == 46 - 30
    assert all(map(torch.equal, resumed.seen, whole.seen[30:]))


@pytest.mark.parametrize("world", [2, 3])
def test_processes_see_together_what_one_sees(world: int) -> None:
    alone = by_id(digits(DynamicBinarisation()), 2)
    shares = [by_id(digits(DynamicBinarisation(), rank, world), 2) for rank in range(world)]
    together = {n: x for share in shares for n, x in share.items()}
    assert sum(map(len, shares)) == len(together)
    assert len(alone) - len(together) < world
    assert all(alone[n].equal(x) for n, x in together.items())


def test_two_processes_share_evaluation_without_overlap_or_padding() -> None:
    alone = list(digits(DynamicBinarisation()).val_dataloader())
    by_rank = [list(digits(DynamicBinarisation(), rank, 2).val_dataloader()) for rank in range(2)]
    assert [len(share) for share in by_rank] == [2, 2]
    for n, (x, y) in enumerate(alone):
        share = by_rank[n % 2][n // 2]
        assert share[0].equal(x)
        assert share[1].equal(y)


def test_the_global_random_state_is_left_alone() -> None:
    before = torch.get_rng_state()
    data = digits(DynamicBinarisation())
    batches(data, 0)
    list(data.test_dataloader())
    assert torch.get_rng_state().equal(before)


# --- configuration ---------------------------------------------------------------------------------------------------


def test_it_is_built_by_class_path_with_its_binarisation() -> None:
    parser = ArgumentParser()
    parser.add_subclass_arguments(LightningDataModule, "data")
    dynamic = {"class_path": "vae_lightning.data.DynamicBinarisation", "init_args": {"seed": 4}}
    config = {"class_path": "vae_lightning.data.Digits", "init_args": {"binarisation": dynamic, "val_size": 100}}
    data = parser.instantiate_classes(parser.parse_object({"data": config})).data
    assert isinstance(data, Digits)
    assert isinstance(data.binarisation, DynamicBinarisation)
    assert (data.binarisation.seed, data.val_size, data.test_size) == (4, 100, 0.2)


def test_checkpoints_keep_plain_hyperparameters() -> None:
    built = {
        "_class_path": "vae_lightning.data.Digits", "_instantiator": "lightning.pytorch.cli.instantiate_module"
    }  # fmt: skip
    assert dict(digits().hparams) == built | {
        "binarisation": None, "val_size": 0.1, "test_size": 0.2, "seed": 0, "batch_size": 100, "eval_batch_size": 50,
        "predict_split": "test",
    }  # fmt: skip
    assert digits(StaticBinarisation(4)).hparams["binarisation"] == {
        "class_path": "vae_lightning.data.StaticBinarisation", "init_args": {"seed": 4}
    }  # fmt: skip
    assert digits(StaticBinarisation()).given_as_objects == []
