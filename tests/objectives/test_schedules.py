"""Schedules of the KL's weight: functions of the step, checked against the length of a run."""

from __future__ import annotations

import copy
import math
from pathlib import Path
from typing import Any

import pytest
import torch
from jsonargparse import ArgumentParser
from support.models import events, trainer
from torch import Size, Tensor

from vae_lightning.conditional import Conditional
from vae_lightning.data import Synthetic
from vae_lightning.data.processes import GaussianMixture
from vae_lightning.estimators import Enumerated
from vae_lightning.families import Bernoulli, Normal
from vae_lightning.latent_variable import LatentVariableModel
from vae_lightning.models import VAE
from vae_lightning.nn import MLP
from vae_lightning.objectives import ELBO, IWAE, Alternating, AnalyticELBO, ForwardKL, Objective, Schedule, WarmUp
from vae_lightning.priors import FactorisedPrior


class Cycle(Schedule):
    """A user's own: up and down for ever."""

    def __call__(self, step: int) -> float:
        return 1.0 - step % 2


def model() -> LatentVariableModel:
    torch.manual_seed(0)
    encoder, decoder = Conditional(Bernoulli(2), (3,), MLP), Conditional(Normal(3), (2,), MLP)
    return LatentVariableModel(encoder, decoder, FactorisedPrior(Bernoulli(2)))


def x() -> Tensor:
    return torch.randn(Size([5, 3]), generator=torch.Generator().manual_seed(0))


def test_a_straight_line_then_constant() -> None:
    assert [WarmUp(4)(step) for step in range(7)] == [0, 0.25, 0.5, 0.75, 1, 1, 1]
    assert [WarmUp(2, 3.0, 2.0)(step) for step in (0, 1, 2, 10**9)] == [3, 2.5, 2, 2]
    assert WarmUp(3, 0.1, 0.3)(3) == 0.3  # exactly, whatever rounding says


@pytest.mark.parametrize("kind", [ELBO, AnalyticELBO])
def test_the_objective_of_a_step_has_its_beta(kind: type[ELBO] | type[AnalyticELBO]) -> None:
    network, scheduled = model(), kind(Enumerated(), WarmUp(4))
    for step, beta in ((0, 0.0), (1, 0.25), (3, 0.75), (4, 1.0), (100, 1.0)):
        now = scheduled.at(step)
        torch.testing.assert_close(now(network, x()), kind(Enumerated(), beta)(network, x()), rtol=0, atol=0)
        assert now.is_elbo == (beta == 1)
        assert now.estimator is scheduled.estimator  # and with it a replaced source of noise
    assert not scheduled.is_elbo


def test_from_where_beta_stays_the_objective_is_one_object_so_that_ensembles_record_it_once() -> None:
    scheduled = ELBO(Enumerated(), WarmUp(4))
    assert scheduled.at(4) is scheduled.at(100) is not scheduled.at(3)
    assert "_stays" not in dict(scheduled.named_children())
    assert copy.deepcopy(scheduled).at(4) is not scheduled.at(4)
    before, scheduled.estimator = scheduled.at(4), Enumerated()
    assert scheduled.at(4).estimator is scheduled.estimator
    scheduled.beta = WarmUp(2, end=3.0)
    assert scheduled.at(4).beta == 3.0
    assert before.beta == 1.0


def test_without_a_schedule_every_step_is_the_same() -> None:
    for objective in (ELBO(Enumerated()), IWAE(Enumerated(2)), ForwardKL()):
        assert objective.at(0) is objective.at(1_000) is objective


@pytest.mark.parametrize("kind", [ELBO, AnalyticELBO])
def test_a_schedule_has_no_value_without_a_step(kind: type[ELBO] | type[AnalyticELBO]) -> None:
    with pytest.raises(ValueError, match=r"with a schedule differs by step: use objective\.at\(step\)\(model, x\)"):
        kind(Enumerated(), WarmUp(4))(model(), x())


def test_a_users_own_schedule_may_not_leave_the_range_of_beta() -> None:
    class Falling(Schedule):
        def __call__(self, step: int) -> float:
            return 1.0 - step

    ELBO(Enumerated(), Falling()).at(1)
    with pytest.raises(ValueError, match="beta weighs the KL and must be finite and not negative, got -1"):
        ELBO(Enumerated(), Falling()).at(2)


@pytest.mark.parametrize("bad", [{"steps": 0}, {"steps": 3, "end": math.inf}, {"steps": 3, "start": math.nan}], ids=str)
def test_what_is_no_warm_up(bad: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"WarmUp (needs steps >= 1, got 0|goes between finite values, got)"):
        WarmUp(**bad)


def test_a_run_shorter_than_the_warm_up_is_refused() -> None:
    objective = ELBO(Enumerated(), WarmUp(10))
    for fits in (objective, ELBO(Enumerated()), ELBO(Enumerated(), Cycle()), Alternating(objective, ForwardKL())):
        fits.check_run(10.0)
        fits.check_run(math.inf)
    for short in (objective, Alternating(objective, ForwardKL()), Alternating(ELBO(Enumerated()), objective)):
        with pytest.raises(
            ValueError, match=r"WarmUp\(steps=10, start=0.0, end=1.0\) needs 10 steps but the run has only 9"
        ):
            short.check_run(9.0)


def vae(objective: Objective) -> VAE:
    torch.manual_seed(0)
    return VAE(Bernoulli(2), Normal(2, 1.0), MLP, MLP, objective)


def test_training_warms_up_and_calls_the_loss_nelbo_only_when_it_is(tmp_path: Path) -> None:
    """Eight steps, four of them below beta = 1; the loss that is logged is that of the step's own beta."""
    module, run = vae(ELBO(Enumerated(), WarmUp(4))), trainer(folder=tmp_path, log_every_n_steps=1)
    data = Synthetic(GaussianMixture(), (64, 8, 8), batch_size=8)
    run.fit(module, data)
    written = events(Path(run.log_dir))
    assert [scalar.step for scalar in written.Scalars("train/loss")] == list(range(8))
    assert [scalar.step for scalar in written.Scalars("train/nelbo")] == [4, 5, 6, 7]
    batch = next(iter(data.val_dataloader()))
    assert module.loss(batch, 0)[0] < module.loss(batch, 2)[0] < module.loss(batch, 4)[0]
    torch.testing.assert_close(module.loss(batch, 4)[0], -ELBO(Enumerated())(module.model, batch[0]).mean())


def test_a_fit_that_ends_before_the_warm_up_stops_with_one_line() -> None:
    with pytest.raises(ValueError, match=r"needs 9 steps but the run has only 8, .*: lower its steps, or train longer"):
        trainer().fit(vae(ELBO(Enumerated(), WarmUp(9))), Synthetic(GaussianMixture(), (64, 8, 8), batch_size=8))


def test_a_configuration_names_the_schedule_by_its_class() -> None:
    here, estimator = "vae_lightning.objectives", {"class_path": "vae_lightning.estimators.Enumerated"}
    warm_up = {"class_path": f"{here}.WarmUp", "init_args": {"steps": 7}}
    elbo = {"class_path": f"{here}.ELBO", "init_args": {"estimator": estimator, "beta": warm_up}}
    forward = {"class_path": f"{here}.ForwardKL"}
    parser = ArgumentParser(exit_on_error=False)
    parser.add_argument("--objective", type=Objective)
    chosen = {"class_path": f"{here}.Alternating", "init_args": {"decoder": elbo, "encoder": forward}}
    objective = parser.instantiate_classes(parser.parse_object({"objective": chosen})).objective
    assert isinstance(objective, Alternating)
    assert isinstance(objective.decoder, ELBO)
    assert objective.decoder.beta(7) == 1
    assert objective.decoder.beta(0) == 0
    chosen = {"class_path": f"{here}.ELBO", "init_args": {"estimator": estimator, "beta": 0.5}}
    objective = parser.instantiate_classes(parser.parse_object({"objective": chosen})).objective
    assert objective.beta == 0.5
