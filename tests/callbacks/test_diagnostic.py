"""Diagnostic: which epochs it watches, on which splits, and that its randomness is its own."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import lightning.pytorch as pl
import pytest
import torch
from support.models import digits, gaussian_vae, hashing, newsgroups, trainer

from vae_lightning.callbacks import (
    ActiveUnits,
    CollapseWatch,
    Consistency,
    Diagnostic,
    FrechetInceptionDistance,
    HenzeZirkler,
    LogLikelihood,
    NearestWords,
    SmoothKNN,
    Traversals,
)
from vae_lightning.families import Bernoulli, GibbsMRF
from vae_lightning.latent_variable import Draw
from vae_lightning.models import MRFVAE


class Diary(Diagnostic):
    """Writes down what it is asked to do, and draws random numbers as it does."""

    def __init__(self, every_n_epochs: int = 1) -> None:
        super().__init__(every_n_epochs)
        self.pages: list[tuple[int, str, int]] = []
        self.drawn: list[float] = []

    def begin(self, trainer: pl.Trainer, module: Any) -> None:
        self.rows = 0

    def observe(self, trainer: pl.Trainer, module: Any, draw: Draw, batch: Any) -> None:
        assert isinstance(draw, Draw)
        assert draw.x is batch[0]
        self.rows += len(batch[0])

    def report(self, trainer: pl.Trainer, module: Any, split: str) -> None:
        self.pages.append((trainer.current_epoch, split, self.rows))
        self.drawn.append(float(torch.rand(())))


@pytest.mark.parametrize(("every", "watched"), [(1, [0, 1, 2, 3, 4]), (2, [1, 3, 4]), (5, [4]), (6, [4])])
def test_every_nth_epoch_of_a_fit_and_the_last(every: int, watched: list[int], miniature: Path) -> None:
    diary = Diary(every)
    trainer(diary, max_epochs=5, num_sanity_val_steps=2).fit(hashing(), datamodule=newsgroups(miniature, batch_size=50))
    assert diary.pages == [(epoch, "val", 20) for epoch in watched]


@pytest.mark.parametrize(("every", "watched"), [(1, [2, 5]), (2, [2, 5]), (4, [5]), (5, [5]), (50, [5])])
def test_epochs_without_a_validation_are_made_up_for_at_the_next(
    every: int, watched: list[int], miniature: Path
) -> None:
    """Of seven epochs the third and the sixth are validated: the last one is the last to watch."""
    diary = Diary(every)
    run = trainer(diary, max_epochs=7, check_val_every_n_epoch=3)
    run.fit(hashing(), datamodule=newsgroups(miniature, batch_size=50))
    assert [epoch for epoch, _, _ in diary.pages] == watched


@pytest.mark.parametrize(
    ("ends", "validated", "watched"),
    [
        ({"max_steps": 5, "max_epochs": -1}, {}, [1]),  # after two epochs and a half
        ({"max_steps": 9, "max_epochs": 3}, {}, [2]),
        ({"max_epochs": 12}, {"check_val_every_n_epoch": None, "val_check_interval": 5}, [4, 7, 9]),
    ],
    ids=str,
)
def test_the_last_epoch_by_steps_and_validations_by_steps(
    ends: dict[str, int], validated: dict[str, Any], watched: list[int], miniature: Path
) -> None:
    diary = Diary(4)
    trainer(diary, **ends, **validated).fit(hashing(), datamodule=newsgroups(miniature, batch_size=50))
    assert [epoch for epoch, _, _ in diary.pages] == watched


def test_validate_and_test_always(miniature: Path) -> None:
    diary = Diary(every_n_epochs=10)
    run = trainer(diary)
    run.validate(hashing(), datamodule=newsgroups(miniature), verbose=False)
    run.test(hashing(), datamodule=newsgroups(miniature), verbose=False)
    assert diary.pages == [(0, "val", 20), (0, "test", 61)]


def test_its_noise_is_the_same_whatever_came_before(miniature: Path) -> None:
    diary = Diary()
    trainer(diary, max_epochs=3).fit(hashing(), datamodule=newsgroups(miniature, batch_size=50))
    assert len(set(diary.drawn)) == 1


@pytest.mark.parametrize(
    ("callback", "least"),
    [
        (ActiveUnits(), 2),
        (CollapseWatch(), 2),
        (HenzeZirkler(), 2),
        (SmoothKNN(), 2),
        (SmoothKNN(k=4), 3),
        (Traversals(), 2),
        (FrechetInceptionDistance(features=torch.nn.Flatten()), 2),
    ],
    ids=lambda value: type(value).__name__,
)
def test_too_few_observations_are_said_before_the_first_epoch(callback: Diagnostic, least: int, tmp_path: Path) -> None:
    """And as few as are said to be needed are enough: by then an epoch is over."""
    callback.every_n_epochs = 1
    few, enough = (digits(val_size=size, test_size=1700) for size in (least - 1, least))
    with pytest.raises(ValueError, match=r"needs .* or more, the validation data (have|are) (1|2|one): set more aside"):
        trainer(callback, max_epochs=0).fit(gaussian_vae(), few)
    if isinstance(callback, FrechetInceptionDistance):
        callback.cache.folder = tmp_path
    trainer(callback, folder=tmp_path, limit_train_batches=1).fit(gaussian_vae(), enough)


def test_limits_below_what_a_statistic_needs_are_refused_at_once() -> None:
    with pytest.raises(ValueError, match="SmoothKNN needs limit >= 4 for k = 7, got 3"):
        SmoothKNN(k=7, limit=3)
    with pytest.raises(ValueError, match="NearestWords needs num_words >= 1, got 0"):
        NearestWords(num_words=0)
    with pytest.raises(TypeError, match="NearestWords is of models of documents"):
        trainer(NearestWords(), max_epochs=0).fit(gaussian_vae(), digits())


def test_an_interval_is_at_least_one() -> None:
    with pytest.raises(ValueError, match="Diary needs every_n_epochs >= 1, got 0"):
        Diary(0)


def test_noise_is_a_function_of_the_runs_seed_and_of_the_batch() -> None:
    draws = []
    for seed in (0, 0, 1):
        module, watch = gaussian_vae(), Draws()
        module.seed = seed
        trainer(watch).validate(module, datamodule=digits(), verbose=False)
        draws.append(torch.stack(watch.seen))
    assert torch.equal(draws[0], draws[1])
    assert not (draws[0] == draws[2]).any()
    assert len(draws[0].unique()) == len(draws[0])


class Draws(Diagnostic):
    """Draws a number for each batch and for the report."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: list[torch.Tensor] = []

    def observe(self, trainer: pl.Trainer, module: Any, draw: Draw, batch: Any) -> None:
        self.seen.append(torch.rand(()))

    def report(self, trainer: pl.Trainer, module: Any, split: str) -> None:
        self.seen.append(torch.rand(()))


@pytest.mark.parametrize("callback", [LogLikelihood(), Consistency()], ids=lambda value: type(value).__name__)
def test_a_posterior_without_probabilities_is_refused_at_once(callback: Diagnostic) -> None:
    """Every figure of it would be NaN, at the end of a training."""
    with pytest.raises(TypeError, match="needs the probabilities of codes, which GibbsField does not know"):
        callback.setup(trainer(), MRFVAE(GibbsMRF(2, 2), Bernoulli(6)), "fit")
