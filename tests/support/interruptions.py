"""What is interrupted: small runs of each kind of model, under options that change when the Trainer does what."""

from __future__ import annotations

import itertools
import os
import re
import shutil
import signal
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from support.archive import write_miniature
from support.command import HASHING, ROOT
from support.interrupted import End, Moment, Probe, differences, end, in_parts

_QUIET = ("--trainer.accelerator", "cpu", "--trainer.enable_progress_bar", "false")
_QUIET += ("--trainer.enable_model_summary", "false", "--trainer.log_every_n_steps", "2", "--trainer.max_epochs", "3")
_MLP = "{class_path: vae_lightning.nn.MLP, init_args: {hidden: [8]}}"
_PICTURES = "[{class_path: vae_lightning.callbacks.%s, init_args: {n: 4, every_n_epochs: 1}}%s]"
_POINTS = "{class_path: vae_lightning.families.Normal, init_args: {event_shape: 2, scale: 0.06}}"
_LIBI = f"""{{class_path: vae_lightning.models.LiBI, init_args: {{latent_dim: 2, observed: {_POINTS},
  encoder: {_MLP}, decoder: {_MLP}, steps: 4, repeats: 2, generator: {{class_path:
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
_PIXELS = (*_DIGITS, "--data.binarisation", "vae_lightning.data.DynamicBinarisation")
_PIXELS += ("--data.batch_size", "20", "--data.eval_batch_size", "31")
_BITS = "{class_path: vae_lightning.families.Bernoulli, init_args: {event_shape: [1, 8, 8]}}"


def _vae() -> tuple[str, ...]:
    """5 steps an epoch, of which one has a plateau of its learning rate in sight."""
    model = f"{{latent_dim: 2, observed: {_BITS}, encoder: {_MLP}, decoder: {_MLP}, scheduler: {_PLATEAU}}}"
    model = f"{{class_path: vae_lightning.models.GaussianVAE, init_args: {model}}}"
    return ("--model", model, *_PIXELS, "--trainer.callbacks", _PICTURES % ("Samples", _WATCH))


def _hvae() -> tuple[str, ...]:
    """5 steps an epoch, under a prior that is learned."""
    networks = ", ".join(f"{name}: {_MLP}" for name in ("top_encoder", "lower_encoder", "lower_prior", "decoder"))
    prior = """{class_path: vae_lightning.priors.VampPrior, init_args:
      {latent_shape: 2, observed_shape: [1, 8, 8], num_components: 5}}"""
    model = f"{{latent_dims: [2, 2], observed: {_BITS}, {networks}, prior: {prior}}}"
    model = f"{{class_path: vae_lightning.models.HVAE, init_args: {model}}}"
    return ("--model", model, *_PIXELS, "--trainer.callbacks", _PICTURES % ("PseudoInputs", ""))


def _mrf_vae() -> tuple[str, ...]:
    """5 steps an epoch, by an estimator that draws."""
    bits = "{class_path: vae_lightning.families.BernoulliMRF, init_args: {first: 2, second: 2}}"
    objective = """{class_path: vae_lightning.objectives.ELBO, init_args:
      {estimator: {class_path: vae_lightning.estimators.LeaveOneOut, init_args: {num_samples: 4}}}}"""
    model = f"{{latent: {bits}, observed: {_BITS}, encoder: {_MLP}, decoder: {_MLP}, objective: {objective}}}"
    model = f"{{class_path: vae_lightning.models.MRFVAE, init_args: {model}}}"
    return ("--model", model, *_PIXELS, "--trainer.callbacks", _PICTURES % ("Samples", ""))


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
    runs |= {"hvae": _hvae(), "mrf-vae": _mrf_vae()}
    return {name: ("fit", *run, *_QUIET, *_stopper(run)) for name, run in runs.items()}


def _stopper(run: tuple[str, ...]) -> tuple[str, ...]:
    """An EarlyStopping of the figure that the best checkpoint is chosen by; its patience is endless."""
    monitor = run[run.index("--best.monitor") + 1] if "--best.monitor" in run else "val/nelbo"
    stopper = "{class_path: lightning.pytorch.callbacks.EarlyStopping, init_args: {monitor: %s, patience: 99}}"
    return ("--trainer.callbacks+", stopper % monitor)


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
    "stopped early": ("--trainer.callbacks.min_delta", "1e9", "--trainer.callbacks.patience", "1"),
    "by steps": ("--trainer.max_epochs", "-1", "--trainer.max_steps", "12", "--last.every_n_steps", "1"),
}
"""Of a run and of its resumption alike."""


STEP = (
    *("on_train_batch_start", "on_before_zero_grad", "on_before_backward", "on_after_backward"),
    *("on_before_optimizer_step", "on_train_batch_end"),
)
VALIDATION = (
    *("on_validation_start", "on_validation_epoch_start", "on_validation_batch_start", "on_validation_batch_end"),
    *("on_validation_epoch_end", "on_validation_end"),
)
BEGIN = ("setup", "on_fit_start", "on_train_start", "on_train_epoch_start")
FINISH = ("on_train_epoch_end", "on_train_end", "on_fit_end", "teardown")
HOOKS = (*BEGIN, *STEP, *VALIDATION, *FINISH)
"""The hooks of a callback that a training calls, in the order of their first calls."""

MODULE = (
    *(
        "prepare_data",
        "configure_callbacks",
        "configure_optimizers",
        "on_before_batch_transfer",
        "on_after_batch_transfer",
    ),
    *("optimizer_step", "optimizer_zero_grad", "configure_gradient_clipping", "on_save_checkpoint"),
    *("on_validation_model_zero_grad", "on_validation_model_eval"),
)
"""Those that a module alone has."""

SCHEDULER = "module.lr_scheduler_step"
"""Called of a model with a scheduler alone."""

WORLDS = ("vae", "hashing", "rbm", "libi", "ensemble")
"""Those that are interrupted at every hook."""

HANDLED = (signal.SIGTERM, signal.SIGINT)


def moment(hook: str, where: int) -> Moment:
    """A moment of this hook; others for other numbers."""
    return Moment(hook, 1 + where % 7, after=where % 2 == 1)


@dataclass(frozen=True)
class Case:
    """A run and the signals that each of its parts gets but the last, which is not interrupted."""

    world: str
    option: str
    parts: tuple[tuple[tuple[Moment, int], ...], ...]
    processes: int = 1

    def __str__(self) -> str:
        told = [
            f"{signal.Signals(signum).name} {'after' if at.after else 'before'} {at.hook} {at.number}"
            for part in self.parts
            for at, signum in part
        ]
        return f"{self.world}, {self.option}, {self.processes} process(es): {', '.join(told)}"

    def probes(self, calls: Mapping[str, int]) -> list[Probe]:
        """Fresh ones; of a hook that the run calls less often, its last call."""
        return [
            Probe({replace(at, number=min(at.number, calls.get(at.hook, 1))): signum for at, signum in part})
            for part in self.parts
        ]


def chosen(
    number: int, *hooks: str, world: str = "", option: str = "", processes: int = 1, by: int = signal.SIGKILL
) -> Case:
    """This signal at these hooks, one in each part; numbers in a row go round models and options, so that all meet."""
    parts = tuple(((moment(hook, number + part), by),) for part, hook in enumerate(hooks))
    name = option or tuple(OPTIONS)[number % len(OPTIONS)]
    return Case(world or WORLDS[number % len(WORLDS)], name, parts, processes)


def covering() -> list[Case]:
    """Each hook, each option and each model at least once, in pairs of kills."""
    half = len(HOOKS) // 2
    pairs = [chosen(n, *pair) for n, pair in enumerate(zip(HOOKS[:half], HOOKS[half:], strict=True))]
    return pairs + [chosen(n, "on_before_backward") for n in range(len(pairs), len(OPTIONS))]


def grid() -> list[Case]:
    """Each hook under each option and of each model; all pairs of hooks; signals that are handled; two processes."""
    hooks = [*HOOKS, *(f"module.{hook}" for hook in (*HOOKS, *MODULE))]
    cases = [chosen(i + j, hook, option=name) for i, hook in enumerate(hooks) for j, name in enumerate(OPTIONS)]
    cases += [chosen(i, hook, world=world) for i, hook in enumerate(hooks) for world in WORLDS]
    cases += [chosen(1, SCHEDULER, world="vae", option=name) for name in OPTIONS]
    cases += [chosen(n, *pair) for n, pair in enumerate(itertools.product(HOOKS, HOOKS))]
    for number, (hook, by) in enumerate(itertools.product(HOOKS, HANDLED)):
        cases.append(chosen(number, hook, by=by))
        killed = ((moment(hook, number), by), (Moment("on_exception", 1), signal.SIGKILL))
        cases.append(Case(WORLDS[number % len(WORLDS)], "every step", (killed,)))
    some = ("on_train_batch_end", "on_validation_epoch_end", "on_train_epoch_start")
    for number, (hook, world, by) in enumerate(itertools.product(some, WORLDS[:3], (signal.SIGKILL, *HANDLED))):
        cases.append(chosen(number, hook, world=world, by=by, processes=2))
    return list(dict.fromkeys(cases))


class Bench:
    """Runs cases in a folder, each against the run of its model and options that nothing interrupts."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        (folder / "miniature").mkdir(exist_ok=True)
        self.worlds = worlds(write_miniature(folder / "miniature"))
        self._ends: dict[tuple[str, str, int], tuple[End, dict[str, int]]] = {}

    def arguments(self, case: Case) -> list[str]:
        """Of the command."""
        two = ("--config", str(ROOT / "configs" / "trainer" / "ddp.yaml")) if case.processes == 2 else ()
        return [*self.worlds[case.world], *OPTIONS[case.option], *two]

    def uninterrupted(self, case: Case) -> End:
        """What it leaves."""
        return self._found(case)[0]

    def _found(self, case: Case) -> tuple[End, dict[str, int]]:
        """What it leaves, and how often it calls each hook, found once."""
        key = (case.world, case.option, case.processes)
        if key not in self._ends:
            folder = self.folder / re.sub(r"\W+", "-", "-".join(map(str, key)))
            statuses = in_parts(folder, self.arguments(case), processes=case.processes)
            assert statuses == [[0] * case.processes], (folder / "told").read_text()[-2000:]
            calls = (line.split() for line in (folder / "hooks").read_text().splitlines())
            self._ends[key] = end(folder), {hook: int(number) for hook, number in calls}
            shutil.rmtree(folder)
        return self._ends[key]

    def differences(self, case: Case) -> list[str]:
        """What the interrupted run ends with that the other does not, or how it failed."""
        (expected, calls), folder = self._found(case), self.folder / f"parts-{os.getpid()}"
        shutil.rmtree(folder, ignore_errors=True)
        statuses = in_parts(folder, self.arguments(case), *case.probes(calls), processes=case.processes)
        told = (folder / "told").read_text()
        if statuses[-1] != [0] * case.processes or not _ended(case, calls, statuses[0][-1]):
            return [f"exit statuses {statuses}: {told[-2000:]}"]
        return ["a traceback was printed"] * ("Traceback" in told) + differences(expected, end(folder))


def _ended(case: Case, calls: Mapping[str, int], status: int) -> bool:
    """Whether the first part ended by its signals; by none, if this run never calls the hook of the first."""
    if case.parts[0][0][0].hook not in calls:
        return status == 0
    by = [signum for _, signum in case.parts[0]]
    return status == -signal.SIGKILL if signal.SIGKILL in by[:1] else status in (-by[-1], *(128 + each for each in by))
