"""Lagging inference networks, in segments of the run and as they were proposed: whose turn it is, and resuming."""

from __future__ import annotations

import itertools
from functools import partial
from pathlib import Path
from typing import Any

import lightning.pytorch as pl
import pytest
import torch
from lightning.pytorch.callbacks import ModelCheckpoint
from support.models import events, trainer
from torch import Tensor

from vae_lightning.callbacks import AggressiveInference, ExponentialMovingAverage
from vae_lightning.data import FullBatch, Synthetic
from vae_lightning.data.processes import GaussianMixture
from vae_lightning.estimators import Reparameterised
from vae_lightning.families import Normal
from vae_lightning.metrics.functional import elbo_surgery
from vae_lightning.models import GaussianVAE
from vae_lightning.objectives import Aggressive, AnalyticELBO, FirstThen, Objective, Segments, WarmUp

ELBO = AnalyticELBO(Reparameterised())


def vae(objective: Objective, **changes: Any) -> GaussianVAE:
    torch.manual_seed(0)
    return GaussianVAE(2, Normal(2, 1.0), objective=objective, **changes)


def trained(objective: Objective) -> set[str]:
    """The parts of a model with a gradient."""
    model = vae(objective).model
    objective(model, torch.randn(5, 2)).sum().backward()
    return {name.split(".")[0] for name, parameter in model.named_parameters() if parameter.grad is not None}


class TestSegments:
    def test_each_segment_trains_the_encoder_alone_then_all(self) -> None:
        objective = Segments(ELBO, steps=20, segments=4)
        alone = [objective.is_alone(step) for step in range(25)]
        assert alone == [True, True, False, False, False] * 4 + [False] * 5  # round half to even: 2 of 5
        for step in (0, 3, 24):
            assert trained(objective.at(step)) == ({"encoder"} if alone[step] else {"encoder", "decoder"})

    @pytest.mark.parametrize(("steps", "segments", "share"), [(3_000, 40, 0.5), (3_000, 70, 0.5), (1_000, 7, 0.9)])
    def test_segments_are_equal_whatever_their_number(self, steps: int, segments: int, share: float) -> None:
        alone = [Segments(ELBO, steps, segments, share).is_alone(step) for step in range(steps)]
        starts = [s for s in range(steps) if alone[s] and (s == 0 or not alone[s - 1])]
        assert len(starts) == segments
        lengths = {b - a for a, b in zip(starts, [*starts[1:], steps], strict=True)}
        assert max(lengths) - min(lengths) <= 1
        assert sum(alone) / steps == pytest.approx(share, abs=segments / steps)

    @pytest.mark.parametrize(("steps", "segments", "share"), [(4, 2, 0.99), (5, 2, 0.01), (6, 3, 0.5)])
    def test_both_parts_have_a_step_at_least(self, steps: int, segments: int, share: float) -> None:
        alone = [Segments(ELBO, steps, segments, share).is_alone(step) for step in range(steps)]
        changes = sum(a != b for a, b in itertools.pairwise(alone))
        assert alone[0]
        assert not alone[-1]
        assert changes == 2 * segments - 1

    def test_the_value_is_the_objectives(self) -> None:
        model, x = vae(ELBO).model, torch.randn(6, 2)
        values = []
        for objective in (ELBO, Segments(ELBO, 4, 1).at(0), Segments(ELBO, 4, 1).at(3)):
            torch.manual_seed(1)
            values.append(objective(model, x))
        assert torch.equal(values[0], values[1])
        assert torch.equal(values[0], values[2])
        assert Segments(ELBO, 4, 1).at(0).is_elbo

    def test_schedules_go_on_inside(self) -> None:
        objective = Segments(AnalyticELBO(Reparameterised(), WarmUp(10)), 20, 2)
        assert not objective.at(9).is_elbo
        assert objective.at(10).is_elbo
        with pytest.raises(ValueError, match=r"WarmUp\(steps=30, .*the run has only 20"):
            Segments(AnalyticELBO(Reparameterised(), WarmUp(30)), 20, 2).check_run(20.0)

    @pytest.mark.parametrize(
        ("arguments", "message"),
        [((20, 0), "from 1 to half the 20 steps"), ((20, 11), "got 11"), ((20, 2, 1.0), "share of a segment")],
    )
    def test_bad_segments(self, arguments: Any, message: str) -> None:
        with pytest.raises(ValueError, match=message):
            Segments(ELBO, *arguments)

    def test_a_run_that_is_too_short(self) -> None:
        with pytest.raises(ValueError, match="Segments divides 20 steps but the run has only 10"):
            trainer().fit(vae(Segments(ELBO, 20, 2)), world(10))


def world(steps: int) -> FullBatch:
    return FullBatch(Synthetic(GaussianMixture(), (64, 40, 8), batch_size=64), steps)


def told(objective: Aggressive, losses: list[float]) -> str:
    """Whose turn it is before each step of a run with these losses: e, d, or a for all."""
    turns = ""
    for step, loss in enumerate(losses):
        parts = getattr(objective.at(step), "parts", None)
        turns += {("encoder",): "e", ("decoder", "prior"): "d", None: "a"}[parts]
        objective.observe_loss(torch.tensor(loss))
    return turns


class TestAggressive:
    def test_the_encoder_goes_on_while_its_mean_loss_falls(self) -> None:
        """Windows of two: 5.5, 3.5 and 3.5, which is no better; then the decoder has its step, and again."""
        assert told(Aggressive(ELBO, window=2), [6.0, 5.0, 4.0, 3.0, 3.0, 4.0, 9.0, 1.0, 1.0]) == "eeeeeedee"

    def test_at_most_so_many_steps(self) -> None:
        assert told(Aggressive(ELBO, window=2, most=5), [10.0 - i for i in range(13)]) == "eeeeedeeeeede"

    def test_it_is_over_when_the_information_falls(self) -> None:
        objective = Aggressive(ELBO, window=1)
        for nats in (0.5, 0.7, 0.7):
            objective.observe_information(torch.tensor(nats))
        assert told(objective, [1.0]) == "e"
        objective.observe_information(torch.tensor(0.6))
        assert told(objective, [1.0, 1.0]) == "aa"
        objective.observe_information(torch.tensor(0.9))
        assert told(objective, [1.0]) == "a"

    def test_each_turn_trains_its_own(self) -> None:
        objective = Aggressive(ELBO, window=1, most=1)
        assert trained(objective.at(0)) == {"encoder"}
        objective.observe_loss(torch.tensor(1.0))
        assert trained(objective.at(1)) == {"decoder"}
        objective.aggressive.fill_(False)
        assert trained(objective.at(2)) == {"encoder", "decoder"}

    @pytest.mark.parametrize("bad", [(0, 5), (6, 5)])
    def test_bad_windows(self, bad: tuple[int, int]) -> None:
        with pytest.raises(ValueError, match="1 <= window <= most"):
            Aggressive(ELBO, *bad)


class Turns(pl.Callback):
    """What moved at each step, and the information told after each epoch."""

    def __init__(self) -> None:
        self.moved: list[str] = []
        self.before: list[Tensor] = []

    def on_train_batch_end(self, trainer: pl.Trainer, pl_module: GaussianVAE, *_: Any) -> None:
        now = [
            part.network.output.weight.detach().clone() for part in (pl_module.model.encoder, pl_module.model.decoder)
        ]
        if self.before:
            changed = [not torch.equal(a, b) for a, b in zip(self.before, now, strict=True)]
            self.moved.append({(True, False): "e", (False, True): "d", (True, True): "a"}[tuple(changed)])
        self.before = now


def fit(folder: Path, resume: Path | None = None) -> tuple[GaussianVAE, Turns, pl.Trainer]:
    module = vae(Aggressive(ELBO, window=3, most=9), optimizer=partial(torch.optim.Adam, lr=0.05))
    turns, every = Turns(), ModelCheckpoint(folder, "{step}", save_top_k=-1, every_n_train_steps=20)
    run = trainer(
        AggressiveInference(), turns, every, folder=folder, max_epochs=3, enable_checkpointing=True, log_every_n_steps=1
    )
    run.fit(module, world(30), ckpt_path=resume)
    return module, turns, run


def test_a_run_and_its_resumption(tmp_path: Path) -> None:
    module, turns, run = fit(tmp_path)
    moved = "".join(turns.moved)
    assert "eeed" in moved
    assert "dd" not in moved
    inner = [len(part) for part in moved.rstrip("a").split("d")]
    assert max(inner) <= 9
    logged = events(Path(run.log_dir))
    aggressive = [scalar.value for scalar in logged.Scalars("train/aggressive")]
    assert aggressive[0] == 1
    assert aggressive == sorted(aggressive, reverse=True)
    assert bool(module.objective.aggressive) == ("a" not in moved)
    information = [scalar.value for scalar in logged.Scalars("val/information")]
    assert float(module.objective.information) == pytest.approx(information[-1])
    fell = [b < a for a, b in itertools.pairwise(information)]
    assert bool(module.objective.aggressive) == (not any(fell))

    batch = (run.datamodule.val.x, run.datamodule.val.y)
    draw = module.evaluate(batch, 0)
    expected = elbo_surgery(draw.posterior, draw.prior, draw.z).mutual_information
    assert information[-1] == pytest.approx(float(expected), rel=1e-4)

    for step in (20, 40, 80):  # in mid-epoch
        resumed, _, _ = fit(tmp_path / str(step), resume=tmp_path / f"step={step}.ckpt")
        for name, value in module.state_dict().items():
            assert torch.equal(value, resumed.state_dict()[name]), name


def test_the_callback_needs_the_objective() -> None:
    with pytest.raises(TypeError, match="runs the objective Aggressive, the model's is AnalyticELBO: wrap it so"):
        trainer(AggressiveInference()).fit(vae(ELBO), world(2))


@pytest.mark.parametrize("objective", [Aggressive(ELBO), FirstThen(Aggressive(ELBO), ELBO, 1)], ids=["alone", "within"])
def test_it_is_refused_where_nobody_tells_it_losses(objective: Objective) -> None:
    """The encoder alone would train, for ever."""
    with pytest.raises(ValueError, match="by the losses of one model, which the callback AggressiveInference tells"):
        trainer().fit(vae(objective), world(2))


def test_it_goes_around_another_objective_and_not_within_one() -> None:
    within, around = FirstThen(Aggressive(ELBO), ELBO, 1), Aggressive(FirstThen(ELBO, ELBO, 1))
    with pytest.raises(TypeError, match=r"the model's is FirstThen: wrap it so, as Aggressive\(FirstThen\(\.\.\.\)\)"):
        trainer(AggressiveInference()).fit(vae(within), world(2))
    with pytest.raises(ValueError, match="with Aggressive around any other objective"):
        trainer(AggressiveInference()).fit(vae(Aggressive(within)), world(2))
    module = vae(around)
    trainer(AggressiveInference()).fit(module, world(2))
    assert around.inner == 2
    with pytest.raises(ValueError, match="which the callback AggressiveInference tells"):
        trainer().fit(module, world(2))  # by which it was told before


def test_it_stops_where_an_average_of_the_weights_is_validated(monkeypatch: pytest.MonkeyPatch) -> None:
    """What the objective learns of a validation stays with the model when its own weights come back."""
    objective = Aggressive(ELBO, window=1, most=2)
    falling = iter([3.0, 2.0, 1.0])
    observe = objective.observe_information
    monkeypatch.setattr(objective, "observe_information", lambda _: observe(torch.tensor(next(falling))))
    run = trainer(AggressiveInference(), ExponentialMovingAverage(0.9), max_epochs=3)
    run.fit(vae(objective), world(4))
    assert float(objective.information) == 1.0
    assert not objective.aggressive
