"""Every option of Lightning's Trainer: what this project promises of it, each by a look at its effect."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import lightning.pytorch as pl
import numpy as np
import pytest
import torch
from lightning.pytorch.callbacks import TQDMProgressBar
from support.command import command, figures
from support.models import events
from support.short_run import saved, tiny

from vae_lightning.training.defaults import own_callbacks

Look = Callable[[pl.Trainer, Path], bool]

SGD = ("--model.optimizer", "torch.optim.SGD", "--model.optimizer.lr", "1")

SEEN: list[pl.Trainer] = []
BATCHES: list[torch.Tensor] = []
LOADERS: list[object] = []
WEIGHTS: list[torch.Tensor] = []
DETERMINISTIC: list[bool] = []


class See(pl.Callback):
    """Keeps the trainer, and the training batches and loaders it was given."""

    def setup(self, trainer: pl.Trainer, pl_module: pl.LightningModule, stage: str) -> None:
        SEEN.append(trainer)

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        WEIGHTS.append(weights(pl_module))
        DETERMINISTIC.append(torch.are_deterministic_algorithms_enabled())

    def on_train_batch_start(self, trainer: Any, pl_module: pl.LightningModule, batch: Any, batch_idx: int) -> None:
        BATCHES.append(batch[0])
        if trainer.train_dataloader not in LOADERS:
            LOADERS.append(trainer.train_dataloader)


def weights(module: Any) -> torch.Tensor:
    return torch.cat([p.detach().flatten() for p in module.parameters()])


def last(run: Path) -> dict[str, Any]:
    return saved(run / "checkpoints/last.ckpt")


def steps(run: Path) -> int:
    return int(last(run)["global_step"])


def validated(run: Path) -> list[int]:
    return [event.step for event in events(run).Scalars("val/nelbo")]


def moved(trainer: pl.Trainer) -> torch.Tensor:
    """How far training brought the weights."""
    return weights(trainer.lightning_module) - WEIGHTS[0]


def same_batches(n: int) -> bool:
    return all(torch.equal(one, other) for one, other in zip(BATCHES[:n], BATCHES[n : 2 * n], strict=True))


def has(trainer: pl.Trainer, kind: type) -> bool:
    return any(isinstance(callback, kind) for callback in trainer.callbacks)


# those that leave one another alone, looked at in one run of two epochs of ten steps
TOGETHER: dict[str, tuple[list[str], Look]] = {
    "accelerator": (["cpu"], lambda t, _: t.strategy.root_device.type == "cpu"),
    "strategy": (["single_device"], lambda t, _: type(t.strategy).__name__ == "SingleDeviceStrategy"),
    "devices": (["1"], lambda t, _: t.num_devices == 1),
    "num_nodes": (["1"], lambda t, _: t.num_nodes == 1),
    "precision": (["64-true"], lambda t, _: weights(t.lightning_module).dtype == torch.float64),
    "min_epochs": (["2"], lambda t, run: t.min_epochs == 2 and steps(run) == 20),
    "limit_test_batches": (["0.5"], lambda t, _: t.limit_test_batches == 0.5),
    "limit_predict_batches": (["2"], lambda t, _: t.limit_predict_batches == 2),
    "num_sanity_val_steps": (["2"], lambda t, run: t.num_sanity_val_steps == 2 and validated(run) == [9, 19]),
    "enable_progress_bar": (["false"], lambda t, _: t.progress_bar_callback is None),
    "enable_model_summary": (["true"], lambda t, _: has(t, pl.callbacks.ModelSummary)),
    "deterministic": (["true"], lambda _, __: DETERMINISTIC == [True]),
    "benchmark": (["false"], lambda _, __: not torch.backends.cudnn.benchmark),
    "inference_mode": (["false"], lambda t, _: t.validate_loop.inference_mode is False),
    "use_distributed_sampler": (["true"], lambda _, __: not same_batches(10)),  # is for DataLoaders
    "profiler": (["simple"], lambda t, _: "run_training_batch" in t.profiler.summary()),
    "detect_anomaly": (["true"], lambda t, _: t._detect_anomaly),
    "plugins": (["lightning.pytorch.plugins.io.TorchCheckpointIO"],
                lambda t, _: type(t.strategy.checkpoint_io).__name__ == "TorchCheckpointIO"),
    "sync_batchnorm": (["true"], lambda _, run: steps(run) == 20),
}  # fmt: skip

ALONE: dict[str, tuple[list[str], Look]] = {
    "logger": (["lightning.pytorch.loggers.CSVLogger"], lambda _, run: (run / "metrics.csv").is_file()),
    "callbacks": (["lightning.pytorch.callbacks.TQDMProgressBar", "--trainer.enable_progress_bar", "true"],
                  lambda t, _: isinstance(t.progress_bar_callback, TQDMProgressBar)),
    "fast_dev_run": (["true"], lambda t, run: t.global_step == 1 and not run.exists()),
    "max_epochs": (["3"], lambda _, run: steps(run) == 30),
    "max_steps": (["7"], lambda t, _: t.global_step == 7),
    "min_steps": (["15", "--trainer.max_time", "00:00:00:00"], lambda t, _: t.global_step == 15),
    "max_time": (["00:00:00:00"], lambda t, _: t.global_step < 20),
    "limit_train_batches": (["3"], lambda _, run: steps(run) == 6),
    "limit_val_batches": (["0"], lambda _, run: "val/nelbo" not in figures(run)),
    "overfit_batches": (["3"], lambda t, _: t.global_step == 6 and same_batches(3)),
    "val_check_interval": (["0.5"], lambda _, run: validated(run) == [4, 9, 14, 19]),
    "check_val_every_n_epoch": (["2"], lambda _, run: validated(run) == [19]),
    "log_every_n_steps": (["0"], lambda _, run: "train/loss" not in figures(run)),
    "enable_checkpointing": (["false"], lambda _, run: "val/nelbo" in figures(run) and not list(run.rglob("*.ckpt"))),
    "accumulate_grad_batches": (["2"], lambda _, run: steps(run) == 10),
    "gradient_clip_val": (["0.0001", *SGD], lambda t, _: 0 < moved(t).norm() < 20 * 1.001e-4),
    "gradient_clip_algorithm": (["value", "--trainer.gradient_clip_val", "0.0001", *SGD],
                                lambda t, _: 0 < moved(t).abs().max() < 20 * 1.001e-4 < moved(t).norm()),
    "barebones": (["true"], lambda t, run: t.global_step == 20 and not run.exists() and not t.checkpoint_callbacks),
    "reload_dataloaders_every_n_epochs": (["1"], lambda _, __: len(LOADERS) == 2 and not same_batches(10)),
    "default_root_dir": (["other"], lambda _, run: Path("other/version_0/config.yaml").is_file() and not run.exists()),
    "enable_autolog_hparams": (["false"], lambda _, run: (run / "hparams.yaml").read_text().strip() == "{}"),
}  # fmt: skip

REFUSED: dict[str, tuple[list[str], str]] = {
    "model_registry": (["model"], "there is no model registry here"),
}


def test_each_option_of_the_trainer_has_a_promise() -> None:
    """A new option of another Lightning has none until somebody has looked at it."""
    assert {*inspect.signature(pl.Trainer.__init__).parameters} - {"self"} == {*TOGETHER, *ALONE, *REFUSED}


@pytest.fixture(autouse=True)
def here(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(torch.backends.cudnn, "benchmark", torch.backends.cudnn.benchmark)
    for seen in (SEEN, BATCHES, LOADERS, WEIGHTS, DETERMINISTIC):
        seen.clear()


@pytest.fixture(autouse=True)
def seen(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """`See` among the callbacks; what some options settle for the process is put back."""
    monkeypatch.setattr("vae_lightning.training.cli.own_callbacks", lambda *given: [*own_callbacks(*given), See()])
    yield
    torch.autograd.set_detect_anomaly(False)


def test_those_that_leave_one_another_alone_have_their_effects(tmp_path: Path) -> None:
    options = [part for name, (given, _) in TOGETHER.items() for part in (f"--trainer.{name}", *given)]
    command("fit", "--config", tiny(tmp_path), *options)
    assert [name for name, (_, look) in TOGETHER.items() if not look(SEEN[0], Path("runs/version_0"))] == []


@pytest.mark.parametrize("option", ALONE)
def test_it_has_its_effect(option: str, tmp_path: Path) -> None:
    given, look = ALONE[option]
    command("fit", "--config", tiny(tmp_path), f"--trainer.{option}", *given)
    assert look(SEEN[0], Path("runs/version_0"))


@pytest.mark.parametrize("option", REFUSED)
def test_it_is_refused_in_one_line(option: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    given, said = REFUSED[option]
    with pytest.raises(SystemExit):
        command("fit", "--config", tiny(tmp_path), f"--trainer.{option}", *given)
    assert said in capsys.readouterr().err.strip().splitlines()[-1]
    assert not Path("runs").exists()


def test_limits_of_other_subcommands_count(tmp_path: Path) -> None:
    """Two of six batches of 256 test images."""
    command("fit", "--config", tiny(tmp_path))
    command("predict", "--ckpt_path", "runs/version_0", "--trainer.limit_predict_batches", "2")
    assert len(np.load("runs/version_0/codes.npz")["codes"]) == 512


def test_batches_that_are_overfitted_are_the_same_after_a_resumed_run(tmp_path: Path) -> None:
    """The weights of a run in one piece, and of one that was stopped after its first epoch."""
    options = ("--config", tiny(tmp_path), "--trainer.overfit_batches", "3", "--trainer.default_root_dir")
    command("fit", *options, "whole", "--trainer.max_epochs", "3")
    command("fit", *options, "parts", "--trainer.max_epochs", "1")
    command("fit", "--ckpt_path", "parts/version_0", "--trainer.max_epochs", "3")
    whole, parts = (last(Path(name) / "version_0") for name in ("whole", "parts"))
    assert parts["global_step"] == 9
    assert all(torch.equal(value, parts["state_dict"][name]) for name, value in whole["state_dict"].items())


@pytest.mark.parametrize(
    ("option", "instead"),
    [
        ("--optimizer", "--model.optimizer"),
        ("--lr_scheduler", "--model.scheduler"),
        ("--weights_only", "as data alone"),
    ],
)
def test_options_of_lightnings_command_that_nothing_would_read_say_where_they_went(
    option: str, instead: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit):
        command("fit", "--config", tiny(tmp_path), option, "Adam")
    assert instead in capsys.readouterr().err
    (tmp_path / "earlier.yaml").write_text(f"{option[2:]}: null\n")  # as in config.yaml of earlier runs
    command(
        "fit", "--config", tmp_path / "tiny.yaml", "--config", tmp_path / "earlier.yaml", "--trainer.max_epochs", "1"
    )
