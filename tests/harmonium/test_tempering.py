"""Tempered chains: exact exchanges and walks, the gradient by enumeration, modes that single chains do not leave."""

from __future__ import annotations

import math

import pytest
import torch
import torch.distributed as dist
import torch.multiprocessing as mp
from jsonargparse import ArgumentParser
from support.harmoniums import all_bits, bimodal, random_harmonium

from vae_lightning.construction.specification import specification
from vae_lightning.families import Bernoulli, Categorical, ExponentialFamily, Multinomial, Normal
from vae_lightning.harmonium import Harmonium
from vae_lightning.harmonium.moments import likelihood_gradient
from vae_lightning.harmonium.parallel_tempering import exchange
from vae_lightning.harmonium.tempered import TemperedChains
from vae_lightning.harmonium.tempered_transitions import walk
from vae_lightning.harmonium.tempering import Tempering
from vae_lightning.models import RBM
from vae_lightning.objectives import (
    NegativePhase,
    ParallelTempering,
    PersistentContrastiveDivergence,
    TemperedTransitions,
)

LENGTHS = torch.tensor([2.0, 5.0, 9.0]).double()
PAIRS: dict[str, tuple[ExponentialFamily, ExponentialFamily]] = {
    "bits x bits": (Bernoulli((5, 1)), Bernoulli((2, 2))),
    "bits x classes": (Bernoulli(4), Categorical(3, (2,))),
    "normal x bits": (Normal(2), Bernoulli(3)),
    "normal x normal": (Normal(3, scale=0.8), Normal(2, scale=1.2)),
    "words x bits": (Multinomial(4), Bernoulli(3)),
}
ALGORITHMS = {
    "exchanges": lambda: ParallelTempering(steps=3, chains=300, betas=4),
    "walks": lambda: TemperedTransitions(steps=3, chains=300, betas=[0.3, 0.7, 1.0]),
}


def attached(algorithm: TemperedChains, model: Harmonium, totals: torch.Tensor | None = None) -> TemperedChains:
    """With chains in the model's precision, as a training has them after its start."""
    algorithm.attach(model)
    algorithm.to(model.weight.dtype).start(model, totals)
    return algorithm


def path(model: Harmonium) -> Tempering:
    """From bits that are fair."""
    return Tempering.of(model, torch.zeros_like(model.visible_bias))


def tempered(way: Tempering, v: torch.Tensor, beta: float) -> torch.Tensor:
    """p_beta of all v, by the sum over all of h written out."""
    h = all_bits(way.b.numel())
    a, b = (torch.lerp(*ends, beta) for ends in ((way.visible_start, way.a), (way.hidden_start, way.b)))
    return ((v @ a)[:, None] + h @ b + beta * v @ way.weight @ h.T).logsumexp(1).softmax(0)


@torch.no_grad()
def test_an_exchange_is_in_detailed_balance() -> None:
    """Exactly, for all pairs of values of three bits at two temperatures: pi(v, v') a(v, v') = pi(v', v) a(v', v)."""
    model, v, betas = random_harmonium(Bernoulli(3), Bernoulli(2), 2.0), all_bits(3), torch.tensor([0.2, 0.9]).double()
    way = path(model)
    low, high = (tempered(way, v, beta) for beta in betas.tolist())
    chance = torch.stack([exchange(way, torch.stack((x, y))[None], betas[:, None]).rates for x in v for y in v])
    flow = (low[:, None] * high) * chance.view(8, 8)
    torch.testing.assert_close(flow, flow.T)
    assert chance.min() < 0.9


@torch.no_grad()
@pytest.mark.parametrize("levels", [2, 3, 4])
def test_exchanges_leave_every_temperature_as_it_was(levels: int) -> None:
    """40,000 exact samples of each: after both rounds, still p_beta of each, within 4 standard errors; fields agree."""
    model, v, n = random_harmonium(Bernoulli(3), Bernoulli(2), 2.0), all_bits(3), 40_000
    way, betas = path(model), torch.linspace(0, 1, levels).double()[:, None]
    torch.manual_seed(0)
    exact = torch.stack([tempered(way, v, float(beta)) for beta in betas])
    before = exact.multinomial(n, replacement=True).T
    found = exchange(way, v[before], betas)
    after = before.gather(1, found.origin)
    torch.testing.assert_close(found.field, v[after] @ model.weight)
    assert torch.equal(found.origin.sort(1).values, torch.arange(levels).expand(n, -1))  # each goes to one place
    frequency = torch.stack([(after == k).double().mean(0) for k in range(8)], 1)
    assert ((frequency - exact).abs() < 4 * (exact * (1 - exact) / n).sqrt()).all()
    moved = (found.origin != torch.arange(levels)).double().mean(0)
    assert moved[0].item() == pytest.approx(found.rates[0].item(), abs=4 / math.sqrt(n))


@torch.no_grad()
def test_the_path_ends_in_the_model_and_begins_in_independent_bits() -> None:
    model, v, h = random_harmonium(Bernoulli(3), Bernoulli(2)), all_bits(3), all_bits(2)
    way = path(model)
    torch.testing.assert_close(tempered(way, v, 1.0), model.log_prob(v).exp())
    torch.testing.assert_close(tempered(way, v, 0.0), torch.full((8,), 1 / 8).double())
    torch.testing.assert_close(way.hidden_natural(way.said(v)[0], 0.0), torch.zeros(8, 2).double())  # fair bits
    torch.testing.assert_close(way.visible_natural(h, 1.0), model.visible_natural(h))
    ratio = way.log_ratio(v, 0.3, 0.8)
    difference = tempered(way, v, 0.8).log() - tempered(way, v, 0.3).log()
    torch.testing.assert_close(ratio - ratio[0], difference - difference[0])


@torch.no_grad()
def test_walks_leave_the_model_as_it_was() -> None:
    """40,000 exact samples are warmed, cooled and accepted or not: still p(v), within 4 standard errors."""
    model, v, n = random_harmonium(Bernoulli(3), Bernoulli(2), 2.0), all_bits(3), 40_000
    torch.manual_seed(1)
    exact = model.log_prob(v).exp()
    before = v[exact.multinomial(n, replacement=True)]
    proposed, log_weight = walk(path(model), before, [0.0, 0.4, 0.8, 1.0])
    after = torch.where((torch.rand(n).log() < log_weight)[:, None], proposed, before)
    number = (after @ torch.tensor([4.0, 2.0, 1.0]).double()).long()
    frequency = number.bincount(minlength=8) / n
    assert ((frequency - exact).abs() < 4 * (exact * (1 - exact) / n).sqrt()).all()
    assert 0.3 < log_weight.clamp_max(0).exp().mean() < 0.95


@pytest.mark.parametrize("pair", PAIRS)
@pytest.mark.parametrize("kind", ALGORITHMS)
def test_the_gradient_is_that_of_the_likelihood(kind: str, pair: str) -> None:
    """Against autograd through the exact log Z: 25 gradients of 300 chains, within 4 standard errors."""
    model = random_harmonium(*PAIRS[pair])
    model.shrink()
    torch.manual_seed(1)
    family = model.visible.given(LENGTHS.repeat(2)) if model.has_lengths else model.visible
    v = family.sample(family.constrain(torch.randn(6, family.num_parameters).double()))
    exact = torch.autograd.grad(-model.log_prob(v).mean(), list(model.parameters()))
    algorithm = attached(ALGORITHMS[kind](), model, LENGTHS if model.has_lengths else None)
    torch.manual_seed(2)
    with torch.no_grad():
        chains, draws = algorithm.state, []
        for _ in range(35):  # the first ten forget where they began
            moments, chains = algorithm(model, v, chains)
            draws.append(likelihood_gradient(model, v, moments, None))
    for found, expected in zip(zip(*draws[10:], strict=True), exact, strict=True):
        values = torch.stack(found)
        error = values.std(0) / math.sqrt(len(values))
        assert ((values.mean(0) - expected).abs() <= 4 * error + 1e-9).all()


@torch.no_grad()
def test_two_modes() -> None:
    """Chains that all begin in the rarer of two modes, of probability 0.25, with 18 nats between them.

    PCD's stay there. Those that exchange states come to the other and back: the share of chains there is the exact
    one, within 4 standard errors over 100 chains, which do not know of each other.
    """
    model, v = bimodal(), all_bits(10)
    share = model.log_prob(v).exp() @ (v.mean(1) > 0.5).double()
    assert 0.74 < share < 0.75
    found = {}
    for algorithm in (
        PersistentContrastiveDivergence(chains=100),
        ParallelTempering(chains=100, betas=8),
        TemperedTransitions(chains=100, betas=10),
    ):
        algorithm.attach(model)
        algorithm.double()
        if isinstance(algorithm, TemperedChains):
            algorithm.independent.zero_()
        torch.manual_seed(3)
        h, seen = torch.zeros_like(algorithm.hidden), []
        for _ in range(200):
            stretch = algorithm.advance(model, h)
            h = stretch.chains
            seen.append((stretch.samples.mean(-1) > 0.5).double())
        found[type(algorithm)] = torch.stack(seen)
        assert all(0.1 < rate <= 1 for rate in stretch.figures.values())
    assert not found[PersistentContrastiveDivergence].any()
    for kind in (ParallelTempering, TemperedTransitions):
        of_chains = found[kind][50:].mean(0)
        assert abs(of_chains.mean() - share) < 4 * of_chains.std() / 10 < 0.15
        assert found[kind].diff(dim=0).abs().sum(0).median() >= 4  # each chain goes to and fro


class TestChains:
    """The state that a checkpoint holds and processes share."""

    @staticmethod
    def module() -> tuple[RBM, torch.Tensor]:
        torch.manual_seed(0)
        algorithm = ParallelTempering(chains=7, betas=3)
        module = RBM(Bernoulli(6), Bernoulli(4), algorithm)
        module.algorithm.start(module.model, None)
        return module, (torch.rand(20, 6) < 0.5).float()

    @pytest.mark.parametrize("algorithm", [ParallelTempering(2, 5, 3), TemperedTransitions(2, 5, 3)], ids=str)
    def test_a_step_is_a_pure_function_of_the_chains(self, algorithm: TemperedChains) -> None:
        model, v, found = random_harmonium(Bernoulli(5), Bernoulli(3)).float(), all_bits(5).float(), []
        attached(algorithm, model)
        before = algorithm.state.clone()
        for _ in range(2):
            torch.manual_seed(9)
            with torch.no_grad():
                found.append(algorithm(model, v, before)[1])
        assert torch.equal(*found)
        assert torch.equal(algorithm.hidden, before)
        assert not torch.equal(found[0], before)
        algorithm.keep(found[0])
        assert torch.equal(algorithm.hidden, found[0])

    def test_its_state_dict_and_where_samples_start(self) -> None:
        module, _ = self.module()
        shapes = {name: tuple(value.shape) for name, value in module.algorithm.state_dict().items()}
        assert shapes == {"hidden": (7, 3, 4), "totals": (7,), "independent": (6,)}
        assert torch.equal(module.algorithm.starts(module.model, 9), module.algorithm.hidden[[*range(7), 0, 1], -1])
        assert module.sample(9).shape == (9, 6)

    def test_a_model_that_is_loaded_goes_on_from_them(self) -> None:
        """As a resumed run does: after two steps and two more of the loaded copy, the bits of four steps."""
        ends = []
        for parts in (1, 2):
            module, x = self.module()
            optimizer = torch.optim.SGD(module.parameters(), 0.1)
            for step in range(4):
                if parts == 2 and step == 2:
                    saved = {name: value.clone() for name, value in module.state_dict().items()}
                    module = self.module()[0]
                    module.load_state_dict(saved)
                    optimizer = torch.optim.SGD(module.parameters(), 0.1)
                torch.manual_seed(step)
                optimizer.zero_grad()
                module.training_loss((x, None), step, read=False)[0].backward()
                optimizer.step()
            ends.append(module.state_dict())
        assert all(torch.equal(ends[0][name], ends[1][name]) for name in ends[0])

    def test_two_processes(self, tmp_path) -> None:
        """Each moves its share, four and three chains of all temperatures; afterwards both know all of them."""
        mp.start_processes(in_two_processes, args=(str(tmp_path),), nprocs=2, start_method="fork")
        one, two = (torch.load(tmp_path / f"{rank}.pt", weights_only=True) for rank in (0, 1))
        assert torch.equal(one["merged"], two["merged"])
        assert torch.equal(one["merged"][:4], one["before"][:4])
        assert torch.equal(two["merged"][4:], two["before"][4:])
        begun = self.module()[0].algorithm.hidden
        assert torch.equal(one["before"][4:], begun[4:])
        assert not torch.equal(one["merged"], begun)


def in_two_processes(rank: int, folder: str) -> None:
    dist.init_process_group("gloo", init_method=f"file://{folder}/meet", rank=rank, world_size=2)
    module, x = TestChains.module()
    torch.manual_seed(rank)
    module.training_loss((x.tensor_split(2)[rank], None), 0, read=False)
    before = module.algorithm.hidden.clone()
    module.algorithm.merge()
    torch.save({"before": before, "merged": module.algorithm.hidden}, f"{folder}/{rank}.pt")
    dist.destroy_process_group()


@pytest.mark.parametrize(
    ("betas", "message"),
    [
        (1, "needs at least 2 temperatures, the model's own and one above; got betas=1"),
        ([1.0], r"needs betas that ascend from 0 or more to 1, .*; got \[1.0\]"),
        ([0.0, 0.9], r"ascend from 0 or more to 1, .*; got \[0.0, 0.9\]"),
        ([0.5, 0.5, 1.0], "ascend from 0"),
        ([-0.5, 1.0], "ascend from 0"),
        ([0.0, math.nan, 1.0], "ascend from 0"),
    ],
)
def test_what_is_no_ladder(betas: int | list[float], message: str) -> None:
    for kind in (ParallelTempering, TemperedTransitions):
        with pytest.raises(ValueError, match=f"{kind.__name__} {message}" if "needs" in message else message):
            kind(betas=betas)
    with pytest.raises(ValueError, match="ParallelTempering needs chains >= 1, got 0"):
        ParallelTempering(chains=0)


@pytest.mark.parametrize("betas", [3, [0.0, 0.5, 1.0]], ids=["how many", "which"])
def test_a_configuration_names_it_and_a_checkpoint_remembers(betas: int | list[float]) -> None:
    parser = ArgumentParser(exit_on_error=False)
    parser.add_argument("--algorithm", type=NegativePhase)
    chosen = {"class_path": "vae_lightning.objectives.ParallelTempering", "init_args": {"chains": 20, "betas": betas}}
    algorithm = parser.instantiate_classes(parser.parse_object({"algorithm": chosen})).algorithm
    assert isinstance(algorithm, ParallelTempering)
    assert algorithm.betas.tolist() == [0.0, 0.5, 1.0]
    kept = specification(algorithm)
    assert kept["class_path"] == "vae_lightning.harmonium.ParallelTempering"
    assert kept["init_args"] == chosen["init_args"]
