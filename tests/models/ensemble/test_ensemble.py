"""Ensemble: member i is the same model trained alone; failures, selection, resume."""

from __future__ import annotations

import os
import warnings
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import lightning.pytorch as pl
import pytest
import torch
import torch.distributions as td
from lightning.pytorch.demos.boring_classes import BoringModel
from lightning.pytorch.plugins import MixedPrecision
from support.models import Save, trainer
from torch import Tensor, nn
from torch.optim.lr_scheduler import CosineAnnealingLR, ExponentialLR, MultiStepLR, OneCycleLR, ReduceLROnPlateau

from vae_lightning.callbacks import BitUse, Freeze, GradientVariance, LogitsByLength, LogLikelihood, NearestWords
from vae_lightning.data import FullBatch, Stacked, Synthetic
from vae_lightning.data.base import InMemoryDataModule
from vae_lightning.data.processes import LinearJTEx
from vae_lightning.encoders import FlowEncoder
from vae_lightning.estimators import Reparameterised
from vae_lightning.families import Bernoulli, Normal
from vae_lightning.metrics.functional import fused_henze_zirkler
from vae_lightning.models import RBM, Eager, Ensemble, EveryStep, GaussianVAE
from vae_lightning.models.ensemble.stack import named_tensors
from vae_lightning.nn import MLP
from vae_lightning.objectives import (
    ELBO,
    IWAE,
    Aggressive,
    Alternating,
    AnalyticELBO,
    DReG,
    FreeBits,
    Objective,
    WarmUp,
)
from vae_lightning.objectives.base import EstimatedObjective
from vae_lightning.priors import FactorisedPrior
from vae_lightning.randomness import Noise, reseed, seeded

SEEDS, EPOCHS, STEPS = (3, 4, 5), 3, 10


class Penalised(EstimatedObjective):
    """The ELBO less a weighted Henze-Zirkler statistic of the means."""

    def __init__(self, weight: float) -> None:
        super().__init__(Reparameterised())
        self.weight, self.elbo = weight, AnalyticELBO(self.estimator)

    def forward(self, model: Any, x: Tensor) -> Tensor:
        return self.elbo(model, x) - self.weight * fused_henze_zirkler(model.encoder(x).mean)


def vae(seed: int, objective: Objective, lr: float = 0.01, **changes: Any) -> GaussianVAE:
    torch.manual_seed(seed)
    network = partial(MLP, hidden=(6,))
    optimizer = partial(torch.optim.Adam, lr=lr)
    settings = {"encoder": network, "decoder": MLP, "objective": objective, "optimizer": optimizer}
    module = GaussianVAE(2, Normal(2, 0.1), **settings | changes)
    module.seed = seed
    return module


def whole(seed: int) -> InMemoryDataModule:
    return FullBatch(Synthetic(LinearJTEx(), (40, 30, 20), seed=seed), STEPS)


def minibatches(seed: int) -> InMemoryDataModule:
    return Synthetic(LinearJTEx(), (130, 30, 20), seed=seed, batch_size=13)


def train(module: pl.LightningModule, data: pl.LightningDataModule, **changes: Any) -> pl.Trainer:
    run = trainer(**{"max_epochs": EPOCHS} | changes)
    run.fit(module, data)
    return run


def ensemble_of(objectives: list[Objective], **changes: Any) -> Ensemble:
    return Ensemble([vae(seed, objective, **changes) for seed, objective in zip(SEEDS, objectives, strict=True)])


def weights(module: nn.Module, number: int | None = None) -> dict[str, Tensor]:
    return {
        name: (tensor if number is None else tensor[number]).detach().clone() for name, tensor in named_tensors(module)
    }


class Losses(pl.Callback):
    """The loss of every step, of a module alone or of each member."""

    def __init__(self) -> None:
        self.seen: list[Tensor] = []

    def on_train_batch_end(self, trainer: Any, module: Any, outputs: Any, *_: Any) -> None:
        self.seen.append(module._losses if isinstance(module, Ensemble) else outputs["loss"].detach())


class Validating(EstimatedObjective):
    """With a distribution that, as torch's do by default, looks whether its arguments can be."""

    def forward(self, model: Any, x: Tensor) -> Tensor:
        mean = model.encoder(x).mean
        return AnalyticELBO(self.estimator)(model, x) + td.Normal(mean, mean.exp()).log_prob(mean + 1).sum(-1)


class Perturbed(EstimatedObjective):
    """With noise that is made within the loss, and is no attribute of anything."""

    def forward(self, model: Any, x: Tensor) -> Tensor:
        return AnalyticELBO(self.estimator)(model, x + 0.1 * Noise().normal(x.shape, x))


r = Reparameterised
OBJECTIVES: dict[str, Callable[[], list[Objective]]] = {
    "AnalyticELBO": lambda: [AnalyticELBO(r(), beta) for beta in (1.0, 0.5, 2.0)],
    "ELBO": lambda: [ELBO(r(2), beta) for beta in (1.0, 0.5, 2.0)],
    "IWAE": lambda: [IWAE(r(3)) for _ in range(3)],
    "free bits": lambda: [FreeBits(r(), nats) for nats in (0.1, 0.2, 0.0)],
    "warm-ups": lambda: [ELBO(r(), WarmUp(steps, end=end)) for steps, end in ((5, 1.0), (9, 0.5), (20, 2.0))],
    "one warm-up": lambda: [ELBO(r(), WarmUp(7)) for _ in range(3)],
    "a number and a warm-up": lambda: [ELBO(r(), 0.5), ELBO(r(), WarmUp(9)), ELBO(r(), 1.0)],
    "in turns": lambda: [Alternating(AnalyticELBO(r(), b), ELBO(r()), 2, 3) for b in (1.0, 0.5, 2.0)],
    "validated arguments": lambda: [Validating(r()) for _ in range(3)],
    "noise of its own": lambda: [Perturbed(r()) for _ in range(3)],
    "Henze-Zirkler": lambda: [Penalised(weight) for weight in (0.1, 1.0, 0.0)],
}


@pytest.mark.parametrize(("name", "data"), [(name, whole) for name in OBJECTIVES] + [("ELBO", minibatches)])
def test_a_member_is_the_model_trained_alone(name: str, data: Callable[[int], InMemoryDataModule]) -> None:
    """30 steps of three members, each with its own objective, seed, data and order, against three runs."""
    together, ensemble = Losses(), ensemble_of(OBJECTIVES[name]())
    run = trainer(together, max_epochs=EPOCHS)
    run.fit(ensemble, Stacked([data(seed) for seed in SEEDS]))
    assert run.global_step == EPOCHS * STEPS
    for number, (seed, objective) in enumerate(zip(SEEDS, OBJECTIVES[name](), strict=True)):
        os.environ["PL_GLOBAL_SEED"] = str(seed)
        alone, module = Losses(), vae(seed, objective)
        trainer(alone, max_epochs=EPOCHS).fit(module, data(seed))
        expected = torch.stack(alone.seen)
        torch.testing.assert_close(torch.stack(together.seen)[:, number], expected, rtol=2e-5, atol=1e-4)
        torch.testing.assert_close(weights(ensemble.stack.module, number), weights(module), rtol=1e-4, atol=1e-5)


def test_the_noise_is_the_same_to_the_bit() -> None:
    """Not only close: with another order of draws the losses above would be far apart, but say so plainly."""
    ensemble = ensemble_of(OBJECTIVES["AnalyticELBO"]())
    ensemble.stack.noise.begin("train", 7, 0)
    ours = ensemble.stack.noise.stacked((torch.randn, (1, 500, 2), torch.float32, torch.device("cpu")))
    for seed, row in zip(SEEDS, ours, strict=True):
        module = vae(seed, ELBO(r()))
        reseed(module.seed, "train", 7, 0)
        assert torch.equal(row, torch.randn(1, 500, 2))


def test_a_factory_and_seeds_build_what_seeding_everything_would() -> None:
    def member() -> GaussianVAE:
        return GaussianVAE(2, Normal(2, 0.1), partial(MLP, hidden=(6,)))

    ensemble = Ensemble(member=member, seeds=SEEDS)
    assert ensemble.seeds == list(SEEDS)
    for number, seed in enumerate(SEEDS):
        pl.seed_everything(seed, verbose=False)
        alone = member()
        assert alone.seed == ensemble.members[number].seed == seed
        built = weights(ensemble.member(number))
        assert all(torch.equal(value, built[name]) for name, value in weights(alone).items())


def test_learning_rates_and_clipping_are_each_members_own() -> None:
    rates = (0.02, 0.005, 0.01)
    data = [whole(seed) for seed in SEEDS]
    ensemble = Ensemble([vae(seed, AnalyticELBO(r()), lr) for seed, lr in zip(SEEDS, rates, strict=True)])
    train(ensemble, Stacked(data), gradient_clip_val=1.0)
    for number, (seed, lr) in enumerate(zip(SEEDS, rates, strict=True)):
        module = vae(seed, AnalyticELBO(r()), lr)
        train(module, data[number], gradient_clip_val=1.0)
        torch.testing.assert_close(weights(ensemble.stack.module, number), weights(module), rtol=1e-4, atol=1e-5)


def test_hyper_parameters_are_as_precise_as_the_weights() -> None:
    """In double precision 0.1, 0.3 and 0.7 are what they are alone, not what single precision makes of them."""
    betas, data = (0.1, 0.3, 0.7), [whole(seed) for seed in SEEDS]
    ensemble = ensemble_of([AnalyticELBO(r(), beta) for beta in betas])
    train(ensemble, Stacked(data), precision="64-true")
    for number, (seed, beta) in enumerate(zip(SEEDS, betas, strict=True)):
        module = vae(seed, AnalyticELBO(r(), beta))
        train(module, data[number], precision="64-true")
        torch.testing.assert_close(weights(ensemble.stack.module, number), weights(module), rtol=1e-11, atol=1e-11)


def normalised(context_shape: Sequence[int], num_outputs: int) -> nn.Module:
    return nn.Sequential(nn.BatchNorm1d(*context_shape), nn.Linear(*context_shape, num_outputs))


def test_running_statistics_are_each_members_own_and_see_every_batch_once() -> None:
    objectives, data = OBJECTIVES["AnalyticELBO"](), [minibatches(seed) for seed in SEEDS]
    ensemble = ensemble_of(objectives, encoder=normalised)
    train(ensemble, Stacked(data))
    for number, (seed, objective) in enumerate(zip(SEEDS, objectives, strict=True)):
        os.environ["PL_GLOBAL_SEED"] = str(seed)
        module = vae(seed, objective, encoder=normalised)
        train(module, data[number])
        torch.testing.assert_close(weights(ensemble.stack.module, number), weights(module), rtol=1e-4, atol=1e-5)


def test_a_part_of_all_members_may_rest_for_a_while() -> None:
    ensemble, data = ensemble_of(OBJECTIVES["AnalyticELBO"]()), [whole(seed) for seed in SEEDS]
    trainer(Freeze("stack.module.model.decoder", 14), max_epochs=EPOCHS).fit(ensemble, Stacked(data))
    for number, (seed, objective) in enumerate(zip(SEEDS, OBJECTIVES["AnalyticELBO"](), strict=True)):
        module = vae(seed, objective)
        trainer(Freeze("model.decoder", 14), max_epochs=EPOCHS).fit(module, data[number])
        torch.testing.assert_close(weights(ensemble.stack.module, number), weights(module), rtol=1e-4, atol=1e-5)


class Weights(pl.Callback):
    """Each epoch's weights and validation losses of a module trained alone, by hand."""

    def __init__(self, data: InMemoryDataModule) -> None:
        self.data, self.best, self.kept = data, float("inf"), {}

    def on_train_epoch_end(self, trainer: pl.Trainer, module: Any) -> None:
        total = 0.0
        for index, batch in enumerate(self.data.val_dataloader()):
            with seeded(module.seed, "evaluate", index), torch.no_grad():
                total += float(module.loss(batch, EPOCHS * STEPS - 1)[0]) * len(batch[1])
        if total / 30 < self.best:
            self.best, self.kept = total / 30, weights(module)


def test_the_best_on_validation_is_kept_as_by_hand() -> None:
    """A learning rate so high that the last epoch is not the best for all, and that rounding grows: hence Eager."""
    kinds = [AnalyticELBO(r(), WarmUp(15, end=beta)) for beta in (1.0, 0.5, 2.0)]
    members = [vae(seed, objective, lr=2.0) for seed, objective in zip(SEEDS, kinds, strict=True)]
    ensemble = Ensemble(members, execution=Eager())
    train(ensemble, Stacked([whole(seed) for seed in SEEDS]))
    kept_late = []
    for number, seed in enumerate(SEEDS):
        by_hand, module = Weights(whole(seed)), vae(seed, kinds[number], lr=2.0)
        by_hand.data.setup()
        trainer(by_hand, max_epochs=EPOCHS).fit(module, whole(seed))
        assert ensemble.best_loss[number].item() == pytest.approx(by_hand.best, rel=1e-3)
        member = ensemble.member(number)
        torch.testing.assert_close(weights(member), by_hand.kept, rtol=1e-2, atol=1e-3)
        kept_late.append(
            torch.equal(
                weights(member)["model.decoder.network.output.bias"],
                weights(ensemble.stack.module, number)["model.decoder.network.output.bias"],
            )
        )
    assert not all(kept_late)
    assert ensemble.best_loss[ensemble.ranking[0]] == ensemble.best_loss.min()


RANKED: dict[str, Callable[[], list[Objective]]] = {
    "beta": lambda: [ELBO(r(4), beta) for beta in (0.01, 1.0, 20.0)],
    "warm-ups": lambda: [ELBO(r(4), WarmUp(5, end=end)) for end in (0.01, 1.0, 20.0)],
    "free nats": lambda: [FreeBits(r(4), nats) for nats in (3.0, 0.0, 50.0)],
}


@pytest.mark.parametrize("name", RANKED)
def test_members_under_different_weights_are_ranked_by_their_nelbo(name: str) -> None:
    """A small beta, or free nats, flatter a member's own loss; its NELBO by hand, of the same draws, does not."""
    ensemble = ensemble_of(RANKED[name](), lr=0.03)
    trainer(max_epochs=2).fit(ensemble, Stacked([whole(seed) for seed in SEEDS]))
    batches, nelbo = [next(iter(prepared(whole(seed)).val_dataloader())) for seed in SEEDS], []
    for number, (seed, batch) in enumerate(zip(SEEDS, batches, strict=True)):
        member = ensemble.member(number)
        elbo = AnalyticELBO(r(4)) if name == "free nats" else ELBO(r(4))
        with seeded(seed, "evaluate", 0), torch.no_grad():
            nelbo.append(-float(elbo(member.model, batch[0]).mean()))
    assert ensemble.common_loss.tolist() == pytest.approx(nelbo, rel=1e-4)
    assert ensemble.ranking == sorted(range(3), key=nelbo.__getitem__)
    assert ensemble.ranking != ensemble.best_loss.argsort().tolist()


def prepared(data: InMemoryDataModule) -> InMemoryDataModule:
    data.setup()
    return data


def test_a_ranking_by_what_cannot_be_compared_says_so() -> None:
    ensemble = ensemble_of([Penalised(weight) for weight in (0.1, 1.0, 0.0)])
    with pytest.warns(UserWarning, match=r"each member's own objective, and these differ in objective.weight: compare"):
        assert sorted(ensemble.ranking) == [0, 1, 2]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert ensemble_of(OBJECTIVES["warm-ups"]()).ranking == [0, 1, 2]


class Poison(pl.Callback):
    """At a step, one member's decoder divides by zero."""

    def __init__(self, member: int | slice, step: int) -> None:
        self.member, self.step = member, step

    @torch.no_grad()
    def on_train_batch_start(self, trainer: pl.Trainer, module: Any, *_: Any) -> None:
        if trainer.global_step == self.step:
            module.stack.module.model.decoder.network.output.bias[self.member] = 1e30


def test_a_member_that_fails_is_named_once_and_the_others_go_on_as_if_it_were_not_there() -> None:
    objectives = OBJECTIVES["AnalyticELBO"]
    data = Stacked([whole(seed) for seed in SEEDS])
    ensemble, undisturbed = ensemble_of(objectives()), ensemble_of(objectives())
    ensemble.names = ["one", "two", "three"]
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        trainer(Poison(1, 14), max_epochs=EPOCHS).fit(ensemble, data)
    told = [str(warning.message) for warning in told if "rests" in str(warning.message)]
    assert len(told) == 1
    assert told[0].startswith("member two rests from step 14 on: its loss is inf; it keeps its best weights")
    train(undisturbed, Stacked([whole(seed) for seed in SEEDS]))
    for number in (0, 2):
        expected = weights(undisturbed.stack.module, number)
        assert all(torch.equal(value, expected[name]) for name, value in weights(ensemble.stack.module, number).items())
    assert ensemble.resting.tolist() == [False, True, False]
    assert torch.equal(ensemble.best_loss[[0, 2]], undisturbed.best_loss[[0, 2]])
    at_rest = weights(ensemble.stack.module, 1)
    assert all(torch.equal(value, weights(ensemble.best, 1)[name]) for name, value in at_rest.items())


def test_gradients_that_overflow_by_their_scale_are_no_failure() -> None:
    """As at the first steps of 16-mixed, which torch leaves out before it takes a smaller scale."""
    scaler = torch.amp.GradScaler("cpu", init_scale=2.0**20)  # type: ignore[attr-defined]
    ensemble = Ensemble([vae(seed, ELBO(r())) for seed in SEEDS], execution=Eager())
    plugins = [MixedPrecision("16-mixed", "cpu", scaler)]
    train(ensemble, Stacked([whole(seed) for seed in SEEDS]), plugins=plugins)
    assert scaler.get_scale() < 2.0**20
    assert not ensemble.resting.any()


def test_a_run_without_members_left_stops() -> None:
    everybody = Poison(slice(None), 2)
    with pytest.raises(ValueError, match="no member is left at step 2"):
        trainer(everybody).fit(ensemble_of(OBJECTIVES["AnalyticELBO"]()), Stacked([whole(seed) for seed in SEEDS]))


@pytest.mark.parametrize(
    ("name", "data", "step"),
    [
        ("AnalyticELBO", whole, 14),
        ("AnalyticELBO", minibatches, 20),
        ("warm-ups", minibatches, 14),
        ("in turns", whole, 20),
    ],
)
def test_a_resumed_run_ends_with_the_same_bits(
    name: str, data: Callable[[int], InMemoryDataModule], step: int, tmp_path: Path
) -> None:
    """With a member that rests, in mid-epoch and at an epoch's end, under other global seeds."""
    path = tmp_path / "middle.ckpt"
    whole_run = ensemble_of(OBJECTIVES[name]())
    trainer(Poison(1, 12), Save(path, step), max_epochs=EPOCHS).fit(whole_run, Stacked([data(seed) for seed in SEEDS]))
    resumed = Ensemble([vae(seed + 50, objective) for seed, objective in zip(SEEDS, OBJECTIVES[name](), strict=True)])
    trainer(max_epochs=EPOCHS).fit(resumed, Stacked([data(seed) for seed in SEEDS]), ckpt_path=path, weights_only=True)
    expected = whole_run.state_dict()
    assert all(torch.equal(value, expected[key]) for key, value in resumed.state_dict().items())
    assert resumed.resting.tolist() == [False, True, False]


def test_a_member_is_an_ordinary_module(tmp_path: Path) -> None:
    ensemble, data = ensemble_of(OBJECTIVES["ELBO"]()), [whole(seed) for seed in SEEDS]
    run = train(ensemble, Stacked(data))
    member = ensemble.member(2)
    assert isinstance(member, GaussianVAE)
    assert member.objective.beta == 2.0
    assert member.sample(5).shape == (5, 2)
    assert "test/nelbo" in trainer().test(member, data[2], verbose=False)[0]
    before = weights(ensemble.best, 2)
    train(member, data[2])
    assert all(torch.equal(value, before[name]) for name, value in weights(ensemble.best, 2).items())
    logged = run.callback_metrics
    assert {"train/loss/mean", "train/loss/best", "train/loss/spread", "train/resting"} <= set(logged)
    each = torch.stack([logged[f"val/loss/{number}"] for number in range(3)])
    assert logged["val/loss/best"] == each.min()
    torch.testing.assert_close(logged["val/loss/spread"], each.std())
    tested = trainer().test(ensemble, Stacked(data), verbose=False)[0]
    assert {"test/loss/mean", "test/loss/0"} <= set(tested)


def cosine(**changes: Any) -> Any:
    return partial(EveryStep, scheduler=partial(CosineAnnealingLR, **changes))


one_cycle = partial(OneCycleLR, max_lr=0.05, total_steps=40)


def other_scale(seed: int) -> GaussianVAE:
    torch.manual_seed(seed)
    return GaussianVAE(2, Normal(2, 0.2), partial(MLP, hidden=(6,)))


BAD: dict[str, tuple[Callable[[], Any], str]] = {
    "no members": (Ensemble, "give `members`, or `member`"),
    "another width": (
        lambda: Ensemble([vae(0, ELBO(r())), vae(1, ELBO(r()), encoder=partial(MLP, hidden=(7,)))]),
        r"out_features is 6 in member 0 and 7 in member 1",
    ),
    "another count": (lambda: Ensemble([vae(0, IWAE(r(2))), vae(1, IWAE(r(3)))]), "num_samples is 2 in member 0"),
    "another class": (lambda: Ensemble([vae(0, ELBO(r())), vae(1, IWAE(r()))]), "'ELBO' in member 0 and 'IWAE'"),
    "another noise": (
        lambda: Ensemble([vae(0, ELBO(r()), encoder=MLP), other_scale(1)]),
        "float attributes of modules alone",
    ),
    "another prior": (
        lambda: Ensemble([vae(0, ELBO(r())), vae(1, ELBO(r()), prior=FactorisedPrior(Normal(2), learned=True))]),
        r"model.prior.theta is Tensor\(4,\) of float32 in 0 and Parameter\(4,\) of float32 in 1",
    ),
    "another optimizer": (
        lambda: Ensemble([vae(0, ELBO(r())), vae(1, ELBO(r()), optimizer=partial(torch.optim.SGD, lr=0.01))]),
        "the optimizer is 'Adam' in member 0 and 'SGD' in member 1",
    ),
    "another momentum": (
        lambda: Ensemble([vae(0, ELBO(r())), vae(1, ELBO(r()), optimizer=partial(torch.optim.Adam, betas=(0.5, 0.9)))]),
        r"betas is \(0.9, 0.999\) in member 0 and \(0.5, 0.9\) in member 1",
    ),
    "another decay": (
        lambda: Ensemble([vae(i, ELBO(r()), scheduler=partial(ExponentialLR, gamma=0.9 - 0.1 * i)) for i in (0, 1)]),
        "scheduler.gamma is 0.9 in member 0 and 0.8 in member 1",
    ),
    "other steps of a decay": (
        lambda: Ensemble([vae(i, ELBO(r()), scheduler=partial(MultiStepLR, milestones=[8 + i])) for i in (0, 1)]),
        "scheduler.milestones.8 is 1 in member 0 and None in member 1",
    ),
    "another decay at every step": (
        lambda: Ensemble([vae(i, ELBO(r()), scheduler=cosine(T_max=8 + i)) for i in (0, 1)]),
        "scheduler.T_max is 8 in member 0 and 9 in member 1",
    ),
    "a rate that falls to the same": (
        lambda: Ensemble(
            [vae(i, ELBO(r()), 0.01 + 0.01 * i, scheduler=cosine(T_max=8, eta_min=0.005)) for i in (0, 1)]
        ),
        "scheduler.eta_min / lr is 0.5 in member 0 and 0.25 in member 1",
    ),
    "rates that a scheduler sets": (
        lambda: Ensemble([vae(i, ELBO(r()), 0.01 + 0.01 * i, scheduler=one_cycle) for i in (0, 1)]),
        "scheduler.base_lrs.0 / lr is 0.2 in member 0 and 0.1 in member 1",
    ),
    "names": (lambda: Ensemble([vae(0, ELBO(r()))], names=["a", "b"]), "a name for each of 1 members, got 2"),
    "data": (
        lambda: train(ensemble_of(OBJECTIVES["IWAE"]()), Stacked([whole(0)])),
        "data are for 1 members, the ensemble has 3",
    ),
    "unstacked data": (
        lambda: train(ensemble_of(OBJECTIVES["IWAE"]()), whole(0)),
        r"\(M, B, \*X\), got shape \(40, 2\)",
    ),
    "turns of its own": (
        lambda: train(ensemble_of([Aggressive(ELBO(r())) for _ in SEEDS]), Stacked([whole(0)] * 3)),
        "Aggressive decides by the losses of one model",
    ),
    "unequal data": (
        lambda: Stacked([whole(0), minibatches(0)]).setup(),
        r"equally many observations, their train splits have \[40, 130\]",
    ),
}


@pytest.mark.parametrize("what", BAD)
def test_mistakes_are_one_clear_line(what: str) -> None:
    build, message = BAD[what]
    with pytest.raises(ValueError, match=message):
        build()


def test_a_module_is_no_builder_and_weighed_gradients_are_lost() -> None:
    with pytest.raises(TypeError, match=r"once for each seed, such as `lambda: GaussianVAE\(...\)`"):
        Ensemble(member=vae(0, ELBO(r())), seeds=2)
    with pytest.raises(TypeError, match="as in an Ensemble, hides: use IWAE there"):
        train(ensemble_of([DReG(r(2)) for _ in SEEDS]), Stacked([whole(seed) for seed in SEEDS]))


def test_members_are_models_of_this_package() -> None:
    """Another LightningModule has no seed, no loss of a step and no objective that a stack could ask for."""
    with pytest.raises(TypeError, match=r"must return a model, such as GaussianVAE\(...\); it returned BoringModel"):
        Ensemble(member=BoringModel, seeds=2)  # type: ignore[arg-type]


def test_models_without_an_objective_train_one_at_a_time() -> None:
    with pytest.raises(TypeError, match="trains its members by their objective, and RBM has none"):
        Ensemble(member=lambda: RBM(Normal(2, 1.0), Bernoulli(4)), seeds=2)


class OwnOptimizer(GaussianVAE):
    """An ensemble would train it by its argument."""

    def configure_optimizers(self) -> Any:
        return torch.optim.SGD(self.parameters(), lr=0.1)


def test_members_with_an_optimizer_of_their_own_making_train_one_at_a_time() -> None:
    with pytest.raises(TypeError, match="OwnOptimizer overrides configure_optimizers: train such models one at a time"):
        Ensemble(member=lambda: OwnOptimizer(2, Normal(2, 0.1)), seeds=2)


def test_an_optimizer_that_mixes_members_is_refused() -> None:
    ensemble = ensemble_of(OBJECTIVES["IWAE"](), optimizer=torch.optim.Adafactor)
    with pytest.raises(TypeError, match="Adafactor would mix the members' gradients"):
        train(ensemble, Stacked([whole(seed) for seed in SEEDS]))


def test_a_rate_that_follows_a_figure_is_refused() -> None:
    plateau = partial(ReduceLROnPlateau, patience=1)
    ensemble = ensemble_of(OBJECTIVES["IWAE"](), scheduler=plateau)
    with pytest.raises(TypeError, match="ReduceLROnPlateau would let the members' figures set one rate"):
        train(ensemble, Stacked([whole(seed) for seed in SEEDS]))


class Careless(EstimatedObjective):
    """Draws from torch's generator."""

    def forward(self, model: Any, x: Tensor) -> Tensor:
        return model.encoder(x).mean.sum(-1) * torch.rand(len(x))


def test_noise_from_elsewhere_is_refused() -> None:
    with pytest.raises(TypeError, match=r"let it draw from a vae_lightning\.randomness\.Noise"):
        train(ensemble_of([Careless(r()) for _ in SEEDS]), Stacked([whole(seed) for seed in SEEDS]))


@pytest.mark.parametrize("kind", [BitUse, GradientVariance, LogitsByLength, LogLikelihood, NearestWords])
def test_what_reads_one_model_is_for_its_members(kind: type[pl.Callback]) -> None:
    message = f"{kind.__name__} needs a model .*; Ensemble has none, its members do: .* by MemberCheckpoints"
    with pytest.raises(TypeError, match=message):
        trainer(kind()).fit(ensemble_of(OBJECTIVES["ELBO"]()), Stacked([whole(seed) for seed in SEEDS]))


class Asking(EstimatedObjective):
    """Asks for a number."""

    def forward(self, model: Any, x: Tensor) -> Tensor:
        loss = model.encoder(x).mean.sum(-1)
        return loss if loss.sum() > 0 else -loss


@pytest.mark.parametrize(
    ("objective", "encoder", "reason"),
    [(Asking, MLP, "data-dependent control flow"), (ELBO, partial(FlowEncoder, couplings=2, width=4), "aten::nonzero")],
    ids=["a question", "a flow"],
)
def test_a_part_that_cannot_be_batched_is_refused_in_one_line(objective: Any, encoder: Any, reason: str) -> None:
    build = lambda: GaussianVAE(2, Normal(2, 0.1), encoder, objective=objective(r()))  # noqa: E731
    with pytest.raises(TypeError, match=rf"as FlowEncoder does not \(.*{reason}.*\): train such models one at a time"):
        train(Ensemble(member=build, seeds=3), Stacked([whole(seed) for seed in SEEDS]))
