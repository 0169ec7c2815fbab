"""A loss that is not finite: found at a logged step, at an epoch's end or before a save, and named by its own step."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from support.models import digits, gaussian_vae, trainer
from support.resume_probe import Poison
from torch import Tensor

from vae_lightning.callbacks import LastCheckpoint
from vae_lightning.families import Bernoulli
from vae_lightning.models import GaussianVAE
from vae_lightning.models.failure import Losses, NotFinite

NAN = float("nan")


@pytest.mark.parametrize("bad", [NAN, float("inf")])
@pytest.mark.parametrize("step", [0, 7, 1023, 1024, 2999])
def test_the_first_that_is_not_finite_is_named(bad: float, step: int) -> None:
    losses = Losses()
    for number in range(3000):
        losses.add(number, torch.tensor(bad if number in (step, step + 5) else 1.0))
    found = losses.look()
    assert found is not None
    assert repr(found) == repr(NotFinite(step, bad))
    assert losses.look() is None  # told once


def test_finite_losses_are_nothing() -> None:
    losses = Losses()
    losses.add(0, torch.tensor(1e38))
    losses.add(1, torch.tensor(1e38))
    assert losses.look() is None


class NotANumberAt(GaussianVAE):
    """A loss that is not a number, at one step, and leaves the weights as good as they were."""

    def __init__(self, step: int) -> None:
        super().__init__(2, Bernoulli((1, 8, 8)))
        self._bad = step

    def training_loss(self, batch: Any, step: int, read: bool) -> tuple[Tensor, dict[str, Tensor]]:
        loss, figures = super().training_loss(batch, step, read)
        return loss + (NAN if step == self._bad else 0.0), figures


def test_between_logged_steps_it_is_found_at_the_next() -> None:
    """The weights that it has spoilt by then are named, and how to be told more."""
    with pytest.raises(
        ValueError, match=r"the loss is nan at step 5; .*output\.bias.*; that step was not logged"
    ) as told:
        trainer(Poison(5), log_every_n_steps=4).fit(gaussian_vae(), digits())
    assert "with --trainer.log_every_n_steps 1 a run stops there, and names the term and the rows" in str(told.value)
    with pytest.raises(ValueError, match=r"the loss is nan at step 5; not finite: log p\(x\|z\) in 20 of 20 rows"):
        trainer(Poison(5), log_every_n_steps=1).fit(gaussian_vae(), digits())


@pytest.mark.parametrize("log_every_n_steps", [0, 1000])
def test_without_logged_steps_an_epoch_ends_with_a_look(log_every_n_steps: int) -> None:
    run = trainer(max_epochs=3, log_every_n_steps=log_every_n_steps)
    with pytest.raises(ValueError, match="the loss is nan at step 5; that step was not logged"):
        run.fit(NotANumberAt(5), digits())
    assert run.global_step == 10  # an epoch's
    assert "val/nelbo" not in run.callback_metrics


def test_no_checkpoint_has_such_a_loss_behind_it(tmp_path: Path) -> None:
    """Not even where the weights look well: the last one is of before."""
    run = trainer(LastCheckpoint(1), folder=tmp_path, log_every_n_steps=1000, enable_checkpointing=True)
    with pytest.raises(ValueError, match="the loss is nan at step 5"):
        run.fit(NotANumberAt(5), digits())
    assert torch.load(tmp_path / "version_0/checkpoints/last.ckpt", weights_only=True)["global_step"] == 5
