"""Milliseconds a member and step: an Ensemble of 1, 10, 50 and 200 members against the same model alone. One thread.

    OMP_NUM_THREADS=1 python benchmarks/ensemble.py [members] [statistic]

LinearJTEx, 500 observations, every step on all of them, Adam. The models: `linear`, the paper's encoder of this world;
`50 units`, its largest, one hidden layer of 50 ReLUs; `Henze-Zirkler`, the first with the statistic of its codes as a
penalty, the same fused one alone and in the ensemble. Alone means (a) a bare loop over the module's own loss with the
same seeds, and (b) the Trainer, with an epoch of 200 steps and a line logged every 50. The ensemble is in the Trainer,
as in a short run, which replays its steps, and of 50 members also as in a long one, `compiled`, which an ensemble is by
itself once it pays; what compiling takes, in the first ten steps, is in recording.py.
Then the fused Henze-Zirkler, forward and backward, against autograd of the plain formula in the same type, for one
sample of 500 and for 50 at once.
All are measured in turns, in processor time.
"""

from __future__ import annotations

import argparse
import gc
import time
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import lightning.pytorch as pl
import torch
from comparisons import Absent, AsFast, Comparison, Measure, Row, Share, in_turns, main
from torch import Tensor

from vae_lightning.data import FullBatch, Stacked, Synthetic
from vae_lightning.data.processes import LinearJTEx
from vae_lightning.families import Normal
from vae_lightning.metrics.functional import fused_henze_zirkler
from vae_lightning.models import Compiled, Ensemble, GaussianVAE, Replayed
from vae_lightning.models.recording import Execution
from vae_lightning.models.recording.execution import has_compiler
from vae_lightning.nn import MLP
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


AIMS: dict[str, dict[str, float | None]] = {
    "linear": {"the Trainer": 20.0, "a bare loop": 10.0},
    "50 units": {"the Trainer": 20.0, "a bare loop": 10.0},
    "Henze-Zirkler": {"the Trainer": None, "a bare loop": 2.0},
}
"""Times as cheap, of 50 members."""
MOST = {"linear": 0.05, "Henze-Zirkler": 0.2}
"""Milliseconds a member and step, of 50 members in a long run."""
COMPILED = "50, compiled"


def data(seed: int, steps: int) -> FullBatch:
    return FullBatch(Synthetic(LinearJTEx(), (500, 10, 10), seed=seed), steps)


class Clock(pl.Callback):
    """Processor time of an epoch's steps but the first few."""

    def __init__(self, warm: int = 10) -> None:
        self.warm = warm

    def on_train_batch_start(self, trainer: pl.Trainer, *_: Any) -> None:
        if trainer.global_step == self.warm:
            gc.collect()  # of what was compiled and recorded: it would take half a second in the middle
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


def ensemble(build: Callable[[], GaussianVAE], size: int, execution: Execution) -> float:
    """Milliseconds a step and member."""
    stacked = Stacked([data(seed, STEPS[size]) for seed in range(size)])
    return in_trainer(Ensemble(member=build, seeds=size, execution=execution), stacked) / size


def alone(way: Callable[[GaussianVAE, FullBatch], float], build: Callable[[], GaussianVAE]) -> float:
    """Milliseconds a step of one model."""
    return way(build(), data(0, ALONE_STEPS))


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


def members(asked: argparse.Namespace) -> Iterator[Row]:
    """Each model: ensembles against one alone, in the Trainer and in a bare loop."""
    compiles = has_compiler() and not asked.quick
    sizes = SIZES[:2] if asked.quick else SIZES
    for name, build in MODELS.items():
        ways: dict[str, Measure | Absent] = {
            "the Trainer": partial(alone, in_trainer, build),
            "a bare loop": partial(alone, bare, build),
            **{f"{size}": partial(ensemble, build, size, Replayed()) for size in sizes},
        }
        if compiles:
            ways |= {COMPILED: partial(ensemble, build, 50, Compiled())}
        if name in MOST:
            ways["the aim"] = partial(float, MOST[name])
        costs = in_turns(ways, 1 if asked.quick else ROUNDS, warm=0 if asked.quick else 1)
        for size in [*map(str, sizes), *([COMPILED] if compiles else [])]:
            work = f"Ensemble of {size}, {name}, a member and step"
            for other, aim in AIMS[name].items():
                yield Comparison(work, size, other, AsFast(aim if size.startswith("50") else None)).row(costs)
            if name in MOST and size == (COMPILED if compiles else "50"):
                yield Comparison(work, size, "the aim", Share(1.0)).row(costs)


def statistic(asked: argparse.Namespace) -> Iterator[Row]:
    """Henze-Zirkler, forward and backward, for one sample of 500, or many."""
    for dtype in (torch.float32, torch.float64):
        for samples in (1, 50):
            z = torch.randn(samples, 500, 2, dtype=dtype, generator=torch.Generator().manual_seed(0)).requires_grad_()
            times = 100 if samples == 1 else 4
            ways = {"autograd": plain_henze_zirkler, "fused": fused_henze_zirkler}
            measures = {name: partial(forward_and_backward, way, z, times) for name, way in ways.items()}
            costs = in_turns(measures, 2 if asked.quick else 9)
            work = f"Henze-Zirkler, 500 rows, {samples} of them at once, {str(dtype).removeprefix('torch.')}, each"
            aim = 4.0 if (samples, dtype) == (50, torch.float32) else 2.5
            yield Comparison(work, "fused", "autograd", AsFast(aim)).row(costs)


if __name__ == "__main__":
    main({"members": members, "statistic": statistic}, __doc__)
