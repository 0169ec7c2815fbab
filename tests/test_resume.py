"""Exact resume: a run that was interrupted, at any moment, ends with the same bits as one that was not."""

from __future__ import annotations

import os
import signal
from pathlib import Path
from typing import Any

import pytest
import torch
from support.command import HASHING, ROOT, command, figures, forked, on_miniature
from support.models import events

from vae_lightning.callbacks import AtomicCheckpointIO

EPOCHS = ("--trainer.max_epochs", "3")  # of 7 steps each


def assert_equal(one: Any, other: Any, where: str = "") -> None:
    """The same nested structure, tensors bit for bit."""
    if isinstance(one, torch.Tensor):
        assert torch.equal(one, other), where
    elif isinstance(one, dict):
        assert one.keys() == other.keys(), where
        for key in one:
            assert_equal(one[key], other[key], f"{where}/{key}")
    elif isinstance(one, list | tuple):
        assert len(one) == len(other), where
        for number, pair in enumerate(zip(one, other, strict=True)):
            assert_equal(*pair, f"{where}/{number}")
    else:
        assert one == other, where


def last(run: Path) -> dict[str, Any]:
    return torch.load(run / "checkpoints" / "last.ckpt", weights_only=True)


@pytest.fixture(scope="module")
def uninterrupted(miniature: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    out = tmp_path_factory.mktemp("uninterrupted")
    command("fit", "--config", HASHING, *on_miniature(miniature, out), *EPOCHS)
    return last(out / "version_0")


def assert_same_end(resumed: dict[str, Any], uninterrupted: dict[str, Any]) -> None:
    assert resumed["global_step"] == uninterrupted["global_step"] == 21
    for part in ("state_dict", "optimizer_states", "seed", "epoch"):
        assert_equal(resumed[part], uninterrupted[part], part)


@pytest.mark.parametrize("every", [1, 2, 3])
def test_killed_in_mid_epoch(every: int, uninterrupted: dict[str, Any], miniature: Path, tmp_path: Path) -> None:
    options = ["fit", "--config", HASHING, *on_miniature(miniature, tmp_path), *EPOCHS]
    options += ["--last.every_n_steps", str(every)]
    killed = forked(
        *options, "--trainer.callbacks", '[{"class_path": "support.resume_probe.Kill", "init_args": {"step": 11}}]'
    )
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    assert last(tmp_path / "version_0")["global_step"] == 11 - 11 % every
    # another global seed and a fresh process: the run goes on under the seed it began with
    command(*options, "--ckpt_path", tmp_path / "version_0/checkpoints/last.ckpt", "--seed_everything", "7")
    assert_same_end(last(tmp_path / "version_0"), uninterrupted)


def test_killed_while_a_checkpoint_is_written(uninterrupted: dict[str, Any], miniature: Path, tmp_path: Path) -> None:
    """The last whole checkpoint is still there, loads, and is resumed from."""
    options = ["fit", "--config", HASHING, *on_miniature(miniature, tmp_path), *EPOCHS, "--last.every_n_steps", "1"]
    probe = '[{"class_path": "support.resume_probe.KillInSave", "init_args": {"step": 10}}]'
    assert forked(*options, "--trainer.callbacks", probe).returncode == -signal.SIGKILL
    (left,) = (tmp_path / "version_0/checkpoints").glob(".last.ckpt.*.part")
    os.utime(left, (0, 0))  # as if it had been there for longer than a writer takes to lock its file
    assert last(tmp_path / "version_0")["global_step"] == 10
    command(*options, "--ckpt_path", tmp_path / "version_0/checkpoints/last.ckpt")
    assert_same_end(last(tmp_path / "version_0"), uninterrupted)
    assert not left.exists()


@pytest.mark.parametrize("epochs", [1, 2])
def test_stopped_at_the_end_of_an_epoch(
    epochs: int, uninterrupted: dict[str, Any], miniature: Path, tmp_path: Path
) -> None:
    options = ["fit", "--config", HASHING, *on_miniature(miniature, tmp_path)]
    command(*options, "--trainer.max_epochs", str(epochs))
    command(*options, *EPOCHS, "--ckpt_path", tmp_path / "version_0/checkpoints/last.ckpt")
    assert_same_end(last(tmp_path / "version_0"), uninterrupted)


def test_a_resumed_run_keeps_its_config_and_its_pictures(miniature: Path, tmp_path: Path) -> None:
    options = ["fit", "--config", HASHING, *on_miniature(miniature, tmp_path)]
    callback = '[{"class_path": "vae_lightning.callbacks.NearestWords", "init_args": {"every_n_epochs": 1}}]'
    options += ["--trainer.callbacks", callback]
    run = tmp_path / "version_0"
    command(*options, "--trainer.max_epochs", "1")
    config = (run / "config.yaml").read_text()
    command(*options, *EPOCHS, "--ckpt_path", run / "checkpoints/last.ckpt")
    assert (run / "config.yaml").read_text() == config
    assert "ckpt_path: null" in config
    images = events(run).Images("val/nearest_words")
    assert [image.step for image in images] == [6, 13, 20]  # one an epoch, the first from before the interruption
    command("test", "--config", run / "config.yaml", "--ckpt_path", run / "checkpoints/best.ckpt")
    assert "test/nelbo" in figures(run)


def test_accumulated_gradients_resume_exactly(miniature: Path, tmp_path: Path) -> None:
    options = ["fit", "--config", HASHING, *EPOCHS, "--last.every_n_steps", "1"]
    options += ["--trainer.accumulate_grad_batches", "2"]
    command(*options, *on_miniature(miniature, tmp_path / "whole"), *EPOCHS)
    parts = [*options, *on_miniature(miniature, tmp_path / "parts"), *EPOCHS]
    forked(*parts, "--trainer.callbacks", '[{"class_path": "support.resume_probe.Kill", "init_args": {"step": 6}}]')
    command(*parts, "--ckpt_path", tmp_path / "parts/version_0/checkpoints/last.ckpt")
    whole, resumed = last(tmp_path / "whole/version_0"), last(tmp_path / "parts/version_0")
    assert_equal(resumed["state_dict"], whole["state_dict"])


def test_a_resumed_run_sees_the_same_documents_again(miniature: Path, tmp_path: Path) -> None:
    """Without the loader's state the weights would differ: this test would fail if the state were ignored."""
    options = ["fit", "--config", HASHING, *on_miniature(miniature, tmp_path), "--last.every_n_steps", "3"]
    command(*options, "--trainer.max_steps", "10", "--trainer.max_epochs", "-1")
    state = last(tmp_path / "version_0")
    loader = state["loops"]["fit_loop"]["state_dict"]["combined_loader"][0]
    assert loader["epoch"] == 1
    assert loader["batches"] == 3  # 10 steps = one epoch of 7 and 3 more


def test_nothing_half_written_takes_a_checkpoints_place(tmp_path: Path) -> None:
    target, io = tmp_path / "last.ckpt", AtomicCheckpointIO()
    io.save_checkpoint({"epoch": 1}, target)
    with pytest.raises(AttributeError):
        io.save_checkpoint({"epoch": lambda: None}, target)  # fails while it is being written
    assert torch.load(target, weights_only=True) == {"epoch": 1}
    assert [path.name for path in tmp_path.iterdir()] == ["last.ckpt"]


class TestDigits:
    """What depends on time beside the weights: pixels drawn anew every epoch, a schedule, alternation, diagnostics."""

    @staticmethod
    def options(out: Path) -> list[str]:
        return [
            *("fit", "--config", str(ROOT / "configs" / "digits" / "vamp.yaml"), "--trainer.max_epochs", "3"),
            *("--model.encoder.hidden", "[16]", "--model.decoder.hidden", "[16]", "--model.prior.num_components", "7"),
            *(
                "--model.objective.beta.class_path",
                "vae_lightning.objectives.WarmUp",
                "--model.objective.beta.steps",
                "9",
            ),
            *("--data.val_size", "100", "--data.test_size", "1500", "--data.batch_size", "20"),  # 10 steps an epoch
            *("--trainer.accelerator", "cpu", "--trainer.check_val_every_n_epoch", "1", "--last.every_n_steps", "1"),
            *("--trainer.log_every_n_steps", "1", "--trainer.logger.save_dir", str(out)),
        ]

    @pytest.mark.parametrize("killed_at", [4, 16])
    def test_killed_in_mid_epoch(self, killed_at: int, tmp_path: Path) -> None:
        """Within the warm-up and after it: the same weights, figures and schedule as without an interruption."""
        whole, parts = self.options(tmp_path / "whole"), self.options(tmp_path / "parts")
        command(*whole)
        probe = f'{{"class_path": "support.resume_probe.Kill", "init_args": {{"step": {killed_at}}}}}'
        killed = forked(*parts, "--trainer.callbacks+", probe)
        assert killed.returncode == -signal.SIGKILL, killed.stderr
        command(*parts, "--ckpt_path", tmp_path / "parts/version_0/checkpoints/last.ckpt")
        ends = [last(tmp_path / name / "version_0") for name in ("whole", "parts")]
        assert ends[0]["global_step"] == 30
        for part in ("state_dict", "optimizer_states", "seed", "epoch"):
            assert_equal(ends[0][part], ends[1][part], part)
        scalars = [events(tmp_path / name / "version_0") for name in ("whole", "parts")]
        for name in ("train/loss", "train/nelbo", "val/nelbo"):
            one, other = ({event.step: event.value for event in run.Scalars(name)} for run in scalars)
            assert other == one, name
        # the warm-up weighs the KL less, so that its loss is no NELBO until it has arrived at one
        assert min(event.step for event in scalars[1].Scalars("train/nelbo")) == 9


class TestChains:
    """An RBM's persistent chains on two processes, each of which has its own, with momentum that rises."""

    @staticmethod
    def options(out: Path) -> list[str]:
        watchers = (
            '[{"class_path": "vae_lightning.callbacks.AnnealedLikelihood",'
            ' "init_args": {"steps": 20, "fit_steps": 20, "chains": 60}},'
            ' {"class_path": "vae_lightning.callbacks.Momentum", "init_args": {"schedule":'
            ' {"class_path": "vae_lightning.objectives.WarmUp", "init_args": {"steps": 9, "start": 0.5, "end": 0.9}}}}]'
        )
        return [
            *("fit", "--config", str(ROOT / "configs" / "rbm" / "digits.yaml")),
            *("--trainer.max_epochs", "2", "--trainer.check_val_every_n_epoch", "1", "--trainer.callbacks", watchers),
            *("--model.algorithm.chains", "33", "--last.every_n_steps", "1", "--trainer.logger.save_dir", str(out)),
        ]

    def test_killed_in_mid_epoch(self, tmp_path: Path) -> None:
        """The same weights and chains; and one process finds the figures of two."""
        two = ["--config", str(ROOT / "configs" / "trainer" / "ddp.yaml")]  # 7 steps an epoch
        whole, parts = self.options(tmp_path / "whole"), self.options(tmp_path / "parts")
        done = forked(*whole, *two, processes=2)
        assert done.returncode == 0, done.stderr
        probe = '{"class_path": "support.resume_probe.Kill", "init_args": {"step": 10}}'
        killed = forked(*parts, *two, "--trainer.callbacks+", probe, processes=2)
        assert killed.returncode == -signal.SIGKILL, killed.stderr
        done = forked(*parts, *two, "--ckpt_path", tmp_path / "parts/version_0/checkpoints/last.ckpt", processes=2)
        assert done.returncode == 0, done.stderr
        ends = [last(tmp_path / name / "version_0") for name in ("whole", "parts")]
        assert ends[0]["global_step"] == 14
        assert ends[0]["state_dict"]["algorithm.hidden"].shape == (33, 64)
        for part in ("state_dict", "optimizer_states", "seed", "epoch"):
            assert_equal(ends[0][part], ends[1][part], part)
        of_two = figures(tmp_path / "whole" / "version_0")
        (tmp_path / "whole" / "version_0" / "metrics.json").unlink()
        alone = ["validate", *whole[1:], "--trainer.accelerator", "cpu", "--trainer.devices", "1"]
        command(*alone, "--ckpt_path", tmp_path / "whole/version_0/checkpoints/last.ckpt")
        of_one = figures(tmp_path / "whole" / "version_0")
        for name in ("log_likelihood", "log_likelihood_error", "log_partition", "reconstruction", "free_energy_gap"):
            assert of_one[f"val/{name}"] == pytest.approx(of_two[f"val/{name}"], rel=1e-5, abs=1e-5), name
