"""Models and data as users of Lightning use them from Python: its tuner, several runs of one trainer, 64 bits."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import lightning.pytorch as pl
import pytest
import torch
from lightning.pytorch.callbacks import GradientAccumulationScheduler
from lightning.pytorch.tuner import Tuner
from support.models import trainer
from torch import Tensor
from torch.utils.data import DataLoader

import vae_lightning as vl
from vae_lightning.callbacks import LastCheckpoint

X = torch.randn(53, 5, generator=torch.Generator().manual_seed(0))


def vae() -> vl.GaussianVAE:
    """The same at every call."""
    torch.manual_seed(0)
    return vl.GaussianVAE(2, vl.Normal(5), partial(vl.nn.MLP, hidden=[8]), partial(vl.nn.MLP, hidden=[8]))


def rows(**changes: Any) -> vl.Arrays:
    """Six batches an epoch."""
    return vl.Arrays(X.numpy(), **{"batch_size": 8} | changes)


def loader(x: Tensor = X) -> DataLoader[Tensor]:
    """What Lightning's users give in place of a data module."""
    return DataLoader(x, batch_size=8)  # type: ignore[arg-type]  # torch takes whatever has a length and items


def same(one: pl.LightningModule, other: pl.LightningModule) -> bool:
    """Whether they have the same weights, bit for bit."""
    return all(map(torch.equal, one.state_dict().values(), other.state_dict().values()))


FINDERS: dict[str, Callable[[Tuner, pl.LightningModule, Any], object]] = {
    "lr_find": lambda tuner, model, data: tuner.lr_find(model, data, num_training=3, update_attr=False),
    "scale_batch_size": lambda tuner, model, data: tuner.scale_batch_size(
        model, data, init_val=4, max_trials=1, steps_per_trial=2
    ),
}


@pytest.fixture
def in_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the tuner may leave its checkpoint for a moment."""
    monkeypatch.chdir(tmp_path)


def test_a_learning_rate_is_found_on_loaders(in_folder: None) -> None:
    """Whose batches are looked at as they come, the first of the finder's too."""
    model, run = vae(), trainer()
    found = Tuner(run).lr_find(model, loader(), num_training=3, update_attr=False)
    assert found is not None
    assert len(found.results["lr"]) == 3
    run.fit(model, loader())
    assert model.trained_steps == 7


@pytest.mark.parametrize("finder", FINDERS)
def test_the_order_of_the_data_is_of_the_runs_seed_after_a_tuner(
    finder: str, in_folder: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A tuner saves a checkpoint before the first epoch, and goes back to it."""
    monkeypatch.setenv("PL_GLOBAL_SEED", "7")
    untuned, tuned, data, run = vae(), vae(), rows(), trainer()
    FINDERS[finder](Tuner(run), tuned, data)
    run.fit(tuned, data)
    trainer().fit(untuned, rows(batch_size=data.batch_size))
    assert same(tuned, untuned)


def test_a_trainer_that_had_a_data_module_forgets_it_when_it_is_given_loaders() -> None:
    """Or the next model would be said to read data of other units, and what it is given would not be looked at."""
    model, run = vae(), trainer()
    run.fit(vae(), vl.Arrays(50 + 100 * X.numpy(), batch_size=8, standardise=True))
    run.fit_loop.max_epochs = 2
    run.fit(model, loader())
    assert model.preparation is None
    spoilt = X.clone()
    spoilt[3, 0] = torch.nan
    with pytest.raises(ValueError, match=r"got nan among the rows of a batch \(1 of 8 rows, the first row 3"):
        run.test(model, loader(spoilt), verbose=False)


class Keep(pl.Callback):
    """Keeps what LastCheckpoint has written before each step."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def on_train_batch_start(self, trainer: Any, *_: Any) -> None:
        if (last := Path(trainer.log_dir, "checkpoints", "last.ckpt")).is_file():
            shutil.copy(last, self.folder / f"{trainer.global_step}.ckpt")


OPTIONS: dict[str, tuple[dict[str, Any], list[Callable[[], pl.Callback]]]] = {
    "64 bits": ({"precision": "64-true"}, []),
    "an average in 64 bits": ({"precision": "64-true"}, [lambda: vl.callbacks.ExponentialMovingAverage(0.5)]),
    "accumulation that changes": ({}, [lambda: GradientAccumulationScheduler({0: 2, 1: 3})]),
}


@pytest.mark.parametrize("name", OPTIONS)
def test_a_resumed_run_ends_with_the_same_bits(name: str, tmp_path: Path) -> None:
    options, callbacks = OPTIONS[name]

    def run(*more: pl.Callback) -> pl.Trainer:
        made = [each() for each in callbacks]
        return trainer(*made, *more, LastCheckpoint(1), folder=tmp_path, max_epochs=3, **options)

    whole, end = vae(), run(Keep(tmp_path))
    end.fit(whole, rows())
    checkpoints = sorted(tmp_path.glob("*.ckpt"))
    assert len(checkpoints) == end.global_step - 1
    for checkpoint in checkpoints:
        resumed, again = vae(), run()
        again.fit(resumed, rows(), ckpt_path=checkpoint)
        assert (again.global_step, same(resumed, whole)) == (end.global_step, True), checkpoint.name


def test_the_weights_of_64_bits_are_read_as_they_were_saved(tmp_path: Path) -> None:
    model, run = vae(), trainer(precision="64-true")
    run.fit(model, rows())
    run.save_checkpoint(tmp_path / "wide.ckpt")
    read = vae()
    trainer(precision="64-true").validate(read, rows(), ckpt_path=tmp_path / "wide.ckpt", verbose=False)
    assert same(read, model)
