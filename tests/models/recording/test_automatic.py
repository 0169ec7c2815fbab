"""Automatic: short runs are replayed, long ones compiled where there is a compiler that works."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterable

import pytest
import torch
from support.models import trainer
from torch import Tensor
from torch.fx import Node
from torch.fx.experimental.proxy_tensor import make_fx

from vae_lightning.data import FullBatch, Stacked, Synthetic
from vae_lightning.data.processes import LinearJTEx
from vae_lightning.estimators import Reparameterised
from vae_lightning.families import Normal
from vae_lightning.metrics.functional import fused_henze_zirkler
from vae_lightning.models import Automatic, Compiled, Ensemble, GaussianVAE, Replayed
from vae_lightning.models.ensemble.stack import Stack
from vae_lightning.models.recording import Execution, automatic
from vae_lightning.objectives import IWAE, Alternating, AnalyticELBO, Objective, WarmUp

needs_compiler = pytest.mark.skipif(shutil.which("g++") is None, reason="needs a C++ compiler")
elbo, iwae = AnalyticELBO(Reparameterised()), IWAE(Reparameterised())


def member() -> GaussianVAE:
    return GaussianVAE(2, Normal(2, 0.1))


def trained(execution: Execution | None) -> dict[str, Tensor]:
    """The state after ten steps of two members."""
    ensemble = Ensemble(member=member, seeds=2, execution=execution)
    data = [FullBatch(Synthetic(LinearJTEx(), (40, 30, 20), seed=seed), 10) for seed in (0, 1)]
    trainer(max_epochs=1).fit(ensemble, Stacked(data))
    return ensemble.state_dict()


def same(one: dict[str, Tensor], other: dict[str, Tensor]) -> bool:
    """To the bit."""
    return all(torch.equal(value, other[name]) for name, value in one.items())


@pytest.fixture
def long(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let compiling pay in any run."""
    monkeypatch.setattr(automatic, "pays", lambda nodes, steps: steps > 0)


@needs_compiler
def test_a_short_run_is_replayed_and_a_long_one_compiled(monkeypatch: pytest.MonkeyPatch) -> None:
    replayed, compiled = trained(Replayed()), trained(Compiled())
    assert not same(replayed, compiled)
    assert same(trained(None), replayed)
    monkeypatch.setattr(automatic, "pays", lambda nodes, steps: steps == 10)
    assert same(trained(None), compiled)


def refuse(*_: object) -> object:
    raise RuntimeError("C++ compile error\nCommand: g++ ...")


@pytest.mark.usefixtures("long")
def test_where_compiling_fails_one_line_says_so_and_the_steps_are_replayed(monkeypatch: pytest.MonkeyPatch) -> None:
    """It fails at the first run of what is to be compiled."""
    monkeypatch.setattr(automatic, "compiled_graph", lambda graph, on_gpu: refuse)
    monkeypatch.setattr(automatic, "has_compiler", lambda: True)
    line = r"^a step could not be compiled, and is replayed \(RuntimeError: C\+\+ compile error\)$"
    with pytest.warns(UserWarning, match=line):
        state = trained(None)
    assert same(state, trained(Replayed()))


@pytest.mark.usefixtures("long")
def test_without_a_compiler_steps_are_replayed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CXX", "no-such-compiler")
    assert same(trained(None), trained(Replayed()))


@pytest.mark.parametrize(
    ("objective", "counts"),
    [
        (elbo, [5_000, 5_000]),
        (Alternating(elbo, iwae, 1, 3), [3_750, 1_250]),
        (AnalyticELBO(Reparameterised(), WarmUp(2_500)), [2_500, 2_500]),
    ],
    ids=["one loss", "two in turns", "a warm-up"],
)
def test_the_steps_of_each_kind_are_counted(objective: Objective, counts: list[int]) -> None:
    """The first step's and the last's in a run of 5,000, of which 1,000 are looked at: to three standard deviations."""
    module = member()
    module.objective = objective
    by_kind = automatic._ByKind(Stack([module, module]), 5_000)
    assert [by_kind._count(step) for step in (0, 4_999)] == pytest.approx(counts, abs=3 * 5_000 * 0.5 / 1_000**0.5)


def test_no_run_is_known_to_a_stack_alone() -> None:
    assert automatic._ByKind(Stack([member(), member()]), 0)._count(0) == 0
    assert type(Automatic().in_run(float("inf"))) is Automatic


def test_what_pays_is_compiled_the_sooner_the_more_there_is_to_compute() -> None:
    """Of 50 members, or of one; with the Henze-Zirkler statistic of 500 rows, or the mean of their squares.

    The sums over pairs of seven features stay an operation, which compiling does not make faster.
    """

    def nodes(members: int, statistic: Callable[[Tensor], Tensor], d: int = 2) -> Iterable[Node]:
        return make_fx(statistic)(torch.randn(members, 500, d)).graph.nodes

    def squares(z: Tensor) -> Tensor:
        return z.square().mean((1, 2))

    few, many, pairs = nodes(1, squares), nodes(50, squares), nodes(50, fused_henze_zirkler)
    assert [automatic.pays(each, 5_000) for each in (few, many, pairs)] == [False, False, True]
    assert [automatic.pays(each, 1_500_000) for each in (few, many, pairs)] == [False, True, True]
    assert not automatic.pays(nodes(50, fused_henze_zirkler, 7), 5_000)


def test_a_run_of_unknown_length_is_replayed() -> None:
    """As one that a clock or somebody ends: whether compiling would pay is not known."""
    losses = Automatic().in_run(float("inf")).losses(Stack([member(), member()]))
    assert losses._count(0) == 0
