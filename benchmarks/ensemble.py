"""Milliseconds a member and step: an Ensemble of 1, 10, 50 and 200 members against the same model alone. One thread.

    OMP_NUM_THREADS=1 python benchmarks/ensemble.py

LinearJTEx, 500 observations, every step on all of them, Adam. The models: `linear`, the paper's encoder of this world;
`50 units`, its largest, one hidden layer of 50 ReLUs; `Henze-Zirkler`, the first with the statistic of its codes as a
penalty, the same fused one alone and in the ensemble. Alone means (a) a bare loop over the module's own loss with the
same seeds, and (b) the Trainer, with an epoch of 200 steps and a line logged every 50. The ensemble is in the Trainer.
Then the fused Henze-Zirkler, forward and backward, against autograd of the plain formula in the same type, for one
sample of 500 and for 50 at once.
All columns are measured in turns, in processor time, since other work on the machine would be counted otherwise; a
figure is the median over the rounds. Written to ensemble.json beside this file, too.
"""

from __future__ import annotations

import json
import logging
import platform
import statistics
import time
import warnings
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import lightning.pytorch as pl
import torch
from torch import Tensor

from vae_lightning.data import FullBatch, Stacked, Synthetic
from vae_lightning.data.processes import LinearJTEx
from vae_lightning.families import Normal
from vae_lightning.metrics.functional import fused_henze_zirkler
from vae_lightning.models import Ensemble, GaussianVAE
from vae_lightning.nn import MLP
from vae_lightning.process import keep_large_buffers
from vae_lightning.randomness import reseed
from vae_lightning.training import trainer

SIZES, ALONE_STEPS, ROUNDS = (1, 10, 50, 200), 200, 5
STEPS = {1: 150, 10: 100, 50: 80, 200: 30}


class Penalised(GaussianVAE):
    """With the Henze-Zirkler statistic of the encoder's means in the loss."""

    def loss(self, batch: Any, step: int) -> tuple[Tensor, dict[str, Tensor]]:
        loss, figures = super().loss(batch, step)
        return loss + fused_henze_zirkler(self.model.encoder(batch[0]).mean), figures


def model(hidden: tuple[int, ...] = (), kind: type[GaussianVAE] = GaussianVAE) -> GaussianVAE:
    adam = partial(torch.optim.Adam, lr=1e-2, fused=True)
    return kind(2, Normal(2, 0.1), partial(MLP, hidden=hidden), MLP, optimizer=adam)


MODELS: dict[str, Callable[[], GaussianVAE]] = {
    "linear": model,
    "50 units": partial(model, (50,)),
    "Henze-Zirkler": partial(model, (), Penalised),
}


def data(seed: int, steps: int) -> FullBatch:
    return FullBatch(Synthetic(LinearJTEx(), (500, 10, 10), seed=seed), steps)


class Clock(pl.Callback):
    """Processor time of an epoch's steps but the first few."""

    def __init__(self, warm: int = 10) -> None:
        self.warm = warm

    def on_train_batch_start(self, trainer: pl.Trainer, *_: Any) -> None:
        if trainer.global_step == self.warm:
            self.began = time.process_time()

    def on_train_epoch_end(self, trainer: pl.Trainer, *_: Any) -> None:
        self.each = 1e3 * (time.process_time() - self.began) / (trainer.global_step - self.warm)


def in_trainer(module: pl.LightningModule, its_data: pl.LightningDataModule) -> float:
    """Milliseconds a step."""
    clock = Clock()
    run = trainer(max_epochs=1, callbacks=[clock], accelerator="cpu", limit_val_batches=0, log_every_n_steps=50)
    run.fit(module, its_data)
    return clock.each


def bare(module: GaussianVAE, its_data: FullBatch) -> float:
    """Milliseconds a step."""
    its_data.setup()
    optimizer = module.configure_optimizers()
    for step, batch in enumerate(its_data.train_dataloader()):
        if step == 10:
            began = time.process_time()
        reseed(module.seed, "train", step, 0)
        loss, _ = module.loss(batch, step)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return 1e3 * (time.process_time() - began) / (its_data.steps - 10)


def ensemble(build: Callable[[], GaussianVAE], size: int) -> float:
    """Milliseconds a step and member."""
    stacked = Stacked([data(seed, STEPS[size]) for seed in range(size)])
    return in_trainer(Ensemble(member=build, seeds=size), stacked) / size


def plain_henze_zirkler(z: Tensor) -> Tensor:
    """The formula as it stands, for autograd."""
    n, d = z.shape[-2:]
    b2 = 0.5 * ((2 * d + 1) * n / 4) ** (2 / (d + 4))
    y = z - z.mean(-2, keepdim=True)
    w = torch.linalg.solve_triangular(torch.linalg.cholesky(y.mT @ y / n), y.mT, upper=False).mT
    distance = w.square().sum(-1)
    pairs = (b2 * (w @ w.mT - 0.5 * (distance[..., :, None] + distance[..., None, :]))).exp().sum((-2, -1))
    points = (-b2 * distance / (2 * (1 + b2))).exp().sum(-1)
    return pairs / n - 2 * (1 + b2) ** (-d / 2) * points + n * (1 + 2 * b2) ** (-d / 2)


def forward_and_backward(statistic: Callable[[Tensor], Tensor], z: Tensor, times: int) -> float:
    """Milliseconds for each sample."""
    began = time.process_time()
    for _ in range(times):
        torch.autograd.grad(statistic(z).sum(), z)
    return 1e3 * (time.process_time() - began) / times / len(z)


def in_turns(columns: dict[str, Callable[[], float]], rounds: int = ROUNDS) -> dict[str, float]:
    """The median of each column's own figure, measured round after round."""
    figures: dict[str, list[float]] = {name: [] for name in columns}
    for turn in range(rounds + 1):
        for name, measure in columns.items():
            figure = measure()
            if turn:
                figures[name].append(figure)
    return {name: statistics.median(values) for name, values in figures.items()}


def members(name: str) -> dict[str, float]:
    """All columns of one model."""
    build = MODELS[name]
    columns = {
        "bare": lambda: bare(build(), data(0, ALONE_STEPS)),
        "trainer": lambda: in_trainer(build(), data(0, ALONE_STEPS)),
        **{f"ensemble of {size}": partial(ensemble, build, size) for size in SIZES},
    }
    return in_turns(columns)


def statistic(dtype: torch.dtype, samples: int) -> dict[str, float]:
    """Both ways for one sample of 500, or many."""
    z = torch.randn(samples, 500, 2, dtype=dtype, generator=torch.Generator().manual_seed(0)).requires_grad_()
    times = 100 if samples == 1 else 4
    ways = {"autograd": plain_henze_zirkler, "fused": fused_henze_zirkler}
    return in_turns({name: partial(forward_and_backward, way, z, times) for name, way in ways.items()}, 9)


def _rounded(results: Any) -> Any:
    if isinstance(results, dict):
        return {name: _rounded(value) for name, value in results.items()}
    return round(results, 4) if isinstance(results, float) else results


def main() -> None:
    torch.set_num_threads(1)
    keep_large_buffers()
    logging.getLogger("lightning.pytorch").setLevel(logging.ERROR)
    warnings.filterwarnings("ignore")
    results: dict[str, Any] = {"torch": torch.__version__, "processor": platform.processor() or platform.machine()}
    aims = {"linear": "20 and 10", "50 units": "20 and 10", "Henze-Zirkler": "2 over bare"}
    for name in MODELS:
        ms = results[name] = members(name)
        print(f"{name}: bare loop {ms['bare']:.3f} ms a step, in the Trainer {ms['trainer']:.3f}")
        for size in SIZES:
            each = ms[f"ensemble of {size}"]
            times = f"{ms['trainer'] / each:.1f} and {ms['bare'] / each:.1f} times cheaper than the Trainer and bare"
            aim = f" (aim {aims[name]})" if size == 50 else ""
            print(f"    {size} members: {each:.4f} ms a member, {times}{aim}", flush=True)
    for dtype, aim in {torch.float32: "2.5, 4 in an ensemble", torch.float64: "2.5"}.items():
        for samples in (1, 50):
            ms = results[f"Henze-Zirkler {dtype} x {samples}"] = statistic(dtype, samples)
            ratio = ms["autograd"] / ms["fused"]
            print(
                f"Henze-Zirkler, {samples} samples, {dtype}: autograd {ms['autograd']:.2f} ms each, fused "
                f"{ms['fused']:.2f}: {ratio:.1f} times (aim {aim})"
            )
    Path(__file__).with_suffix(".json").write_text(json.dumps(_rounded(results), indent=1) + "\n")


if __name__ == "__main__":
    main()
