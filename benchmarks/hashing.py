"""Milliseconds a training step of the hashing VAE on 20 Newsgroups, 64 bits, batch 512, one pair of ARM, one thread.

    OMP_NUM_THREADS=1 python benchmarks/hashing.py [step] [trainer]

(a) `floor`: the arithmetic that the step cannot avoid, into buffers made once: logits and softmax for both decoder
    evaluations, and the weight's gradient for one (a linear decoder of binary codes needs no gradient of its input).
    For e2 also the products of its 512 x 512 layer, forward once and backward twice.
(b) `dense`: the same model on dense rows of 10,000 words through torch's default DataLoader, loading included.
Then what the Trainer adds to a bare loop, measured where a step is small enough to see it, beside what Lightning adds
to the smallest of modules without a logger or a callback.
All are measured in turns, in processor time.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Callable, Iterator
from functools import partial
from itertools import pairwise

import lightning.pytorch as pl
import torch
import torch.nn.functional as F
from comparisons import AsFast, Comparison, Contestants, Row, Share, given_data, in_turns, main, timed
from torch import Tensor, nn
from torch.utils.data import DataLoader, TensorDataset

from vae_lightning.callbacks import Bar, LastCheckpoint, MetricsFile
from vae_lightning.counts import Counts
from vae_lightning.data import Newsgroups
from vae_lightning.data.base import InMemoryDataModule
from vae_lightning.data.loaders import Observations, TrainingLoader
from vae_lightning.data.orders import TrainingOrder
from vae_lightning.estimators import ARM
from vae_lightning.models import HashingVAE
from vae_lightning.nn import BagOfWordsMLP, WordFrequencies
from vae_lightning.objectives import ELBO
from vae_lightning.training import trainer

BITS, BATCH, WORDS, ROUNDS = 64, 512, 10_000, 25
ENCODERS = {"e1": {}, "e2": {"hidden": (512, 512), "features": WordFrequencies}}
AIMS: dict[str, dict[str, float | None]] = {
    "e1": {"floor": 1.15, "bfloat16": 0.63, "dense": None, "dense, bfloat16": None},
    "e2": {"floor": 1.25, "bfloat16": 0.63, "dense": 2.5, "dense, bfloat16": 4.0},
}
OVERHEAD = 0.45  # ms
Step = Callable[[], object]


def ours(data: Observations, encoder: str, precision: torch.dtype) -> Step:
    """A whole step: slice, loss, backward, Adam."""
    model = HashingVAE(BITS, WORDS, partial(BagOfWordsMLP, **ENCODERS[encoder]), objective=ELBO(ARM()))
    adam = torch.optim.Adam(model.parameters(), lr=1e-3, fused=True)
    batches = forever(TrainingLoader(data, TrainingOrder(len(data), BATCH)))

    def step() -> None:
        adam.zero_grad()
        with torch.autocast("cpu", torch.bfloat16, enabled=precision is torch.bfloat16):
            loss, _ = model.loss(next(batches), 0)
        loss.backward()
        adam.step()

    return step


def floor(encoder: str, precision: torch.dtype) -> Step:
    """Logits and softmax twice, p^T z once; the hidden layer's three products."""
    hidden, layer = torch.randn(BATCH, 512).to(precision), torch.randn(512, 512).to(precision)
    product = torch.empty(BATCH, 512, dtype=precision)
    z, weight = torch.rand(BATCH, BITS).round().to(precision), torch.randn(WORDS, BITS).to(precision)
    bias, gradient = torch.randn(WORDS).to(precision), torch.empty(WORDS, BITS, dtype=precision)
    logits, p = torch.empty(BATCH, WORDS, dtype=precision), torch.empty(BATCH, WORDS, dtype=precision)

    def step() -> None:
        for _ in range(2):
            torch.addmm(bias, z, weight.T, out=logits)
            torch.softmax(logits, -1, out=p)
        torch.mm(p.T, z, out=gradient)
        for _ in range(3 if encoder == "e2" else 0):
            torch.mm(hidden, layer, out=product)

    return step


def dense(data: Observations, encoder: str) -> Step:
    """The same objective, estimator and optimizer as most public code has them: dense rows, autograd throughout."""
    assert isinstance(data.x, Counts)
    rows = data.x.dense(WORDS)
    widths = (WORDS, *ENCODERS[encoder].get("hidden", ()), BITS)
    layers: list[nn.Module] = []
    for inputs, outputs in pairwise(widths):
        layers += [nn.Linear(inputs, outputs), nn.ReLU()]
    encode, decode = nn.Sequential(*layers[:-1]), nn.Linear(BITS, WORDS)
    adam = torch.optim.Adam([*encode.parameters(), *decode.parameters()], lr=1e-3, fused=True)
    batches = forever(DataLoader(TensorDataset(rows, data.y), BATCH, shuffle=True))

    def bound(x: Tensor, logits: Tensor, z: Tensor) -> Tensor:
        log_q = -F.binary_cross_entropy_with_logits(logits.expand_as(z), z, reduction="none").sum(-1)
        return (x * decode(z).log_softmax(-1)).sum(-1) - log_q

    def step() -> None:
        x, _ = next(batches)
        logits = encode(x / x.sum(-1, keepdim=True) if encoder == "e2" else x)
        u = torch.rand_like(logits)
        z, other = (u < logits.sigmoid()).float(), (1 - u < logits.sigmoid()).float()
        value = bound(x, logits.detach(), z)
        with torch.no_grad():
            signal = (value - bound(x, logits, other))[:, None] * (0.5 - u)
        adam.zero_grad()
        (-(value + (signal * logits).sum(-1))).mean().backward()
        adam.step()

    return step


def forever(loader: object) -> Iterator[tuple[object, Tensor]]:
    """Whole batches, epoch after epoch."""
    while True:
        yield from (batch for batch in loader if len(batch[1]) == BATCH)  # type: ignore[attr-defined]


class Small(InMemoryDataModule):
    """Little documents, so that a step takes a millisecond and what surrounds it shows."""

    num_words, length_distribution = 50, torch.distributions.LogNormal(3.0, 1.0)

    def __init__(self) -> None:
        super().__init__(batch_size=16, eval_batch_size=16)
        self.setup()

    def load(self) -> tuple[Observations, Observations, Observations]:
        counts = torch.poisson(torch.rand(16_000, 50, generator=torch.Generator().manual_seed(0)))
        x = Counts.from_dense(counts + F.one_hot(torch.arange(16_000) % 50, 50))
        documents = Observations.numbered(x, torch.zeros(16_000, dtype=torch.long))
        return documents, documents, documents


class Smallest(pl.LightningModule):
    """One parameter, one product: what is left is Lightning's own loop."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(1))

    def training_step(self, batch: object) -> Tensor:
        return self.weight.square().sum()

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.SGD(self.parameters(), lr=0.1)


def bare_epoch(module: pl.LightningModule, data: Small) -> float:
    """Seconds of a thousand steps without a Trainer."""
    optimizer = module.configure_optimizers()
    began = time.process_time()
    for batch in data.train_dataloader():
        loss = module.loss(batch, 0)[0] if isinstance(module, HashingVAE) else module.training_step(batch)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return time.process_time() - began


class Clock(pl.Callback):
    """The time from the first step to the end of the epoch."""

    def on_train_epoch_start(self, *_: object) -> None:
        self.began = time.process_time()

    def on_train_epoch_end(self, *_: object) -> None:
        self.took = time.process_time() - self.began


def trainer_epoch(module: pl.LightningModule, data: Small, as_the_command: bool) -> float:
    """Seconds of a thousand steps in the Trainer, as the command sets it up (a log line every 20 steps) or plain."""
    clock = Clock()
    with tempfile.TemporaryDirectory() as folder:
        length = {"max_epochs": 1, "limit_val_batches": 0, "accelerator": "cpu"}
        if as_the_command:
            callbacks = [
                clock,
                Bar(console_kwargs={"stderr": True}),
                MetricsFile(),
                LastCheckpoint(),
            ]
            run = trainer(folder, callbacks=callbacks, **length)
        else:
            run = trainer(callbacks=[clock], log_every_n_steps=50, **length)
        run.fit(module, data)
    return clock.took


def added(make: Callable[[], pl.LightningModule], data: Small, as_the_command: bool) -> float:
    """What the Trainer adds to a bare loop, milliseconds a step."""
    bare = bare_epoch(make(), data)
    return trainer_epoch(make(), data, as_the_command) - bare


def small() -> HashingVAE:
    """8 bits, 50 words."""
    return HashingVAE(8, 50, objective=ELBO(ARM()), optimizer=partial(torch.optim.Adam, fused=True))


def contestants(encoder: str) -> Contestants:
    """All ways of one encoder's step, on 20 Newsgroups."""
    news = Newsgroups(num_words=WORDS)
    news.setup()
    return {
        "float32": timed(ours(news.train, encoder, torch.float32)),
        "bfloat16": timed(ours(news.train, encoder, torch.bfloat16)),
        "floor": timed(floor(encoder, torch.float32)),
        "floor, bfloat16": timed(floor(encoder, torch.bfloat16)),
        "dense": timed(dense(news.train, encoder)),
    }


def step(asked: argparse.Namespace) -> Iterator[Row]:
    """Both encoders."""
    for encoder, aims in AIMS.items():
        costs = in_turns(given_data(partial(contestants, encoder)), rounds=2 if asked.quick else ROUNDS, warm=3)
        what = f"hashing step, {encoder}, 64 bits, batch {BATCH}"
        yield Comparison(f"{what}, float32", "float32", "floor", Share(aims["floor"])).row(costs)
        yield Comparison(f"{what}, bfloat16", "bfloat16", "float32", Share(aims["bfloat16"])).row(costs)
        yield Comparison(f"{what}, bfloat16", "bfloat16", "floor, bfloat16", Share()).row(costs)
        yield Comparison(f"{what}, floors in bfloat16", "floor, bfloat16", "floor", Share()).row(costs)
        yield Comparison(f"{what}, float32", "float32", "dense", AsFast(aims["dense"])).row(costs)
        yield Comparison(f"{what}, bfloat16", "bfloat16", "dense", AsFast(aims["dense, bfloat16"])).row(costs)


def in_the_trainer(asked: argparse.Namespace) -> Iterator[Row]:
    """A thousand steps of 50 words, as the command sets them up, and of nothing in Lightning as it comes."""
    data = Small()
    ways: Contestants = {
        "the command": partial(added, small, data, True),
        "Lightning alone": partial(added, Smallest, data, False),
        "the aim": lambda: OVERHEAD,
    }
    costs = in_turns(ways, rounds=1 if asked.quick else 5, warm=0 if asked.quick else 1)
    work = "what the Trainer adds to a step of a small HashingVAE"
    yield Comparison(work, "the command", "the aim", Share(1.0)).row(costs)
    yield Comparison(work, "the command", "Lightning alone", Share()).row(costs)


if __name__ == "__main__":
    main({"step": step, "trainer": in_the_trainer}, __doc__)
