"""Adversarial models: a world that is known, LiBI by an adversary, averages of weights, exact resume, processes."""

from __future__ import annotations

import json
import signal
import warnings
from functools import partial
from pathlib import Path
from typing import Any

import lightning.pytorch as pl
import pytest
import torch
from support.command import ROOT, command, figures, forked
from support.interrupted import Probe, end, go_on
from support.interrupted import forked as run_in
from support.killed import KILLS, always_ends_alike
from support.models import Save, events, trainer
from test_resume import assert_equal
from torch import Tensor, nn

import vae_lightning as vl
from vae_lightning.callbacks import BestCheckpoint, CollapseWatch, ExponentialMovingAverage
from vae_lightning.data import Synthetic
from vae_lightning.data.processes import LinearGaussian
from vae_lightning.families import Normal
from vae_lightning.models import Ensemble, GaussianVAE, LiBI
from vae_lightning.nn import MLP
from vae_lightning.objectives import R1, Adversarial, DiscriminatorPenalty, ForwardKL, GradientPenalty

RING = ROOT / "configs" / "gan" / "ring.yaml"
TINY = ["--model.encoder.hidden", "[8]", "--model.decoder.hidden", "[8]", "--data.batch_size", "16"]
TINY += ["--model.generator.discriminator.hidden", "[8]", "--data.sizes", "[128, 50, 50]", "--model.steps", "12"]
TINY += ["--trainer.max_epochs", "2", "--trainer.check_val_every_n_epoch", "1", "--trainer.log_every_n_steps", "1"]
WATCHERS = [
    {"class_path": "vae_lightning.callbacks.ExponentialMovingAverage", "init_args": {"decay": 0.5}},
    {"class_path": "vae_lightning.callbacks.SmoothKNN", "init_args": {"every_n_epochs": 1}},
]
NOISE = 0.3
WEIGHT = torch.tensor([[1.0, 0.0], [0.5, 0.8]], dtype=torch.float64)
TRUTH = LinearGaussian(WEIGHT, torch.full((2,), NOISE**2, dtype=torch.float64))


def options(out: Path, *more: dict[str, Any]) -> list[str | Path]:
    """The shipped ring, in sixteen steps of tiny networks; six of the game, six of inference, and four more."""
    watchers = ["--trainer.callbacks", json.dumps([*WATCHERS, *more])]
    return ["fit", "--config", RING, *TINY, *watchers, "--trainer.logger.save_dir", out, "--last.every_n_steps", "1"]


def last(run: Path) -> dict[str, Any]:
    return torch.load(run / "checkpoints" / "last.ckpt", weights_only=True)


def test_libi_by_an_adversary_finds_a_known_world() -> None:
    """The data's mean and covariance, then the generator's own posterior.

    Of 2,560 rows mean and covariance have standard errors of 0.02 and 0.03. Over five seeds they were at most 0.03 off,
    the posterior's mean 0.04 and its variances 0.03, which the encoder's family has exactly; twice that is allowed.
    """
    torch.manual_seed(0)
    adversary = Adversarial(partial(MLP, hidden=[32]), penalty=R1(0.1))
    adam = partial(torch.optim.Adam, lr=5e-3, betas=(0.5, 0.9))
    model = LiBI(2, Normal(2, NOISE), generator=adversary, inference=ForwardKL(), steps=1_200, optimizer=adam)
    with torch.no_grad():
        model.model.decoder.network.output.bias.fill_(1.0)  # the mean is to be found, too
    run = trainer(ExponentialMovingAverage(0.99), max_epochs=-1, max_steps=1_200)
    run.fit(model, Synthetic(TRUTH, (2_560, 100, 100)))
    weight, bias = (p.detach().double() for p in model.model.decoder.network.output.parameters())
    found = weight @ weight.T + NOISE**2 * torch.eye(2)
    torch.testing.assert_close(bias, torch.zeros(2, dtype=torch.float64), atol=0.06, rtol=0)
    torch.testing.assert_close(found, TRUTH.covariance, atol=0.1, rtol=0)
    precision = torch.eye(2) + weight.T @ weight / NOISE**2
    x = TRUTH.sample(200, torch.Generator().manual_seed(3)).double()
    q = model.model.encoder(x.float())
    mean = torch.linalg.solve(precision, weight.T @ (x - bias).T / NOISE**2).T
    assert float((q.mean - mean).square().mean().sqrt()) < 0.08
    torch.testing.assert_close(q.variance.mean(0).double(), precision.inverse().diag(), atol=0.05, rtol=0)


class Tracked(pl.Callback):
    """The average of a decoder's bias, computed here, beside the bias and what validation sees of it."""

    def __init__(self, decay: float) -> None:
        self.decay, self.average, self.seen = decay, None, []

    def bias(self, module: Any) -> Tensor:
        return module.model.decoder.network.output.bias.detach().clone()

    def on_train_batch_end(self, trainer: pl.Trainer, pl_module: Any, *_: Any) -> None:
        now = self.bias(pl_module)
        self.average = now if self.average is None else self.decay * self.average + (1 - self.decay) * now
        self.now = now

    def on_validation_batch_end(self, trainer: pl.Trainer, pl_module: Any, *_: Any) -> None:
        self.seen.append((self.bias(pl_module), self.average))

    def on_validation_epoch_end(self, trainer: pl.Trainer, pl_module: Any) -> None:
        self.seen.append((self.bias(pl_module), self.average))

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: Any) -> None:
        self.seen.append((self.bias(pl_module), self.now))


def gan() -> GaussianVAE:
    torch.manual_seed(0)
    return GaussianVAE(2, Normal(2, NOISE), objective=Adversarial(partial(MLP, hidden=[8])))


def test_the_average_is_validated_and_kept(tmp_path: Path) -> None:
    tracked, model = Tracked(0.5), gan()
    save = Save(tmp_path / "mid.ckpt", 3)
    run = trainer(ExponentialMovingAverage(0.5), save, tracked, max_epochs=2)
    run.fit(model, Synthetic(TRUTH, (80, 20, 20), batch_size=16))
    for shown, expected in [*tracked.seen, (tracked.bias(model), tracked.average)]:
        torch.testing.assert_close(shown, expected)
    saved = torch.load(tmp_path / "mid.ckpt", weights_only=True)
    names = "model.decoder.network.output.bias", "objective.discriminator.output.weight"
    assert all(not torch.equal(saved["state_dict"][name], saved["current_model_state"][name]) for name in names)
    loaded = vl.load(tmp_path / "mid.ckpt")
    assert torch.equal(loaded.model.decoder.network.output.bias, saved["state_dict"][names[0]])
    assert isinstance(loaded.objective, Adversarial)
    with pytest.raises(ValueError, match="needs 0 <= decay < 1, got 1"):
        ExponentialMovingAverage(1.0)
    ensemble = Ensemble([GaussianVAE(2, Normal(2, 0.1)), GaussianVAE(2, Normal(2, 0.1))])
    with pytest.raises(TypeError, match="would average the best weights that an Ensemble keeps of its members"):
        ExponentialMovingAverage(0.9).setup(trainer(), ensemble, "fit")


class Normalised(nn.Sequential):
    """A decoder's network with BatchNorm, of codes (*B, 2)."""

    def __init__(self, context_shape: Any, num_outputs: int) -> None:
        super().__init__(nn.Linear(2, 4), nn.BatchNorm1d(4), nn.Linear(4, num_outputs))

    def forward(self, c: Tensor) -> Tensor:
        return super().forward(c.flatten(0, -2)).unflatten(0, c.shape[:-1])


class RunningMeans(Tracked):
    """The same of a running mean."""

    def bias(self, module: Any) -> Tensor:
        return module.model.decoder.network[1].running_mean.clone()


def test_running_statistics_are_averaged_with_the_weights() -> None:
    torch.manual_seed(0)
    tracked, model = RunningMeans(0.5), GaussianVAE(2, Normal(2, NOISE), decoder=Normalised)
    run = trainer(ExponentialMovingAverage(0.5), tracked, max_epochs=2)
    run.fit(model, Synthetic(TRUTH, (80, 20, 20), batch_size=16))
    assert not torch.equal(tracked.now, tracked.average)
    for shown, expected in [*tracked.seen, (tracked.bias(model), tracked.average)]:
        torch.testing.assert_close(shown, expected)


def test_a_phase_ends_with_its_average() -> None:
    """The generator rests in the second half as the average of the first half, from which the encoder learns."""
    torch.manual_seed(0)
    adversary = Adversarial(partial(MLP, hidden=[8]))
    model = LiBI(2, Normal(2, NOISE), generator=adversary, inference=ForwardKL(), steps=8)
    tracked, after = Tracked(0.9), []

    class After(Tracked):
        def on_train_batch_start(self, trainer: pl.Trainer, pl_module: Any, *_: Any) -> None:
            after.append(self.bias(pl_module))

    run = trainer(tracked, ExponentialMovingAverage(0.9), After(0.9), max_steps=8, max_epochs=-1)
    averages = []
    tracked.on_train_batch_end = lambda trainer, module, *_: (  # type: ignore[method-assign]
        Tracked.on_train_batch_end(tracked, trainer, module),
        averages.append(tracked.average),
    )
    run.fit(model, Synthetic(TRUTH, (128, 20, 20), batch_size=16))
    assert not torch.equal(after[4], after[3])
    for rested in (*after[4:], tracked.bias(model)):
        torch.testing.assert_close(rested, averages[3])


@pytest.fixture(scope="module")
def uninterrupted(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("ring")
    command(*options(out))
    return out / "version_0"


def test_the_shipped_config_logs_the_game_and_monitors_samples(uninterrupted: Path) -> None:
    scalars = events(uninterrupted).Tags()["scalars"]
    names = {"discriminator", "generator", "real", "fake", "penalty", "loss"}
    assert {f"train/{name}" for name in names} | {"val/smooth_knn"} <= set(scalars)
    monitors = [v["monitor"] for k, v in last(uninterrupted)["callbacks"].items() if k.startswith("ModelCheckpoint")]
    assert monitors == ["val/smooth_knn"]
    model = vl.load(uninterrupted)
    assert isinstance(model.objective.generator, Adversarial)
    assert model.sample(3).shape == (3, 2)
    keys = {name for name in model.state_dict() if "discriminator" in name}
    parts = ("hidden.0.weight", "hidden.0.bias", "output.weight", "output.bias")
    assert keys == {f"objective.generator.discriminator.{part}" for part in parts}
    command("test", "--config", uninterrupted / "config.yaml", "--ckpt_path", uninterrupted / "checkpoints/best.ckpt")
    assert "test/smooth_knn" in figures(uninterrupted)


def test_the_ring_becomes_wgan_gp_as_its_comment_says(tmp_path: Path) -> None:
    """With the paper's weight of the penalty, which is not R1's in the file."""
    comment = RING.read_text().partition("# WGAN-GP:")[2].partition("\nseed_everything")[0]
    command(*options(tmp_path), *comment.replace("\n#", " ").split())
    game = vl.load(tmp_path / "version_0").objective.generator
    assert (type(game.losses), game.discriminator_steps) == (vl.Wasserstein, 5)
    assert repr(game.penalty) == "GradientPenalty(weight=10.0)"


@pytest.mark.parametrize("step", [3, 6, 9])
def test_killed_and_resumed_bit_for_bit(step: int, uninterrupted: Path, tmp_path: Path) -> None:
    """In the middle of the game, where it ends with its average, and in inference; all in mid-epoch."""
    kill = {"class_path": "support.resume_probe.Kill", "init_args": {"step": step}}
    assert forked(*options(tmp_path, kill)).returncode == -signal.SIGKILL
    run = tmp_path / "version_0"
    assert last(run)["global_step"] == step
    command(*options(tmp_path), "--ckpt_path", run / "checkpoints/last.ckpt", "--seed_everything", "7")
    ends = [last(run), last(uninterrupted)]
    assert ends[0]["global_step"] == ends[1]["global_step"] == 16
    for part in ("state_dict", "current_model_state", "averaging_state", "optimizer_states"):
        assert_equal(ends[0][part], ends[1][part], part)


def test_killed_at_random_moments_it_ends_with_the_same_bits(tmp_path: Path) -> None:
    """All that a run leaves: checkpoints, figures, each point for TensorBoard; twenty times in `make soak`."""
    longer = ["--trainer.max_epochs", "5", "--model.steps", "30"]
    arguments, folder = [str(each) for each in (*options(Path("runs")), *longer)], tmp_path / "parts"

    def run(patience: float | None) -> int:
        folder.mkdir(exist_ok=True)
        (status,) = run_in(folder, [*arguments, *go_on(folder)], Probe(), patience=patience)
        return status

    wholes = always_ends_alike(run, folder, end)
    print(f"{KILLS} kills at random moments: {wholes} whole trainings, all with the same bits")


def test_two_processes_share_both_players_gradients(tmp_path: Path) -> None:
    """They see other rows and other noise, and end with the same weights."""
    notes = {"class_path": "support.process_probe.Notes", "init_args": {"folder": str(tmp_path)}}
    two = ["--config", ROOT / "configs/trainer/ddp.yaml", "--trainer.strategy.find_unused_parameters", "true"]
    two += ["--data.eval_batch_size", "25", "--model.steps", "8"]
    done = forked(*options(tmp_path, notes), *two, processes=2)
    assert done.returncode == 0, done.stderr
    one, other = (json.loads((tmp_path / f"rank{rank}.json").read_text()) for rank in (0, 1))
    assert one == other
    assert one["steps"] == 8


def test_the_digits_config_fits_loads_and_is_judged_by_its_samples(tmp_path: Path) -> None:
    """Pictures: convolutions under spectral norm, the hinge, means as fakes; in mixed precision."""
    options = ["--config", ROOT / "configs/gan/digits.yaml", "--trainer.logger.save_dir", tmp_path]
    options += ["--trainer.max_epochs", "1", "--trainer.check_val_every_n_epoch", "1", "--data.test_size", "1500"]
    options += ["--trainer.precision", "bf16-mixed", "--trainer.accelerator", "cpu", "--trainer.log_every_n_steps", "1"]
    command("fit", *options)
    logged = figures(tmp_path / "version_0")
    assert {"val/kernel_distance", "train/discriminator", "train/generator"} <= logged.keys()
    model = vl.load(tmp_path / "version_0")
    assert model.sample(3, mean=True).shape == (3, 1, 8, 8)
    assert model.configure_optimizers().param_groups[1]["lr"] == 0.001


def test_the_best_is_not_chosen_by_an_encoder_that_rests(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="val/nelbo is of the encoder, which Adversarial does not train: set it to"):
        trainer(BestCheckpoint(tmp_path, monitor="val/nelbo")).fit(gan(), Synthetic(TRUTH, (80, 20, 20)))


@pytest.mark.parametrize("penalty", [R1(), GradientPenalty()])
def test_a_penalty_in_mixed_precision(penalty: DiscriminatorPenalty) -> None:
    """Single precision where it counts: logits, losses and slopes, whose gradient reaches the weights."""
    torch.manual_seed(0)
    model = GaussianVAE(2, Normal(2, NOISE), objective=Adversarial(partial(MLP, hidden=[8]), penalty=penalty))
    with torch.autocast("cpu", torch.bfloat16):
        loss, figures = model.loss((TRUTH.sample(20), None), 0)
    assert loss.dtype == figures["penalty"].dtype == torch.float32
    loss.backward()
    assert all(p.grad.isfinite().all() for p in model.objective.parameters())


def test_mode_collapse_is_named_by_the_samples(tmp_path: Path) -> None:
    """Of a decoder that says the same at every z; with the truth's weights there is none."""
    data, spreads = Synthetic(TRUTH, (80, 400, 20), eval_batch_size=100), []
    for scale, told in ((0.0, True), (1.0, False)):
        model = gan()
        with torch.no_grad():
            model.model.decoder.network.output.weight.copy_(scale * WEIGHT)
        run = trainer(CollapseWatch())
        with warnings.catch_warnings(record=True) as warned:
            warnings.simplefilter("always")
            run.validate(model, data, verbose=False)
        spreads.append(float(run.callback_metrics["val/sample_spread"]))
        assert float(run.callback_metrics["val/collapsed"]) == told
        lines = [str(each.message) for each in warned if "mode collapse" in str(each.message)]
        assert len(lines) == told, lines
        assert not told or "mode collapse (below 0.25): the samples have 0.000 of the data's variance; try" in lines[0]
    explained = WEIGHT.square().sum() / TRUTH.covariance.trace()  # without the noise of p(x | z)
    assert spreads == [0, pytest.approx(float(explained), abs=0.2)]
