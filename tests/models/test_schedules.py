"""Schedulers are stepped when they count: every epoch, or every optimizer step."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from lightning.pytorch.cli import ReduceLROnPlateau
from support.command import command
from support.models import digits, events, gaussian_vae, trainer
from support.short_run import saved, tiny
from torch import nn
from torch.optim.lr_scheduler import CosineAnnealingLR, CyclicLR, ExponentialLR, OneCycleLR

from vae_lightning.models import EveryStep

MONITOR = ("--trainer.log_every_n_steps", "1", "--trainer.callbacks", "lightning.pytorch.callbacks.LearningRateMonitor")
SGD = ("--model.optimizer", "torch.optim.SGD", "--model.optimizer.lr", "0.01", "--model.optimizer.momentum", "0.9")


def rates(run: Path) -> list[float]:
    """The learning rate of each step."""
    return [event.value for event in events(run).Scalars("lr-SGD")]


def alone(scheduler: Any, steps: int) -> list[float]:
    """Torch's own loop: the rate of each step."""
    optimizer = torch.optim.SGD([nn.Parameter(torch.zeros(1))], lr=0.01, momentum=0.9)
    stepped, found = scheduler(optimizer), []
    for _ in range(steps):
        found.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        stepped.step()
    return found


@pytest.mark.parametrize(
    ("options", "scheduler"),
    [
        (["torch.optim.lr_scheduler.OneCycleLR", "--model.scheduler.max_lr", "0.1",
          "--model.scheduler.total_steps", "31"],
         lambda optimizer: OneCycleLR(optimizer, 0.1, 31)),
        (["vae_lightning.models.EveryStep", "--model.scheduler.scheduler", "torch.optim.lr_scheduler.CosineAnnealingLR",
          "--model.scheduler.scheduler.T_max", "25"], lambda optimizer: CosineAnnealingLR(optimizer, 25)),
    ],
    ids=["OneCycleLR", "EveryStep"],
)  # fmt: skip
def test_a_schedule_of_steps_is_torchs_own_and_goes_on_exactly(
    options: list[str], scheduler: Any, tmp_path: Path
) -> None:
    out = ("--trainer.default_root_dir", tmp_path)
    every = ("--model.scheduler", *options, *SGD, *MONITOR)
    command("fit", "--config", tiny(tmp_path), *out, *every, "--trainer.max_epochs", "1")
    run = tmp_path / "version_0"
    command("fit", "--ckpt_path", run, "--trainer.max_epochs", "3")
    assert rates(run) == pytest.approx(alone(scheduler, 30), rel=1e-5)
    command("fit", "--config", tmp_path / "tiny.yaml", *out, *every, "--trainer.max_epochs", "3")
    whole, parts = (saved(tmp_path / f"version_{n}/checkpoints/last.ckpt")["state_dict"] for n in (1, 0))
    assert all(torch.equal(value, parts[name]) for name, value in whole.items())


@pytest.mark.parametrize(
    ("scheduler", "expected"),
    [
        (lambda optimizer: ExponentialLR(optimizer, 0.5), 2),  # of epochs
        (lambda optimizer: EveryStep(optimizer, lambda o: ExponentialLR(o, 0.5)), 20),
        (lambda optimizer: CyclicLR(optimizer, 0.01, 0.1, cycle_momentum=False), 20),
    ],
)
def test_when_a_scheduler_is_stepped(scheduler: Any, expected: int) -> None:
    fitted = trainer(max_epochs=2)
    fitted.fit(gaussian_vae(scheduler=scheduler), datamodule=digits())
    assert fitted.lr_scheduler_configs[0].scheduler.last_epoch == expected


def test_accumulated_gradients_make_fewer_steps() -> None:
    fitted = trainer(max_epochs=2, accumulate_grad_batches=2)
    fitted.fit(gaussian_vae(scheduler=lambda o: EveryStep(o, lambda p: ExponentialLR(p, 0.5))), datamodule=digits())
    assert fitted.lr_scheduler_configs[0].scheduler.last_epoch == fitted.global_step == 10


@pytest.mark.filterwarnings("ignore:ReduceLROnPlateau conditioned on metric")
def test_a_figure_of_validations_across_epochs_is_waited_for() -> None:
    """The first validation, after 25 batches, comes in the third epoch of ten."""
    run = trainer(max_epochs=4, check_val_every_n_epoch=None, val_check_interval=25)
    run.fit(gaussian_vae(scheduler=lambda optimizer: ReduceLROnPlateau(optimizer, "val/nelbo")), digits())
    assert run.lr_scheduler_configs[0].scheduler.last_epoch == 2  # after the third epoch and the fourth


def test_a_figure_of_the_validation_is_not_there_every_step() -> None:
    optimizer = torch.optim.SGD([nn.Parameter(torch.zeros(1))])
    with pytest.raises(TypeError, match="which no step has"):
        EveryStep(optimizer, lambda o: ReduceLROnPlateau(o, monitor="val/nelbo"))


class Normalised(nn.Sequential):
    """A network with BatchNorm."""

    def __init__(self, shape: Any, outputs: int) -> None:
        super().__init__(nn.Flatten(), nn.BatchNorm1d(64), nn.Linear(64, outputs))


@pytest.mark.parametrize("batch_size", [199, 20])
def test_batch_norm_of_a_single_observation_says_the_way_out(batch_size: int) -> None:
    """200 observations in batches of 199 leave one over."""
    fitted, module = trainer(), gaussian_vae(encoder=Normalised)
    if batch_size == 20:
        fitted.fit(module, datamodule=digits(batch_size=batch_size))
        return
    with pytest.raises(ValueError, match=r"batch of one observation.*choose data\.batch_size"):
        fitted.fit(module, datamodule=digits(batch_size=batch_size))
