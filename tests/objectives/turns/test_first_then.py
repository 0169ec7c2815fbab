"""FirstThen: which objective trains is a function of the step, also for a run that goes on after an interruption."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import lightning.pytorch as pl
import pytest
import torch
from jsonargparse import ArgumentParser
from support.models import gaussian_vae, newsgroups, trainer

from vae_lightning.callbacks import LastCheckpoint
from vae_lightning.estimators import ARM, Reparameterised
from vae_lightning.models import HashingVAE
from vae_lightning.objectives import ELBO, FirstThen, ForwardKL, Objective, WarmUp

ONE_THEN_TEN = FirstThen(ELBO(ARM()), ELBO(ARM(10)), steps=6)


class Watch(pl.Callback):
    """Counts the codes of every step; interrupts the run before one of them."""

    def __init__(self, last: int | None = None) -> None:
        self.last, self.samples = last, []

    def on_train_batch_start(self, trainer: pl.Trainer, module: HashingVAE, *_: Any) -> None:
        if trainer.global_step == self.last:
            raise RuntimeError("interrupted")
        self.samples.append(module.objective.at(trainer.global_step).estimator.num_samples)


def hashing(miniature: Path) -> tuple[HashingVAE, Any]:
    torch.manual_seed(0)
    data = newsgroups(miniature)
    data.setup()
    return HashingVAE(4, data.num_words, objective=ONE_THEN_TEN), data


@pytest.mark.parametrize("stop", [4, 6, 8], ids=["before", "at", "after"])
def test_an_interrupted_run_ends_as_a_whole_one(stop: int, miniature: Path, tmp_path: Path) -> None:
    """Ten steps, the number of samples changing at the seventh; stopped on either side of it: the same bits."""
    whole, data = hashing(miniature)
    seen = Watch()
    trainer(seen, max_steps=10, max_epochs=-1).fit(whole, data)
    assert seen.samples == [1] * 6 + [10] * 4
    parts, data = hashing(miniature)
    quick = {"folder": tmp_path, "max_epochs": -1, "max_steps": 10, "enable_checkpointing": True}
    with pytest.raises(RuntimeError, match="interrupted"):
        trainer(LastCheckpoint(1), Watch(stop), **quick).fit(parts, data)
    resumed, data = hashing(miniature)
    saved, seen = tmp_path / "version_0/checkpoints/last.ckpt", Watch()
    trainer(seen, **quick).fit(resumed, data, ckpt_path=saved, weights_only=True)
    assert seen.samples == ([1] * 6 + [10] * 4)[stop:]
    for name, value in whole.state_dict().items():
        assert torch.equal(resumed.state_dict()[name], value), name


def test_what_it_is_judged_by() -> None:
    """Each step by its own objective; without a step there is no value; compared, by the last, unweighted."""
    weighted = ELBO(Reparameterised(), WarmUp(4))
    objective = FirstThen(weighted, ELBO(Reparameterised(5), 0.5), steps=6)
    assert [objective.at(step).beta for step in (0, 2, 5, 6, 100)] == [0.0, 0.5, 1.0, 0.5, 0.5]
    assert [objective.at(step).is_elbo for step in (3, 4, 6)] == [False, True, False]
    assert (objective.unweighted().beta, objective.unweighted().estimator.num_samples) == (1.0, 5)
    assert not objective.is_elbo
    with pytest.raises(ValueError, match=r"FirstThen differs by step: use objective\.at\(step\)\(model, x\)"):
        objective(gaussian_vae().model, torch.zeros(2, 1, 8, 8))


def test_runs_that_end_too_early_are_refused() -> None:
    elbo, warmed = ELBO(Reparameterised()), ELBO(Reparameterised(), WarmUp(8))
    FirstThen(elbo, warmed, 6).check_run(8.0)
    FirstThen(elbo, elbo, 6).check_run(math.inf)
    for short, steps, message in (
        (FirstThen(elbo, elbo, 6), 6.0, "FirstThen changes after 6 steps but the run has only 6"),
        (FirstThen(elbo, warmed, 6), 7.0, "needs 8 steps but the run has only 7"),
        (FirstThen(warmed, elbo, 6), 100.0, "needs 8 steps but the run has only 6"),
    ):
        with pytest.raises(ValueError, match=message):
            short.check_run(steps)
    with pytest.raises(ValueError, match="FirstThen needs steps >= 1 of the first, got 0"):
        FirstThen(elbo, elbo, 0)


def test_both_objectives_are_checked(miniature: Path) -> None:
    module, _ = hashing(miniature)
    for wrong in (
        FirstThen(ELBO(Reparameterised()), ForwardKL(), 3),
        FirstThen(ForwardKL(), ELBO(Reparameterised()), 3),
    ):
        with pytest.raises(TypeError, match="Reparameterised needs a continuous posterior"):
            wrong.check(module.model)


def test_a_configuration_names_both() -> None:
    def elbo(samples: int) -> dict[str, Any]:
        estimator = {"class_path": "vae_lightning.estimators.ARM", "init_args": {"num_samples": samples}}
        return {"class_path": "vae_lightning.objectives.ELBO", "init_args": {"estimator": estimator}}

    parser = ArgumentParser(exit_on_error=False)
    parser.add_argument("--objective", type=Objective)
    arguments = {"first": elbo(1), "then": elbo(10), "steps": 22_000}
    chosen = {"class_path": "vae_lightning.objectives.FirstThen", "init_args": arguments}
    objective = parser.instantiate_classes(parser.parse_object({"objective": chosen})).objective
    assert [objective.at(step).estimator.num_samples for step in (21_999, 22_000)] == [1, 10]
