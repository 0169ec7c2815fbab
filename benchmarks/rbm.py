"""One training step of an RBM, 784 x 256, batch 100, one thread, beside scikit-learn's, rbms' and learnergy's.

    OMP_NUM_THREADS=1 python benchmarks/rbm.py [step] [trainer] [documents]

`bare` is the closed-form arithmetic alone, written out with torch: products, sigmoids, uniform noise, moments, SGD.
`training_step` is what RBM does of it: loss, backward, SGD. `Trainer` is steps of `fit` as the command sets it up, with
a log line every 50. scikit-learn is BernoulliRBM's own step (persistent chains, as many as a batch). rbms, the package
of Decelle, Seoane and others: its PCD step with as many chains, one Gibbs step, its gradient centred (its default) or
not, and torch's SGD. learnergy: the CD-1 update of its `fit` (sampling, cost, backward, SGD) without the figures that
`fit` reads, and all of `fit` beside our Trainer. Both peers are first seen to have our free energies.
`documents` is a step on 20 Newsgroups (VAE_LIGHTNING_DATA), 10,000 words, 64 bits, batch 128: loss, backward and
Adam of the multinomial RBM by CD-1, of the same by persistent chains (200, five steps), and of the hashing VAE by one
pair of DisARM. `products` are the five matrix products of a step alone, and `4 x 3` is `training_step` of so small a
model on two rows: what calls cost. All are measured in turns, in processor time.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Callable, Iterator
from functools import partial
from itertools import cycle

import lightning.pytorch as pl
import numpy as np
import torch
from comparisons import AsFast, Comparison, Contestants, Measure, Row, Share, given_data, in_turns, main, peer, timed
from peers.rbm import learnergy, learnergy_fit, rbms, scikit_learn

from vae_lightning.callbacks import Bar, LastCheckpoint, MetricsFile
from vae_lightning.data import Newsgroups
from vae_lightning.data.base import InMemoryDataModule
from vae_lightning.data.loaders import Observations
from vae_lightning.families import Bernoulli, Multinomial
from vae_lightning.models import RBM, HashingVAE
from vae_lightning.models.reproducible import ReproducibleModule
from vae_lightning.objectives import ContrastiveDivergence, PersistentContrastiveDivergence
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


class Clock(pl.Callback):
    def on_train_epoch_start(self, *_: object) -> None:
        self.began = time.process_time()

    def on_train_epoch_end(self, *_: object) -> None:
        self.took = time.process_time() - self.began


def in_the_trainer(data: Bits, persistent: bool, steps: int) -> float:
    """Milliseconds a step, batches included."""
    clock = Clock()
    with tempfile.TemporaryDirectory() as folder:
        callbacks = [clock, Bar(console_kwargs={"quiet": True}), MetricsFile(), LastCheckpoint()]
        length = {"max_epochs": 1, "limit_train_batches": steps, "limit_val_batches": 0, "accelerator": "cpu"}
        run = trainer(folder, callbacks=callbacks, log_every_n_steps=50, **length)
        module = rbm(persistent)
        module.started = True  # to look at all of the data once is no part of a step
        run.fit(module, data)
    return 1e3 * clock.took / steps


def documents(module: ReproducibleModule, data: Newsgroups) -> Step:
    batches = cycle(data.train_dataloader())
    adam = torch.optim.Adam(module.parameters(), lr=1e-3, fused=True)

    def step() -> None:
        adam.zero_grad()
        module.training_loss(next(batches), 0, read=False)[0].backward()
        adam.step()

    return step


def step(asked: argparse.Namespace) -> Iterator[Row]:
    """Steps alone, the batch at hand."""
    x = Bits().train.batch(torch.arange(BATCH))[0]
    small = RBM(Bernoulli(4), Bernoulli(3), optimizer=partial(torch.optim.SGD, lr=RATE))
    ways: Contestants = {
        "CD-1, bare": timed(bare(x, False), STEPS),
        "CD-1": timed(training_step(x, rbm(False)), STEPS),
        "learnergy": peer("learnergy", lambda: timed(learnergy(x, HIDDEN, RATE), STEPS)),
        "PCD, bare": timed(bare(x, True), STEPS),
        "PCD": timed(training_step(x, rbm(True)), STEPS),
        "scikit-learn, float32": timed(scikit_learn(x, np.float32, HIDDEN, RATE), STEPS),
        "scikit-learn, float64": timed(scikit_learn(x, np.float64, HIDDEN, RATE), STEPS),
        "rbms, centred": peer("rbms", lambda: timed(rbms(x, HIDDEN, RATE, True), STEPS)),
        "rbms, not centred": peer("rbms", lambda: timed(rbms(x, HIDDEN, RATE, False), STEPS)),
        "products": timed(products(x), STEPS),
        "4 x 3": timed(training_step(torch.ones(2, 4), small), STEPS),
    }
    costs = in_turns(ways, 2 if asked.quick else ROUNDS)
    for name in ("CD-1", "PCD"):
        yield Comparison(f"RBM step, {name}", name, f"{name}, bare", Share(1.08), peer="bare").row(costs)
    for dtype, aim in (("float32", 1.5), ("float64", None)):
        for name in ("CD-1", "PCD"):
            other = f"scikit-learn, {dtype}"
            yield Comparison(f"RBM step, {name}", name, other, AsFast(aim), peer=f"{other}, PCD").row(costs)
    yield Comparison("RBM step, PCD", "PCD", "rbms, centred", AsFast(1.5)).row(costs)
    yield Comparison("RBM step, PCD", "PCD", "rbms, not centred", AsFast(1.5)).row(costs)
    yield Comparison("RBM step, CD-1", "CD-1", "learnergy", AsFast(), note="without its figures").row(costs)
    yield Comparison("RBM, bare step, CD-1", "CD-1, bare", "products", Share(), peer="its products").row(costs)
    yield Comparison("RBM step of 4 x 3: what calls cost", "4 x 3", "CD-1", Share(), peer="784 x 256").row(costs)


def learnergys(x: torch.Tensor) -> Measure:
    """Milliseconds an update of its `fit`."""
    fit = timed(learnergy_fit(x[: STEPS * BATCH], HIDDEN, RATE, BATCH))
    return lambda: fit() / STEPS


def in_trainer(asked: argparse.Namespace) -> Iterator[Row]:
    """As the command trains."""
    data, steps = Bits(), STEPS if asked.quick else 10 * STEPS
    x = data.train.batch(torch.arange(BATCH))[0]
    ways: Contestants = {
        "CD-1, bare": timed(bare(x, False), STEPS),
        "CD-1": partial(in_the_trainer, data, False, steps),
        "PCD, bare": timed(bare(x, True), STEPS),
        "PCD": partial(in_the_trainer, data, True, steps),
        "learnergy": peer("learnergy", lambda: learnergys(data.train.x)),
    }
    costs = in_turns(ways, 1 if asked.quick else ROUNDS)
    for name in ("CD-1", "PCD"):
        yield Comparison(f"RBM in the Trainer, {name}", name, f"{name}, bare", Share(1.2), peer="bare").row(costs)
    yield Comparison("RBM in the Trainer, CD-1", "CD-1", "learnergy", AsFast(), peer="learnergy, fit").row(costs)


def by_models() -> Contestants:
    """20 Newsgroups by two RBMs and a VAE."""
    news = Newsgroups(num_words=WORDS, batch_size=128)
    news.setup()
    chains = RBM(Multinomial(WORDS), Bernoulli(BITS), PersistentContrastiveDivergence(steps=5, chains=200))
    chains.start(news)
    return {
        "CD-1": timed(documents(RBM(Multinomial(WORDS), Bernoulli(BITS)), news), STEPS),
        "persistent chains": timed(documents(chains, news), STEPS),
        "hashing VAE": timed(documents(HashingVAE(BITS, WORDS), news), STEPS),
    }


def of_documents(asked: argparse.Namespace) -> Iterator[Row]:
    """The multinomial RBM beside the hashing VAE."""
    costs = in_turns(given_data(by_models), 1 if asked.quick else ROUNDS)
    for name in ("CD-1", "persistent chains"):
        yield Comparison(f"multinomial RBM step on documents, {name}", name, "hashing VAE", Share()).row(costs)


if __name__ == "__main__":
    main({"step": step, "trainer": in_trainer, "documents": of_documents}, __doc__)
