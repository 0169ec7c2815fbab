"""Executions: an ensemble trains the same in each, resumes in each to the bit, and can be seen at work in Eager."""

from __future__ import annotations

import shutil
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.distributions as td
from support.models import Save, trainer
from torch import Tensor, nn

from vae_lightning.cli import main
from vae_lightning.data import FullBatch, Stacked, Synthetic
from vae_lightning.data.processes import LinearJTEx
from vae_lightning.estimators import Reparameterised
from vae_lightning.families import Normal
from vae_lightning.models import Automatic, Compiled, Eager, Ensemble, GaussianVAE, Replayed
from vae_lightning.models.ensemble.stack import Stack
from vae_lightning.models.recording import Execution
from vae_lightning.models.recording.replay import Replay
from vae_lightning.nn import MLP
from vae_lightning.objectives import IWAE, Alternating, AnalyticELBO, Objective, WarmUp
from vae_lightning.objectives.base import EstimatedObjective

SEEDS, STEPS = (3, 4, 5), 10
RUNNABLE = [Eager(), Replayed(), *([Compiled()] if shutil.which("g++") else [])]  # the last needs a C++ compiler
r = Reparameterised()


def members(*objectives: Objective) -> list[GaussianVAE]:
    """One for each objective, alike but for their seeds."""
    made = []
    for seed, objective in zip(SEEDS, objectives, strict=False):
        torch.manual_seed(seed)
        network = partial(MLP, hidden=(6,))
        adam = partial(torch.optim.Adam, lr=0.01)
        made.append(GaussianVAE(2, Normal(2, 0.1), network, MLP, objective=objective, optimizer=adam))
        made[-1].seed = seed
    return made


def betas() -> list[Objective]:
    return [AnalyticELBO(r, beta) for beta in (1.0, 0.5, 2.0)]


def trained(execution: Execution | None, *callbacks: Any, resume: Path | None = None) -> Ensemble:
    """Three epochs, of members with objectives of their own."""
    ensemble = Ensemble(members(*betas()), execution=execution)
    data = [FullBatch(Synthetic(LinearJTEx(), (40, 30, 20), seed=seed), STEPS) for seed in SEEDS]
    trainer(*callbacks, max_epochs=3).fit(ensemble, Stacked(data), ckpt_path=resume, weights_only=True)
    return ensemble


@pytest.fixture(scope="module")
def as_written() -> dict[str, Tensor]:
    """The state after training in Eager."""
    return trained(Eager()).state_dict()


@pytest.mark.parametrize("execution", RUNNABLE, ids=lambda execution: type(execution).__name__)
def test_an_ensemble_trains_the_same_and_resumes_to_the_bit(
    execution: Execution, as_written: dict[str, Tensor], tmp_path: Path
) -> None:
    """30 steps of Adam, in which rounding grows; a run resumed in mid-epoch has no recording of the first one.

    After any of them distributions check their arguments as before; torch.compile by itself turns that off.
    """
    path = tmp_path / "middle.ckpt"
    whole = trained(execution, Save(path, 14)).state_dict()
    resumed = trained(execution, resume=path).state_dict()
    torch.testing.assert_close(whole, as_written, rtol=1e-4, atol=1e-5)
    assert [name for name, value in whole.items() if not torch.equal(value, resumed[name])] == []
    with pytest.raises(ValueError, match="scale"):
        td.Normal(0.0, torch.tensor(-1.0))


@pytest.mark.parametrize("execution", RUNNABLE, ids=lambda execution: type(execution).__name__)
def test_losses_figures_and_gradients_are_those_of_the_stack(execution: Execution) -> None:
    """At two steps, since a compiled run may write where the last one did."""
    stack = Stack(members(*betas()))
    losses_at, kept = execution.losses(stack), []
    for step in (0, 1):
        found, expected = (values_at(stack, way, step) for way in (losses_at, stack))
        torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-4)
        kept.append((found, expected))
    torch.testing.assert_close(*kept[0], rtol=1e-5, atol=1e-4)


def values_at(stack: Stack, losses_at: Any, step: int) -> dict[str, Tensor]:
    """Losses, figures and the gradients of a weighted sum of the losses, by name."""
    x = torch.stack([LinearJTEx().sample(40, torch.Generator().manual_seed(seed)) for seed in SEEDS])
    stack.noise.begin("train", step, 0)
    losses, figures = losses_at((x, x[..., 0]), step)
    names, parameters = zip(*stack.module.named_parameters(), strict=True)
    gradients = torch.autograd.grad((losses * torch.tensor([1.0, 0.5, -2.0])).sum(), parameters)
    return {"loss": losses.detach(), **figures, **dict(zip(names, gradients, strict=True))}


@pytest.mark.parametrize("ends", [(1.0, 1.0, 1.0), (1.0, 0.5, 2.0)], ids=["one schedule", "a schedule each"])
def test_the_steps_of_a_warm_up_are_one_recording_that_takes_their_betas(ends: tuple[float, ...]) -> None:
    """Losses, figures and gradients are the stack's at every step; at the first all betas are zero."""
    stack = Stack(members(*(AnalyticELBO(r, WarmUp(5, end=end)) for end in ends)))
    replay = Replay(stack, lambda graph, inputs: graph)
    for step in (0, 1, 4):
        found, expected = (values_at(stack, way, step) for way in (replay, stack))
        torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-4)
    assert len(replay.made) == 1


class MoreByStep(AnalyticELBO):
    """A user's own, whose `at` sets another attribute, and has another estimator, beside the beta of a warm-up."""

    gain = 1.0

    def at(self, step: int) -> Any:
        made: Any = super().at(step)
        made.gain, made.estimator = 1.0 + step, Reparameterised(1 + step)
        return made

    def forward(self, model: Any, x: Tensor) -> Tensor:
        return self.gain * super().forward(model, x)


def test_the_steps_of_a_subclass_whose_objectives_may_differ_in_more_run_as_they_are_written() -> None:
    stack = Stack(members(*(MoreByStep(r, WarmUp(5)) for _ in range(3))))
    replay = Replay(stack, lambda graph, inputs: graph)
    for step in (0, 1, 4):
        found, expected = (values_at(stack, way, step) for way in (replay, stack))
        torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-4)
    assert not replay.made
    assert stack.module.objective.estimator.num_samples == 1  # what a step's objective is given is its own


class Heavier(GaussianVAE):
    """A user's own, whose loss differs by step."""

    def loss(self, batch: Any, step: int) -> tuple[Tensor, dict[str, Tensor]]:
        loss, figures = super().loss(batch, step)
        return (1 + step) * loss, figures


def test_the_steps_of_members_that_override_loss_run_as_they_are_written() -> None:
    stack = Stack([Heavier(2, Normal(2, 0.1)) for _ in SEEDS])
    for execution in (Replayed(), Automatic()):
        losses_at = execution.losses(stack)
        for step in (0, 4):
            found, expected = (values_at(stack, way, step) for way in (losses_at, stack))
            torch.testing.assert_close(found, expected)


def test_a_layer_that_is_held_from_a_step_on_is_held_in_what_is_replayed() -> None:
    """Batch normalisation, whose running statistics then stay."""

    def network(shape: Any, outputs: int) -> nn.Module:
        return nn.Sequential(nn.Linear(*shape, 6), nn.BatchNorm1d(6), nn.Linear(6, outputs))

    stack = Stack([GaussianVAE(2, Normal(2, 0.1), network) for _ in SEEDS])
    norm, losses_at = (
        next(m for m in stack.module.modules() if isinstance(m, nn.BatchNorm1d)),
        Replay(stack, lambda graph, _: graph),
    )
    for mode in (True, False):
        values_at(stack, losses_at, 0)
        norm.train(mode)
    before = norm.running_mean.clone()
    values_at(stack, losses_at, 0)
    assert torch.equal(norm.running_mean, before)


def test_where_beta_is_one_the_loss_is_the_nelbo_in_a_warm_up_too() -> None:
    stack = Stack(members(*(AnalyticELBO(r, WarmUp(4, end=2.0)) for _ in range(3))))
    replay = Replay(stack, lambda graph, inputs: graph)
    assert ["nelbo" in values_at(stack, replay, step) for step in (1, 2, 3)] == [False, True, False]


class AnotherEachTime(AnalyticELBO):
    """An objective of each step that says nothing of what it has in common with the others."""

    def at(self, step: int) -> Objective:
        return AnalyticELBO(self.estimator, 1.0 + step)


def test_by_default_steps_are_replayed(as_written: dict[str, Tensor]) -> None:
    """To the bit as `Replayed` has them, which sums in another order than `Eager` does."""
    default, replayed = trained(None).state_dict(), trained(Replayed()).state_dict()
    assert all(torch.equal(value, replayed[name]) for name, value in default.items())
    assert any(not torch.equal(value, as_written[name]) for name, value in default.items())


class Watched(EstimatedObjective):
    """The ELBO, which counts its calls and looks whether torch's distributions check their arguments."""

    def __init__(self) -> None:
        super().__init__(r)
        self.elbo, self._validating = AnalyticELBO(r), list[bool]()

    def forward(self, model: Any, x: Tensor) -> Tensor:
        self._validating.append(td.Distribution._validate_args)
        td.Normal(0.0, model.encoder(x).mean.exp())  # checks that the scale is positive
        return self.elbo(model, x)


def watched(execution: Execution) -> list[bool]:
    """Of ten steps, what its objective saw each time that its code ran."""
    stack = Stack(members(Watched(), Watched()))
    losses_at, x = execution.losses(stack), torch.ones(2, 20, 2)
    for step in range(10):
        stack.noise.begin("train", step, 0)
        losses_at((x, x[..., 0]), step)
    return stack.module.objective._validating


def test_the_formulas_run_at_each_step_in_eager_and_only_to_be_recorded_else() -> None:
    """Once to ask for noise and once to be recorded, when other distributions go on checking their arguments."""
    assert watched(Eager()) == [True] * 10
    assert watched(Replayed()) == [True] * 2


@pytest.mark.parametrize(
    ("objective", "recordings"),
    [
        (AnalyticELBO(r), 2),
        (Alternating(AnalyticELBO(r), IWAE(r), 2, 3), 4),
        (AnalyticELBO(r, WarmUp(10)), 2),
        (AnalyticELBO(r, WarmUp(5)), 4),
        (AnotherEachTime(r), 0),
    ],
    ids=["one loss", "two in turns", "a warm-up", "and once it stays", "another at each step"],
)
def test_there_is_a_recording_for_each_loss_and_shape(objective: Objective, recordings: int) -> None:
    """Batches of 20 and of 7; an objective made for one step, and of no kind, runs as it is written."""
    stack = Stack(members(objective, objective))
    replay = Replay(stack, lambda graph, inputs: graph)
    for step in range(10):
        for rows in (20, 7):
            stack.noise.begin("train", step, 0)
            replay((torch.ones(2, rows, 2), torch.zeros(2, rows)), step)
    assert len(replay.made) == recordings


def test_the_noise_of_the_data_is_a_constant_of_a_recording() -> None:
    """2 sigma^2 = 0.02, of p(x | z), which is not learned."""
    stack = Stack(members(*betas()))
    replay = Replay(stack, Replayed().optimised)
    stack.noise.begin("train", 0, 0)
    replay((torch.ones(3, 5, 2), torch.zeros(3, 5)), 0)
    (recording,) = replay.made.values()
    assert any(torch.allclose(constant, torch.tensor(0.02)) for constant in recording.run.buffers())


def test_without_a_compiler_one_line_says_the_way_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CXX", "no-such-compiler -O2")
    with pytest.raises(ValueError, match=r"there is no 'no-such-compiler -O2': install one, .* Replayed needs none"):
        watched(Compiled())


def test_a_config_names_one_by_its_class_path(capsys: pytest.CaptureFixture[str]) -> None:
    config = Path(__file__).parents[3] / "configs" / "libi" / "ensemble.yaml"
    chosen = ["--model.init_args.execution", "vae_lightning.models.Compiled", "--print_config"]
    with pytest.raises(SystemExit, match="0"):
        main(["fit", "--config", str(config), *chosen])
    assert "execution:\n      class_path: vae_lightning.models.Compiled" in capsys.readouterr().out
