"""Samples a second of one training step of an RBM, 784 x 256, batch 100, one thread, against scikit-learn.

    OMP_NUM_THREADS=1 python benchmarks/rbm.py            writes rbm.json beside itself
    OMP_NUM_THREADS=1 python benchmarks/rbm.py PCD        the steps of PCD alone, but for the Trainer's; writes nothing

`bare` is the closed-form arithmetic alone, written out with torch: products, sigmoids, uniform noise, moments, SGD.
`training_step` is what RBM does of it: loss, backward, SGD. `Trainer` is a thousand steps of `fit` as the command sets
it up, with a log line every 50 steps. scikit-learn is BernoulliRBM's own step (persistent chains, as many as a batch).
rbms, the package of Decelle, Seoane and others, is measured where it is installed (pip install --no-deps rbms h5py):
its PCD step with as many chains, one Gibbs step, its gradient centred (its default) or not, and torch's SGD.
`documents` is a step on 20 Newsgroups (VAE_LIGHTNING_DATA), 10,000 words, 64 bits, batch 128: loss, backward and
Adam of the multinomial RBM by CD-1, of the same by persistent chains (200, five steps), and of the hashing VAE by one
pair of DisARM. `products` are the five matrix products of a step alone, and `4 x 3` is `training_step` of so small a
model on two rows: what calls cost.
All are measured in turns, round after round, in processor time; a figure is the median over the rounds.
"""

from __future__ import annotations

import json
import logging
import os
import statistics
import sys
import tempfile
import time
import warnings
from collections.abc import Callable
from functools import partial
from importlib.util import find_spec
from itertools import cycle
from pathlib import Path

import lightning.pytorch as pl
import numpy as np
import torch
from lightning.pytorch.callbacks import RichProgressBar
from sklearn.neural_network import BernoulliRBM

from vae_lightning.callbacks import LastCheckpoint, MetricsFile
from vae_lightning.data import Newsgroups
from vae_lightning.data.base import InMemoryDataModule
from vae_lightning.data.loaders import Observations
from vae_lightning.families import Bernoulli, Multinomial
from vae_lightning.models import RBM, HashingVAE
from vae_lightning.models.reproducible import ReproducibleModule
from vae_lightning.objectives import ContrastiveDivergence, PersistentContrastiveDivergence
from vae_lightning.process import keep_large_buffers
from vae_lightning.training import trainer

VISIBLE, HIDDEN, BATCH, ROUNDS, STEPS, RATE = 784, 256, 100, 12, 40, 0.01
BITS, WORDS = 64, 10_000
Step = Callable[[], object]


class Bits(InMemoryDataModule):
    """Random bits, a thousand batches of them in an epoch."""

    def __init__(self) -> None:
        super().__init__(batch_size=BATCH, eval_batch_size=BATCH)
        self.setup()

    def load(self) -> tuple[Observations, Observations, Observations]:
        x = (torch.rand(BATCH * 1000, VISIBLE, generator=torch.Generator().manual_seed(0)) < 0.3).float()
        bits = Observations.numbered(x, torch.zeros(len(x), dtype=torch.long))
        return bits, bits, bits


def bare(x: torch.Tensor, persistent: bool) -> Step:
    """The step that cannot be avoided."""
    w, a, b = 0.01 * torch.randn(VISIBLE, HIDDEN), torch.zeros(VISIBLE), torch.zeros(HIDDEN)
    chains = (torch.rand(BATCH, HIDDEN) < 0.5).float()

    def step() -> None:
        nonlocal chains
        mean = torch.addmm(b, x, w).sigmoid_()
        h = chains if persistent else torch.rand_like(mean).lt_(mean)
        p = torch.addmm(a, h, w.T).sigmoid_()
        v = torch.rand_like(p).lt_(p)
        found = torch.addmm(b, v, w).sigmoid_()
        if persistent:
            chains = torch.rand_like(found).lt_(found)
        gradient = torch.addmm(torch.mm(v.T, found), x.T, mean, beta=-1 / BATCH, alpha=1 / BATCH)
        w.add_(gradient, alpha=RATE)
        a.add_(x.mean(0) - v.mean(0), alpha=RATE)
        b.add_(mean.mean(0) - found.mean(0), alpha=RATE)

    return step


def products(x: torch.Tensor) -> Step:
    """Up, down, up again, and the couplings of both phases."""
    w, h, out = torch.randn(VISIBLE, HIDDEN), torch.rand(BATCH, HIDDEN), torch.empty(VISIBLE, HIDDEN)
    return lambda: (x @ w, h @ w.T, x @ w, torch.mm(x.T, h, out=out), out.addmm_(x.T, h))


def rbm(persistent: bool) -> RBM:
    algorithm = PersistentContrastiveDivergence(chains=BATCH) if persistent else ContrastiveDivergence()
    return RBM(
        Bernoulli(VISIBLE), Bernoulli(HIDDEN), algorithm, optimizer=partial(torch.optim.SGD, lr=RATE)
    )  # fmt: skip


def training_step(x: torch.Tensor, module: RBM) -> Step:
    optimizer = module.configure_optimizers()

    def step() -> None:
        optimizer.zero_grad()
        module.training_loss((x, None), 0, read=False)[0].backward()
        optimizer.step()

    return step


def scikit_learn(x: torch.Tensor, dtype: type) -> Step:
    rows, random = x.numpy().astype(dtype), np.random.RandomState(0)
    model = BernoulliRBM(HIDDEN, learning_rate=RATE, batch_size=BATCH, n_iter=1, random_state=0).fit(rows)
    return lambda: model._fit(rows, random)


def rbms(x: torch.Tensor, centred: bool) -> Step:
    """The loop of its `train`, without reading and writing its file at every update."""
    from rbms.bernoulli_bernoulli.classes import BBRBM  # noqa: PLC0415  (an optional peer)
    from rbms.training.pcd import fit_batch_pcd  # noqa: PLC0415  (an optional peer)

    model = BBRBM(0.01 * torch.randn(VISIBLE, HIDDEN), torch.zeros(VISIBLE), torch.zeros(HIDDEN))
    model.init_grad()
    optimizer, batch = torch.optim.SGD(model.parameters(), lr=RATE, maximize=True), (x, torch.ones(len(x)))
    chains = model.init_chains(BATCH)

    @torch.no_grad()
    def step() -> None:
        nonlocal chains
        optimizer.zero_grad(set_to_none=False)
        chains, _ = fit_batch_pcd(batch, chains, model, gibbs_steps=1, beta=1.0, centered=centred)
        optimizer.step()

    return step


class Clock(pl.Callback):
    def on_train_epoch_start(self, *_: object) -> None:
        self.began = time.process_time()

    def on_train_epoch_end(self, *_: object) -> None:
        self.took = time.process_time() - self.began


def in_the_trainer(data: Bits, persistent: bool, steps: int) -> float:
    """Seconds a step, batches included."""
    clock = Clock()
    with tempfile.TemporaryDirectory() as folder:
        callbacks = [clock, RichProgressBar(10, console_kwargs={"quiet": True}), MetricsFile(), LastCheckpoint()]
        length = {"max_epochs": 1, "limit_train_batches": steps, "limit_val_batches": 0, "accelerator": "cpu"}
        run = trainer(folder, callbacks=callbacks, log_every_n_steps=50, **length)
        module = rbm(persistent)
        module.started = True  # to look at all of the data once is no part of a step
        run.fit(module, data)
    return clock.took / steps


def documents(module: ReproducibleModule, data: Newsgroups) -> Step:
    batches = cycle(data.train_dataloader())
    adam = torch.optim.Adam(module.parameters(), lr=1e-3, fused=True)

    def step() -> None:
        adam.zero_grad()
        module.training_loss(next(batches), 0, read=False)[0].backward()
        adam.step()

    return step


def of_documents() -> dict[str, Step]:
    """20 Newsgroups by two RBMs and a VAE."""
    news = Newsgroups(num_words=WORDS, batch_size=128)
    news.setup()
    chains = RBM(Multinomial(WORDS), Bernoulli(BITS), PersistentContrastiveDivergence(steps=5, chains=200))
    chains.start(news)
    return {
        "documents, multinomial RBM": documents(RBM(Multinomial(WORDS), Bernoulli(BITS)), news),
        "documents, persistent chains": documents(chains, news),
        "documents, hashing VAE": documents(HashingVAE(BITS, WORDS), news),
    }


def seconds(step: Step, steps: int = STEPS) -> float:
    began = time.process_time()
    for _ in range(steps):
        step()
    return (time.process_time() - began) / steps


def batch_of(name: str) -> int:
    if name.endswith("4 x 3"):
        return 2
    return 128 if name.startswith("documents") else BATCH


def ratios_of(took: dict[str, float]) -> dict[str, float]:
    """By what they compare, of seconds a step."""
    compared = {
        f"{name}: {what}": (f"{name}, {over}", f"{name}, bare", 3)
        for name in ("CD-1", "PCD")
        for what, over in (
            ("training_step / bare (aim 1.1)", "training_step"),
            ("Trainer / bare (aim 1.15)", "Trainer"),
        )
    }
    for dtype in ("float32", "float64"):
        compared |= {
            f"{name} against scikit-learn {dtype} (aim for float32: 1.5)": (
                *(f"scikit-learn, {dtype}", f"{name}, training_step"), 2
            )
            for name in ("CD-1", "PCD")
        }  # fmt: skip
    compared |= {
        f"PCD against rbms, {kind} (aim 1.5)": (f"rbms PCD, {kind}", "PCD, training_step", 2)
        for kind in ("centred", "not centred")
    }
    compared["documents: RBM / VAE"] = ("documents, multinomial RBM", "documents, hashing VAE", 2)
    return {
        name: round(took[over] / took[under], digits)
        for name, (over, under, digits) in compared.items()
        if over in took and under in took
    }


def main() -> None:
    torch.set_num_threads(1)
    logging.getLogger("lightning.pytorch").setLevel(logging.ERROR)
    warnings.filterwarnings("ignore")
    keep_large_buffers()
    load, data = os.getloadavg()[0], Bits()
    x = data.train.batch(torch.arange(BATCH))[0]
    steps: dict[str, Step] = {}
    for name, persistent in (("CD-1", False), ("PCD", True)):
        steps[f"{name}, bare"] = bare(x, persistent)
        steps[f"{name}, training_step"] = training_step(x, rbm(persistent))
    for kind in ("centred", "not centred") if find_spec("rbms") else ():
        steps[f"rbms PCD, {kind}"] = rbms(x, kind == "centred")
    small = RBM(Bernoulli(4), Bernoulli(3), optimizer=partial(torch.optim.SGD, lr=RATE))
    steps |= {"CD-1, products": products(x), "CD-1, 4 x 3": training_step(torch.ones(2, 4), small)}
    for dtype in (np.float32, np.float64):
        steps[f"scikit-learn, {dtype.__name__}"] = scikit_learn(x, dtype)
    trainers = {"CD-1, Trainer": False, "PCD, Trainer": True}
    if wanted := sys.argv[1:]:
        steps = {name: step for name, step in steps.items() if any(word in name for word in wanted)}
        trainers = {}
    else:
        steps |= of_documents()
    for step in steps.values():
        seconds(step, 5)
    times: dict[str, list[float]] = {}
    for _ in range(ROUNDS):
        for name, step in steps.items():
            times.setdefault(name, []).append(seconds(step))
        for name, persistent in trainers.items():
            times.setdefault(name, []).append(in_the_trainer(data, persistent, 10 * STEPS))
    took = {name: statistics.median(values) for name, values in times.items()}
    rows = {
        name: {"samples_per_second": round(batch_of(name) / t), "ms_per_step": round(1e3 * t, 3)}
        for name, t in took.items()
    }
    ratios = ratios_of(took)
    settings = {"visible": VISIBLE, "hidden": HIDDEN, "batch": BATCH, "threads": 1, "torch": torch.__version__}
    settings |= {"load_before": round(load, 2), "load_after": round(os.getloadavg()[0], 2)}
    if not wanted:
        Path(__file__).with_suffix(".json").write_text(
            json.dumps({"settings": settings, "steps": rows, "ratios": ratios}, indent=1) + "\n"
        )
    for name, row in rows.items():
        print(f"{name:28s} {row['samples_per_second']:8,d} samples/s {row['ms_per_step']:8.3f} ms")
    for name, ratio in ratios.items():
        print(f"{name}: {ratio}")


if __name__ == "__main__":
    main()
