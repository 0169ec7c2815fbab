"""What is interrupted: small runs of each kind of model, under options that change when the Trainer does what."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from running import HASHING, ROOT

_QUIET = ("--trainer.accelerator", "cpu", "--trainer.enable_progress_bar", "false")
_QUIET += ("--trainer.enable_model_summary", "false", "--trainer.log_every_n_steps", "2", "--trainer.max_epochs", "3")
_MLP = "{class_path: vae_lightning.nn.MLP, init_args: {hidden: [8]}}"
_PICTURES = "[{class_path: vae_lightning.callbacks.%s, init_args: {n: 4, every_n_epochs: 1}}%s]"
_POINTS = "{class_path: vae_lightning.families.Normal, init_args: {event_shape: 2, scale: 0.06}}"
_LIBI = f"""{{class_path: vae_lightning.models.LiBI, init_args: {{latent_dim: 2, observed: {_POINTS},
  encoder: {_MLP}, decoder: {_MLP}, steps: 4, repeats: 3, generator: {{class_path:
  vae_lightning.objectives.CodeLikelihood, init_args:
  {{penalties: [{{class_path: vae_lightning.objectives.Mean}}]}}}}}}}}"""
_CUBIC = """{class_path: vae_lightning.data.FullBatch, init_args: {steps: 5, data: {class_path:
  vae_lightning.data.Synthetic, init_args: {process: {class_path: vae_lightning.data.processes.LinearJTEx},
  sizes: [50, 50, 50]}}}}"""
_WATCH = ", {class_path: vae_lightning.callbacks.CollapseWatch, init_args: {every_n_epochs: 1, nats: 0.02}}"
_MOMENTUM = """, {class_path: vae_lightning.callbacks.Momentum, init_args: {schedule: {class_path:
  vae_lightning.objectives.WarmUp, init_args: {steps: 9, start: 0.5, end: 0.9}}}}"""
_PLATEAU = "{class_path: lightning.pytorch.cli.ReduceLROnPlateau, init_args: {monitor: val/nelbo, patience: 0}}"
_DIGITS = ("--data", "vae_lightning.data.Digits", "--data.val_size", "61", "--data.test_size", "1636")


def _vae() -> tuple[str, ...]:
    """5 steps an epoch, of which one has a plateau of its learning rate in sight."""
    observed = "{class_path: vae_lightning.families.Bernoulli, init_args: {event_shape: [1, 8, 8]}}"
    model = f"{{latent_dim: 2, observed: {observed}, encoder: {_MLP}, decoder: {_MLP}, scheduler: {_PLATEAU}}}"
    model = f"{{class_path: vae_lightning.models.GaussianVAE, init_args: {model}}}"
    pixels = ("--data.binarisation", "vae_lightning.data.DynamicBinarisation")
    sizes = ("--data.batch_size", "20", "--data.eval_batch_size", "31")
    callbacks = ("--trainer.callbacks", _PICTURES % ("Samples", _WATCH))
    return ("--model", model, *_DIGITS, *pixels, *sizes, *callbacks)


def _hashing(miniature: Path) -> tuple[str, ...]:
    """7 steps an epoch."""
    words = "[{class_path: vae_lightning.callbacks.NearestWords, init_args: {every_n_epochs: 1}}]"
    data = ("--data.path", str(miniature), "--data.hashes", "null", "--data.num_words", "80", "--data.val_size", "20")
    sizes = ("--model.num_words", "80", "--data.batch_size", "16", "--data.eval_batch_size", "8")
    return ("--config", str(HASHING), *data, *sizes, "--trainer.callbacks", words)


def _rbm() -> tuple[str, ...]:
    """5 steps an epoch, with persistent chains."""
    config = ("--config", str(ROOT / "configs" / "rbm" / "digits.yaml"), "--model.algorithm.chains", "10")
    sizes = ("--data.batch_size", "20", "--data.eval_batch_size", "31", "--model.hidden.event_shape", "4")
    chains = "[{class_path: vae_lightning.callbacks.Chains, init_args: {n: 3, steps: [0, 1], every_n_epochs: 1}}%s]"
    every = ("--trainer.check_val_every_n_epoch", "1", "--best.monitor", "val/reconstruction")
    return (*config, *_DIGITS[2:], *sizes, "--trainer.callbacks", chains % _MOMENTUM, *every)


def _libi() -> tuple[str, ...]:
    """5 steps an epoch, 4 in a repeat."""
    return ("--model", _LIBI, "--data", _CUBIC)


def _ensemble() -> tuple[str, ...]:
    """As LiBI, twice at once."""
    model = f"{{class_path: vae_lightning.models.Ensemble, init_args: {{seeds: 2, member: {_LIBI}}}}}"
    data = f"{{class_path: vae_lightning.data.Stacked, init_args: {{times: 2, members: [{_CUBIC}]}}}}"
    return ("--model", model, "--data", data, "--best.monitor", "val/loss/best")


def worlds(miniature: Path) -> dict[str, tuple[str, ...]]:
    """The arguments of each."""
    runs = {"vae": _vae(), "hashing": _hashing(miniature), "rbm": _rbm(), "libi": _libi(), "ensemble": _ensemble()}
    return {name: ("fit", *run, *_QUIET) for name, run in runs.items()}


OPTIONS: Mapping[str, tuple[str, ...]] = {
    "every step": ("--last.every_n_steps", "1"),
    "every second step": ("--last.every_n_steps", "2"),
    "every third step": ("--last.every_n_steps", "3"),
    "epochs alone": (),
    "validation at half an epoch": ("--trainer.val_check_interval", "0.5", "--last.every_n_steps", "1"),
    "validation every third batch": ("--trainer.val_check_interval", "3", "--last.every_n_steps", "2"),
    "validation across epochs": (
        *("--trainer.val_check_interval", "4", "--trainer.check_val_every_n_epoch", "null"),
        *("--last.every_n_steps", "1"),
    ),
    "accumulated": ("--trainer.accumulate_grad_batches", "2", "--last.every_n_steps", "1"),
    "accumulated, validation between": (
        *("--trainer.accumulate_grad_batches", "2", "--last.every_n_steps", "1"),
        *("--trainer.val_check_interval", "3"),
    ),
    "validation every second epoch": ("--trainer.check_val_every_n_epoch", "2", "--last.every_n_steps", "2"),
    "fewer batches": ("--trainer.limit_train_batches", "4", "--last.every_n_steps", "1"),
    "by steps": ("--trainer.max_epochs", "-1", "--trainer.max_steps", "12", "--last.every_n_steps", "1"),
}
"""Of a run and of its resumption alike."""
