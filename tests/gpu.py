"""Every experiment that ships, small, on a device -> whether it trains, resumes and measures there as on the CPU.

`make gpu` runs it on a CUDA device, and keeps what it finds in benchmarks/gpu.json.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import json
import logging
import math
import platform
import resource
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import lightning.pytorch as pl
import torch
from support.diagnostics import configured
from support.resume_probe import Stop
from support.shipped import ROOT, SMALL, options

from vae_lightning.training import TrainingCLI

QUIET = "--trainer.enable_model_summary false --trainer.enable_progress_bar false --trainer.log_every_n_steps 1"
VARIANTS = {  # beside the experiments themselves: the name -> the experiment, options
    "digits/vae, bf16-mixed": ("digits/vae", ["--trainer.precision", "bf16-mixed"]),
    "digits/vae, compiled": ("digits/vae", ["--trainer.callbacks+", "vae_lightning.callbacks.CompiledLoss"]),
    "digits/vae, all diagnostics": ("digits/vae", []),
    "rbm/newsgroups, persistent chains": (
        "rbm/newsgroups",
        ["--model.algorithm", "vae_lightning.objectives.PersistentContrastiveDivergence"],
    ),
}
CASES = {name: (name, list[str]()) for name in SMALL} | VARIANTS
FALLS = {  # what falls in training, where it is not the loss; None of two players, and where losses differ by step
    **dict.fromkeys(["rbm/digits", "rbm/newsgroups", "rbm/newsgroups, persistent chains"], "train/reconstruction"),
    **dict.fromkeys(["celeba/gan", "gan/digits", "gan/ring", "libi/annealed"]),
    "libi/ensemble": "train/loss/mean",
}
OF_WEIGHTS, OF_FIGURES, ERRORS = 1e-3, 0.05, 5.0
"""Tolerances: of resumed weights; of figures, relative, beside so many of their standard errors: the CPU and a GPU draw
other noise."""


@dataclass
class Found:
    """What a case has shown."""

    name: str
    milliseconds_a_step: float = math.nan
    peak_megabytes: float = math.nan
    first: float | None = None
    last: float | None = None
    resumed_differs: float = math.nan
    figures: dict[str, tuple[float, float]] = field(default_factory=dict)
    """On the device, and on the CPU."""
    failed: list[str] = field(default_factory=list)


class Curve(pl.Callback):
    """A figure at each step, and how long steps take after the first few."""

    def __init__(self, name: str) -> None:
        self.name, self.values, self.times = name, list[float](), list[float]()

    def on_train_batch_end(self, trainer: pl.Trainer, *_: Any) -> None:
        if (value := trainer.callback_metrics.get(self.name)) is not None:
            self.values.append(float(value))
        self.times.append(time.perf_counter())

    @property
    def milliseconds(self) -> float:
        gaps = sorted(late - early for early, late in zip(self.times, self.times[1:], strict=False))
        return 1000 * gaps[len(gaps) // 2]


def run(*words: str, observers: Sequence[pl.Callback] = ()) -> TrainingCLI:
    """`vae-lightning WORDS`, without a word."""
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
        return TrainingCLI.run(list(words), observers=observers)


def weights(cli: TrainingCLI) -> torch.Tensor:
    """All of a model's parameters."""
    return torch.cat([each.detach().flatten().double().cpu() for each in cli.model.parameters()])


def check(name: str, device: str, steps: int, folder: Path) -> Found:
    """Train with and without an interruption, then validate on the device and on the CPU."""
    found, (experiment, more) = Found(name), CASES[name]
    if name.endswith("all diagnostics"):
        more = ["--trainer.callbacks", json.dumps(configured(folder))]
    common = [*options(experiment, folder, steps), *more, *QUIET.split()]

    def at(device: str, place: str) -> list[str]:
        kind = "gpu" if device == "cuda" else device
        return [*common, "--trainer.accelerator", kind, "--trainer.logger.save_dir", str(folder / place)]

    if device == "cuda":
        torch.cuda.reset_peak_memory_stats()
    curve = Curve(FALLS.get(name, "train/loss") or "")
    whole = run("fit", *at(device, "whole"), observers=[curve])
    found.milliseconds_a_step, found.peak_megabytes = curve.milliseconds, peak(device)
    if curve.name:
        half, few = curve.values[: max(2, steps // 2)], max(1, steps // 20)
        found.first, found.last = sum(half[:few]) / few, sum(half[-few:]) / few
        if not found.last < found.first:
            found.failed.append(f"{curve.name} does not fall: {found.first:.4g}, {found.last:.4g}")
    run("fit", *at(device, "stopped"), observers=[Stop(steps // 2)])
    resumed = run("fit", *at(device, "stopped"), "--ckpt_path", str(folder / "stopped" / "version_0"))
    one, other = weights(whole), weights(resumed)
    found.resumed_differs = float((one - other).norm() / one.norm())
    if not found.resumed_differs <= (OF_WEIGHTS if device == "cuda" else 0):
        found.failed.append(f"resumed weights differ by {found.resumed_differs:.2g}")
    checkpoint = str(folder / "whole" / "version_0" / "checkpoints" / "last.ckpt")
    here, there = (figures_of(run("validate", *at(d, d), "--ckpt_path", checkpoint)) for d in (device, "cpu"))
    found.figures = {key: (here.get(key, math.nan), there[key]) for key in there}
    found.failed += [
        f"{key} is {a:.5g}, {b:.5g} on the CPU" for key, (a, b) in found.figures.items() if apart(key, a, b, there)
    ]
    return found


def figures_of(cli: TrainingCLI) -> dict[str, float]:
    """What a validation has logged."""
    return {name: float(value) for name, value in cli.trainer.callback_metrics.items() if name != "step"}


def apart(key: str, a: float, b: float, figures: dict[str, float]) -> bool:
    """Whether two values of a figure differ by more than noise; of an error bar only whether it is there."""
    if math.isnan(b) or key.endswith("_error"):
        return math.isnan(a) and not math.isnan(b)
    error = figures.get(f"{key}_error", 0.0)
    return not abs(a - b) <= ERRORS * (0.0 if math.isnan(error) else error) + OF_FIGURES * max(abs(b), 1.0)


def peak(device: str) -> float:
    """Megabytes: of the device in this fit; of the CPU's process so far."""
    if device == "cuda":
        return torch.cuda.max_memory_allocated() / 2**20
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**10


def tried(name: str, device: str, steps: int) -> Found:
    """The same, whatever goes wrong."""
    with tempfile.TemporaryDirectory() as folder:
        try:
            return check(name, device, steps, Path(folder))
        except (Exception, SystemExit) as error:  # the other cases are tried, too
            return Found(name, failed=[f"{type(error).__name__}: {' '.join(str(error).split())[:300]}"])


def main(arguments: Sequence[str] | None = None) -> None:
    """Print a line for each case; leave all in a file."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", choices=["cuda", "cpu"], default="cuda")
    parser.add_argument("--steps", type=int, default=200, help="of each training, even, at least 20")
    parser.add_argument("--only", nargs="+", default=list(CASES), choices=list(CASES), metavar="NAME", help="try these")
    parser.add_argument("--out", type=Path, default=ROOT / "benchmarks" / "gpu.json")
    asked = parser.parse_args(arguments)
    if asked.device == "cuda" and not torch.cuda.is_available():
        sys.exit("there is no CUDA device here: nothing was checked; --device cpu runs the same checks without one")
    logging.getLogger("lightning.pytorch").setLevel(logging.ERROR)
    results = []
    for name in asked.only:
        results.append(found := tried(name, asked.device, asked.steps))
        print(
            f"{'FAILED' if found.failed else 'passed'}  {name:36} {found.milliseconds_a_step:7.2f} ms a step  "
            f"{found.peak_megabytes:7.0f} MB at most  resumed weights differ by {found.resumed_differs:.1e}",
            *found.failed, sep="\n  ", flush=True,
        )  # fmt: skip
    asked.out.write_text(
        json.dumps(about(asked.device) | {"steps": asked.steps, "cases": list(map(asdict, results))}, indent=1)
    )
    sys.exit(any(found.failed for found in results))


def about(device: str) -> dict[str, Any]:
    """Where and when, and by which versions."""
    named = torch.cuda.get_device_name() if device == "cuda" else platform.processor() or platform.machine()
    versions = {
        "torch": torch.__version__,
        "lightning": pl.__version__,
        "cuda": torch.version.cuda,
        "python": platform.python_version(),
    }
    return {"device": named, "date": datetime.now(UTC).date().isoformat(), "versions": versions}


if __name__ == "__main__":
    main()
