"""LiBI: who learns in which phase, what a repeat hands on, exact resume, and the likelihood that the ELBO gives up."""

from __future__ import annotations

import copy
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, ClassVar

import lightning.pytorch as pl
import pytest
import torch
from lightning.pytorch.callbacks import ModelCheckpoint
from support.command import ROOT, command, figures
from support.models import events, trainer
from torch import Tensor, nn

from vae_lightning.data import FullBatch, InMemoryDataModule, Observations, Stacked, Synthetic
from vae_lightning.data.mapped import Mapped, RowsFile
from vae_lightning.data.processes import GaussianMixture, LinearJTEx
from vae_lightning.estimators import Reparameterised
from vae_lightning.families import Normal
from vae_lightning.inference.importance import log_weights
from vae_lightning.metrics.functional import importance_weighted_bound
from vae_lightning.models import Ensemble, LiBI
from vae_lightning.models.ensemble.stack import Stack, named_tensors
from vae_lightning.nn import MLP, CholeskyLinear
from vae_lightning.objectives import (
    ELBO,
    IWAE,
    Adversarial,
    AnalyticELBO,
    CodeLikelihood,
    Covariance,
    HenzeZirkler,
    Inflated,
    Mean,
    Objective,
    WarmUp,
)
from vae_lightning.randomness import seeded

STEPS, REPEATS = 8, 3
NAMES = {"reconstruction", "henze_zirkler", "covariance", "mean", "nelbo"}
TRUTH = LinearJTEx()


def libi(**changes: Any) -> LiBI:
    """An untrained model of LinearJTEx, the same at every call."""
    torch.manual_seed(0)
    given = {"latent_dim": 2, "observed": Normal(2, 0.004**0.5), "decoder": CholeskyLinear, "steps": STEPS}
    return LiBI(**given | {"repeats": REPEATS} | changes)


def world(size: int = 60, steps: int = 5) -> FullBatch:
    """LinearJTEx, all of it in every batch; epochs do not end where phases do."""
    return FullBatch(Synthetic(TRUTH, (size, 100, 100), batch_size=size), steps)


def exact(model: LiBI) -> float:
    """E log p_theta(x) under the truth, in closed form."""
    mixing = model.model.decoder.network.mixing.detach().double()
    return float(LinearJTEx(mixing).expected_log_prob(TRUTH))


class Weights(pl.Callback):
    """Keeps the weights of each part, and the moments of the optimizer, after every step."""

    def __init__(self) -> None:
        self.after: dict[int, dict[str, list[Tensor]]] = {}
        self.optimizer_steps: dict[int, list[int]] = {}

    def on_train_batch_end(self, trainer: pl.Trainer, pl_module: LiBI, *_: Any) -> None:
        parts = {"theta": pl_module.model.decoder, "q": pl_module.model.encoder, "h": pl_module.codes}
        self.after[trainer.global_step] = {
            name: [p.detach().clone() for p in part.parameters()] for name, part in parts.items() if part is not None
        }
        state = trainer.optimizers[0].state.values()
        self.optimizer_steps[trainer.global_step] = sorted({int(s["step"]) for s in state})

    def moved(self, step: int) -> set[str]:
        before, after = self.after[step], self.after[step + 1]
        return {name for name in after if not all(map(torch.equal, before[name], after[name]))}


def fit(model: LiBI, *callbacks: pl.Callback, resume: Path | None = None, **changes: Any) -> pl.Trainer:
    settings = {"max_epochs": -1, "max_steps": model.phases.total} | changes
    run = trainer(*callbacks, enable_checkpointing=any(isinstance(c, ModelCheckpoint) for c in callbacks), **settings)
    run.fit(model, world(), ckpt_path=resume)
    return run


class TestPhases:
    def test_each_learns_in_its_own_phase(self) -> None:
        """Theta and h in the first half of a repeat, q in the second; the last step ends with the best of all."""
        weights = Weights()
        fit(libi(), weights)
        for step in range(1, STEPS * REPEATS - 1):
            of_generator = step % STEPS < STEPS // 2
            assert weights.moved(step) == ({"theta", "h"} if of_generator else {"q"}), step

    def test_the_optimizer_starts_anew_at_each_phase(self) -> None:
        weights = Weights()
        fit(libi(), weights)
        half = STEPS // 2
        assert weights.optimizer_steps == {step: [(step - 1) % half + 1] for step in range(1, STEPS * REPEATS + 1)}

    def test_the_phase_is_a_function_of_the_step(self) -> None:
        model, x = libi(), TRUTH.sample(50)
        assert [model.begins_phase(step) for step in range(9)] == [True, False, False, False] * 2 + [True]
        assert [step for step in range(40) if model.ends_repeat(step)] == [8, 16, 24]
        late = [model.phases.at(step) for step in (24, 100)]
        assert not any(phase.of_generator or phase.begins for phase in late)  # inference goes on
        for step, names in ((0, NAMES - {"nelbo"}), (4, {"nelbo"})):
            assert set(model.loss((x, x), step)[1]) == names

    def test_what_rests_has_no_gradient(self) -> None:
        model, x = libi(), TRUTH.sample(50)
        for step, trained in ((0, {"model.decoder", "codes"}), (5, {"model.encoder"}), (9, {"model.decoder", "codes"})):
            model.zero_grad()
            model.loss((x, x), step)[0].backward()
            names = [name for name, parameter in model.named_parameters() if parameter.grad is not None]
            assert {name.split(".network")[0] for name in names} == trained

    def test_the_losses_are_equations_44_and_46(self) -> None:
        model, x = libi(), TRUTH.sample(50)
        z = model.codes(x).mean
        reconstruction = -model.model.decoder(z).log_prob(x).mean()
        expected = reconstruction + HenzeZirkler()(z) + Covariance()(z) + Mean()(z)
        torch.testing.assert_close(model.loss((x, x), 0)[0], expected)
        torch.manual_seed(3)
        found, _ = model.loss((x, x), 4)
        torch.manual_seed(3)
        torch.testing.assert_close(found, -AnalyticELBO(Reparameterised())(model.model, x).mean())

    def test_a_schedule_inside_a_phase_counts_its_steps(self) -> None:
        model, x = libi(inference=AnalyticELBO(Reparameterised(), WarmUp(4))), TRUTH.sample(50)
        assert not any("nelbo" in model.loss((x, x), step)[1] for step in (4, 5, 6, 7, 12))
        with pytest.raises(ValueError, match=r"WarmUp\(steps=5, .* needs 5 steps but the run has only 4"):
            fit(libi(inference=AnalyticELBO(Reparameterised(), WarmUp(5))))


class Starts(pl.Callback):
    """The codes and q's means just before the first step of a repeat has changed them."""

    def __init__(self) -> None:
        self.seen: list[tuple[Tensor, Tensor]] = []

    def on_before_zero_grad(self, trainer: pl.Trainer, pl_module: LiBI, *_: Any) -> None:
        if trainer.global_step and trainer.global_step % STEPS == 0:
            x = trainer.datamodule.train.x
            self.seen.append((pl_module.codes(x).mean.detach(), pl_module.model.encoder(x).mean.detach()))


def test_h_starts_each_repeat_at_the_means_of_q() -> None:
    starts = Starts()
    fit(libi(), starts)
    assert len(starts.seen) == REPEATS - 1
    for codes, means in starts.seen:
        assert torch.equal(codes, means)


class Candidates(pl.Callback):
    """The validation bound, computed here, and theta, phi and h at the end of each repeat."""

    def __init__(self) -> None:
        self.bounds: list[float] = []
        self.weights: list[dict[str, Tensor]] = []

    def on_train_batch_end(self, trainer: pl.Trainer, pl_module: LiBI, *_: Any) -> None:
        if pl_module.ends_repeat(trainer.global_step):
            parts = []
            with seeded(pl_module.seed, "select"):
                for rows in trainer.datamodule.val.x.split(64):
                    parts.extend(log_weights(pl_module.model, rows, 500, Inflated(2.0)))
            values = torch.cat([importance_weighted_bound(part) for part in parts])
            self.bounds.append(float(values.mean()))
            parts = (("model", pl_module.model), ("codes", pl_module.codes))
            self.weights.append({f"{p}.{n}": w.clone() for p, part in parts for n, w in part.state_dict().items()})


def test_the_best_repeat_on_validation_is_returned(tmp_path: Path) -> None:
    """With a learning rate so high that repeats differ; the bounds come from the code of `LogLikelihood`."""
    candidates = Candidates()
    model = libi(optimizer=partial(torch.optim.Adam, lr=0.3), repeats=4)
    fit(model, candidates)
    best = max(range(4), key=candidates.bounds.__getitem__)
    assert len(candidates.bounds) == 4
    assert int(model.best.repeat) == best
    assert best < 3
    for name, weights in candidates.weights[best].items():
        assert torch.equal(model.state_dict()[name], weights), name


def normalised(shape: Any, outputs: int) -> nn.Module:
    return nn.Sequential(nn.Linear(*shape, 6), nn.BatchNorm1d(6), nn.Dropout(), nn.Linear(6, outputs))


def test_what_is_logged_changes_nothing_that_is_learnt() -> None:
    """Running statistics used to move twice in the steps that are logged, and dropout to draw once more."""
    found = []
    for every in (1, 50):
        model = libi(encoder=normalised, repeats=1)
        fit(model, log_every_n_steps=every)
        found.append(model.state_dict())
    assert [name for name, value in found[0].items() if not torch.equal(value, found[1][name])] == []
    x, state = TRUTH.sample(50), torch.get_rng_state()
    model.train().failures((x, x), 0)
    assert torch.equal(torch.get_rng_state(), state)


def test_a_repeat_is_judged_as_it_is_evaluated() -> None:
    """Batch normalisation takes the running statistics, which see nothing of the data that judge, or stay held."""
    model, data = libi(encoder=normalised), world()
    data.setup("fit")
    model.codes.network[1].eval()
    modes, before = [each.training for each in model.modules()], copy.deepcopy(model.state_dict())
    value = model.value_on(data.val)
    assert [each.training for each in model.modules()] == modes
    assert all(torch.equal(tensor, before[name]) for name, tensor in model.state_dict().items())
    assert value == model.eval().value_on(data.val)


def test_selection_can_be_any_objective() -> None:
    """One that likes theta to be small."""

    class Small(Objective):
        def forward(self, model: Any, x: Tensor) -> Tensor:
            return -model.decoder.network.mixing.square().sum().expand(len(x))

    candidates, model = Candidates(), libi(selection=Small(), optimizer=partial(torch.optim.Adam, lr=0.3))
    fit(model, candidates)
    sizes = [float(w["model.decoder.network.mixing"].square().sum()) for w in candidates.weights]
    assert int(model.best.repeat) == sizes.index(min(sizes))
    assert float(model.best.value) == pytest.approx(-min(sizes), rel=1e-5)


@dataclass(frozen=True)
class Bytes:
    """Bytes as float32 around 0."""

    limits: ClassVar[tuple[float, float]] = (-1.0, 1.0)

    def __call__(self, stored: Tensor, ids: Tensor, draw: int | None = None) -> Tensor:
        return stored.float().div_(127.5).sub_(1.0)


class InBlocks(Observations):
    """Notes how many rows are read at once."""

    asked: ClassVar[list[int]] = []

    def batch(self, rows: Tensor, draw: int | None = None) -> tuple[Tensor, Tensor]:
        self.asked.append(len(rows))
        return super().batch(rows, draw)


class Forget(pl.Callback):
    """Of what was read when training starts."""

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        InBlocks.asked.clear()


class OfBytes(InMemoryDataModule):
    """60 rows to train on and 150 for validation, mapped from a file of bytes, or all of them as floats in memory."""

    def __init__(self, file: RowsFile, mapped: bool) -> None:
        super().__init__(batch_size=60, eval_batch_size=50)
        self.file, self.mapped = file, mapped

    def load(self) -> tuple[Observations, Observations, Observations]:
        rows, ids = Mapped.whole(self.file), torch.arange(210)
        stored = Observations(rows, torch.zeros(210), ids, Bytes())
        train, val = stored.select(ids[:60]), stored.select(ids[60:])
        if self.mapped:
            return train, InBlocks(val.stored, val.y, val.ids, val.view), val
        return Observations.numbered(train.x, train.y), Observations.numbered(val.x, val.y), val


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> RowsFile:
    torch.manual_seed(1)
    path = tmp_path_factory.mktemp("bytes") / "rows"
    path.write_bytes((60 * TRUTH.sample(210) + 127.5).clamp(0, 255).byte().numpy().tobytes())
    return RowsFile(path, (210, 2))


def of_four() -> LiBI:
    return libi(optimizer=partial(torch.optim.Adam, lr=0.3), repeats=4)


@pytest.mark.parametrize("members", [1, 2], ids=["alone", "stacked"])
def test_a_mapped_split_is_judged_block_by_block_as_the_whole_is(members: int, file: RowsFile) -> None:
    """Bit for bit; 64 rows at a time, in every repeat of every member."""
    best = []
    for mapped in (True, False):
        data = OfBytes(file, mapped)
        alone = members == 1
        model = of_four() if alone else Ensemble([of_four() for _ in range(members)])
        run = trainer(Forget(), max_epochs=-1, max_steps=4 * STEPS, limit_val_batches=0)
        run.fit(model, data if alone else Stacked([data], times=members))
        assert set(InBlocks.asked) == ({64, 22} if mapped else set())
        best.append([model.best] if alone else [model.member(n).best for n in range(members)])
    for ours, whole in zip(*best, strict=True):
        assert torch.equal(ours.value, whole.value)
        assert int(ours.repeat) == int(whole.repeat) >= 0
        assert all(map(torch.equal, ours.state_dict().values(), whole.state_dict().values()))


class TestResume:
    @pytest.fixture(scope="class")
    def run(self, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Tensor]]:
        folder, model = tmp_path_factory.mktemp("libi"), libi()
        fit(model, ModelCheckpoint(folder, "{step}", save_top_k=-1, every_n_train_steps=1))
        return folder, model.state_dict()

    @pytest.mark.parametrize("step", [2, 4, 6, 8, 11, 16, 22])
    def test_bit_for_bit_from_any_step(self, run: tuple[Path, dict[str, Tensor]], step: int) -> None:
        """In the middle of either phase, where the generator's ends, and where a repeat does, not yet judged."""
        folder, expected = run
        torch.manual_seed(7)
        model = LiBI(2, Normal(2, 0.004**0.5), decoder=CholeskyLinear, steps=STEPS, repeats=REPEATS)
        weights = Weights()
        fit(model, weights, resume=folder / f"step={step}.ckpt")
        assert min(weights.after) == step + 1
        assert model.state_dict().keys() == expected.keys()
        assert [name for name, value in model.state_dict().items() if not torch.equal(value, expected[name])] == []

    def test_a_run_that_goes_on_after_its_repeats(self, tmp_path: Path) -> None:
        """From a checkpoint of the last repeat's last step, before the model became the best of them."""
        total = STEPS * REPEATS
        whole, resumed = libi(), libi()
        fit(whole, ModelCheckpoint(tmp_path, "end", every_n_train_steps=total), max_steps=total + 3)
        fit(resumed, resume=tmp_path / "end.ckpt", max_steps=total + 3)
        expected = whole.state_dict()
        assert [name for name, value in resumed.state_dict().items() if not torch.equal(value, expected[name])] == []


def test_training_logs_each_penalty_by_name(tmp_path: Path) -> None:
    model = libi()
    run = fit(model, folder=tmp_path, log_every_n_steps=1)
    written = events(Path(run.log_dir))
    logged = {name: {scalar.step for scalar in written.Scalars(f"train/{name}")} for name in NAMES}
    for name in NAMES - {"nelbo"}:
        assert logged[name] >= {step for step in range(24) if step % 8 < 4}  # the other phase shows the last one again
    assert min(logged["nelbo"]) == 4
    assert model.sample(7).shape == (7, 2)


class TestGeneratorsAndInference:
    def test_step_1_may_be_an_importance_weighted_bound(self) -> None:
        """Which trains q with theta."""
        weights, model = Weights(), libi(generator=IWAE(Reparameterised(5)))
        fit(model, weights)
        assert weights.moved(1) == {"theta", "q"}
        assert weights.moved(5) == {"q"}
        assert model.codes is None

    def test_step_1_may_be_adversarial(self) -> None:
        """One loss for both players, no likelihood at all."""
        model = libi(generator=Adversarial(partial(MLP, hidden=[8])), repeats=1)
        before = [p.clone() for p in model.parameters()]
        weights = Weights()
        fit(model, weights)
        assert weights.moved(1) == {"theta"}
        assert weights.moved(5) == {"q"}
        discriminator = model.objective.generator.discriminator
        assert all(map(torch.isfinite, map(torch.sum, discriminator.parameters())))
        assert len(before) > len(list(model.model.parameters()))  # the discriminator's are trained, too

    def test_step_2_may_be_any_bound(self) -> None:
        weights = Weights()
        fit(libi(inference=ELBO(Reparameterised(3))), weights)
        assert weights.moved(5) == {"q"}


def test_many_as_one_batched_model_are_each_alone() -> None:
    """Over two repeats, with the same phases, noise, h := q and choice, in float64; members differ in a weight."""
    repeats, seeds = 2, (3, 4)

    def member(seed: int) -> LiBI:
        torch.manual_seed(seed)
        penalties = [HenzeZirkler(float(seed)), Covariance(), Mean()]
        arguments = {"decoder": CholeskyLinear, "generator": CodeLikelihood(penalties)}
        model = LiBI(2, Normal(2, 0.1), steps=STEPS, repeats=repeats, **arguments).double()
        model.seed = seed
        return model

    x = torch.stack([TRUTH.sample(40, torch.Generator().manual_seed(seed)) for seed in seeds]).double()
    stack = Stack([member(seed) for seed in seeds])
    states = [run(stack.module, lambda step: stack((x, x), step)[0].sum(), lambda s: stack.noise.begin("t", s), x)]
    for number, seed in enumerate(seeds):
        alone = Stack([member(seed)])

        def loss(step: int, alone: Stack = alone, number: int = number) -> Tensor:
            return alone((x[number : number + 1],) * 2, step)[0].sum()

        one = x[number : number + 1]
        states.append(run(alone.module, loss, lambda s, alone=alone: alone.noise.begin("t", s), one))
    for name, together in states[0].items():
        for number in range(len(seeds)):
            torch.testing.assert_close(together[number], states[1 + number][name][0], msg=name)


def run(module: LiBI, loss: Any, begin: Any, x: Tensor) -> dict[str, Tensor]:
    """What the Trainer does, on a stacked module; the value of a repeat is minus the squared length of theta."""
    for step in range(module.phases.total):
        if module.begins_phase(step):
            module.begin_phase(step)
            optimizer = torch.optim.Adam(module.parameters(), lr=0.05)
        begin(step)
        optimizer.zero_grad()
        loss(step).backward()
        optimizer.step()
        if module.ends_repeat(step + 1):
            value = -module.model.decoder.network.mixing.square().sum((1, 2)).detach()
            module.keep_best(value.to(module.best.value), step + 1)
    return {name: tensor.detach().clone() for name, tensor in named_tensors(module)}


def test_its_likelihood_beats_what_the_elbo_gives_up() -> None:
    """LinearJTEx with 200 observations, 300 steps of either phase: E log p = -2.975, where the ELBO's own global
    optimum over theta has -3.133 and the truth -2.971 (2.978 +- 0.006 is what 200 observations allow)."""
    fast, generator = partial(torch.optim.Adam, lr=0.1), CodeLikelihood([HenzeZirkler(), Covariance(0.2), Mean(0.2)])
    model = libi(generator=generator, optimizer=fast, steps=600, repeats=1)
    run = trainer(max_epochs=2, limit_val_batches=0)
    run.fit(model, world(200, 300))
    assert -2.9707 > exact(model) > -3.0
    codes = model.codes(run.datamodule.train.x).mean.detach()
    assert HenzeZirkler().forward(codes) < 4  # exp of the 5% point of a Gaussian sample's HZ, 3.1
    torch.testing.assert_close(torch.cov(codes.T, correction=0), torch.eye(2), rtol=0, atol=0.05)


def test_double_precision() -> None:
    model = libi()
    fit(model, precision="64-true")
    assert model.model.decoder.network.mixing.dtype == model.best.value.dtype == torch.float64
    assert model.best.value.isfinite()


class TestWhatFailsIsNamed:
    def test_a_singular_sample_of_codes(self) -> None:
        """All codes on a line: HZ is 4 n there, without gradient; the covariance's penalty leads out of it."""
        model = libi(repeats=1)
        with torch.no_grad():
            weight = model.codes.network.output.weight
            weight[1] = weight[0]
            model.codes.network.output.bias.zero_()
        with pytest.warns(UserWarning, match=r"penalty henze_zirkler fails: the covariance .* HZ is 4 n = 240"):
            fit(model, log_every_n_steps=1)

    def test_a_penalty_that_is_not_finite(self) -> None:
        model = libi(repeats=1)
        with torch.no_grad():
            model.codes.network.output.bias[0] = float("inf")
        with pytest.raises(ValueError, match=r"penalty covariance: its value is nan.*; the penalty mean: its value"):
            fit(model, log_every_n_steps=1)

    def test_fewer_observations_than_dimensions(self) -> None:
        with pytest.raises(ValueError, match=r"HenzeZirkler needs more codes than they have dimensions.* got 2 of 2"):
            trainer(max_epochs=5).fit(libi(), world(2))


@pytest.mark.parametrize(
    ("bad", "message"),
    [
        ({"latent_dim": 0}, "latent_dim is the number of entries"),
        ({"repeats": 0}, "repeats is R, how often generator and inference are learnt, at least 1; got 0"),
        ({"steps": 7}, "split evenly between generator and inference: even, not 7"),
        ({"steps": 0}, "even, not 0"),
        ({"observed": Normal(3, 0.1)}, "CholeskyLinear maps d numbers to d"),
    ],
)
def test_bad_arguments(bad: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        libi(**bad)


def test_runs_that_cannot_be() -> None:
    with pytest.raises(ValueError, match=r"3 repeats of 8 steps are 24 but the run has only 23: .*max_steps to 24"):
        fit(libi(), max_steps=23)
    x = TRUTH.sample(20)
    batches = torch.utils.data.DataLoader([(row, 0) for row in x], batch_size=20)
    with pytest.raises(ValueError, match=r"chooses among its repeats by validation: .*val.x, .* or set repeats to 1"):
        trainer(max_epochs=24).fit(libi(), batches)
    alone = libi(repeats=1)
    trainer(max_epochs=8).fit(alone, batches)  # one repeat needs no choice
    assert int(alone.best.repeat) == -1


OF_ONE = sorted(path for path in (ROOT / "configs" / "libi").glob("*.yaml") if path.stem != "ensemble")


@pytest.mark.parametrize("config", OF_ONE, ids=lambda path: path.stem)
def test_configs_fit_save_load_and_test(config: Path, tmp_path: Path) -> None:
    """In a few steps."""
    few = ["--trainer.max_steps", "24", "--data.steps", "6", "--trainer.logger.save_dir", str(tmp_path)]
    few += ["--data.data.sizes", "[60, 50, 50]", "--trainer.log_every_n_steps", "2"]
    if "models.LiBI" in config.read_text():
        few += ["--model.steps", "8", "--model.repeats", "3"]
    objective = {
        "annealed": ["--model.objective.beta.steps", "12"],
        "lagging": ["--model.objective.steps", "24", "--model.objective.segments", "4"],
    }
    few += objective.get(config.stem, [])
    command("fit", "--config", config, *few)
    run = tmp_path / "version_0"
    checkpoint = run / "checkpoints" / "last.ckpt"
    command("test", "--config", config, *few, "--ckpt_path", checkpoint)
    assert {"test/log_likelihood", "test/smooth_knn"} <= figures(run).keys()
    assert torch.load(checkpoint, weights_only=True)["hyper_parameters"]["latent_dim"] == 2


def test_a_mixture_is_data_too() -> None:
    """Any data and decoder: plain networks on both sides."""
    model = libi(decoder=partial(MLP, hidden=[16]), encoder=partial(MLP, hidden=[16]), observed=Normal(2, 0.5))
    data = FullBatch(Synthetic(GaussianMixture(), (60, 30, 30), batch_size=60), 6)
    trainer(max_epochs=4).fit(model, data)
    assert model.best.repeat >= 0
