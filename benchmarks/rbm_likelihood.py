"""Test log-likelihood of binary digits, 64 hidden bits, 26,000 updates: scikit-learn and rbms beside ours.

    python benchmarks/rbm_likelihood.py
    vae-lightning fit --config configs/rbm/digits.yaml
    python benchmarks/rbm_likelihood.py --ckpt runs/version_0/checkpoints/best.ckpt [--draw rbm-digits.png]

All train on the same digits, drawn once, in batches of 100 but where said, at a constant rate. rbms is the package of
Decelle, Seoane and others, where it is installed (pip install --no-deps rbms h5py); it has as many persistent chains
as ours, and divides each gradient by its norm, so that its rates are no rates of ours. The weights of the others are
loaded into our harmonium, and all are judged by the same annealed importance sampling (100 chains, 5,000 steps, from
the training data's mean). A checkpoint is judged beside them.
A row is of the best settings of either side by test log-likelihood, in nats a digit.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator
from functools import partial

import torch
from comparisons import Absent, AsLikely, Comparison, Row, main
from PIL import Image
from sklearn.neural_network import BernoulliRBM

from vae_lightning.callbacks import Chains
from vae_lightning.callbacks.pictures.painters import painter
from vae_lightning.data import Digits, StaticBinarisation
from vae_lightning.families import Bernoulli
from vae_lightning.harmonium import Harmonium
from vae_lightning.models import RBM
from vae_lightning.objectives import NegativePhase, ParallelTempering, PersistentContrastiveDivergence

UPDATES = 26_000
SETTINGS = ((10, 0.1), (10, 0.01), (100, 0.1), (100, 0.05))
"""scikit-learn's batch size and rate; the first are its defaults."""
BATCH, RATES = 100, (0.1, 0.02)
RBMS = ((0.01, True), (0.01, False), (0.003, True))
"""rbms' rate, 0.01 by default, and whether its gradients are centred, as they are by default."""
ALGORITHMS: dict[str, Callable[[], NegativePhase]] = {
    "PCD, 100 chains": partial(PersistentContrastiveDivergence, chains=BATCH),
    "parallel tempering, 20 chains of 10 temperatures": partial(ParallelTempering, chains=20, betas=10),
}


@torch.no_grad()
def judge(name: str, model: Harmonium, data: Digits) -> float:
    """The log-likelihood of the test digits; prints that of the training digits, too, and the error of log Z."""
    start = model.visible.fitted(data.train.x.mean(0).flatten())
    torch.manual_seed(0)
    log_z = model.annealed_log_partition(100, torch.linspace(0, 1, 5001), start)
    train, test = (float(-model.free_energy(split.x).mean() - log_z.value) for split in (data.train, data.test))
    error, effective = float(log_z.stderr), float(log_z.effective_sample_size)
    print(f"{name}: train {train:.2f}, test {test:.2f}, log Z +- {error:.2f}, {effective:.0f} chains count", flush=True)
    return test


def scikit_learn(batch_size: int, rate: float, data: Digits, updates: int) -> Harmonium:
    x = data.train.x.flatten(1).numpy()
    epochs = updates // -(-len(x) // batch_size)
    trained = BernoulliRBM(64, learning_rate=rate, batch_size=batch_size, n_iter=epochs, random_state=0).fit(x)
    found = trained.components_.T.copy(), trained.intercept_visible_, trained.intercept_hidden_
    return harmonium(*map(torch.from_numpy, found))


def harmonium(weight: torch.Tensor, visible_bias: torch.Tensor, hidden_bias: torch.Tensor) -> Harmonium:
    model = Harmonium(Bernoulli((1, 8, 8)), Bernoulli(64))
    with torch.no_grad():
        for parameter, value in zip(model.parameters(), (weight, visible_bias, hidden_bias), strict=True):
            parameter.copy_(value)
    return model


def batches(x: torch.Tensor, updates: int) -> Iterator[torch.Tensor]:
    """The rows in a new order each time, until there were enough updates."""
    for _ in range(-(-updates // -(-len(x) // BATCH))):
        yield from x[torch.randperm(len(x))].split(BATCH)


def ours(algorithm: NegativePhase, rate: float, data: Digits, updates: int) -> Harmonium:
    torch.manual_seed(0)
    module = RBM(Bernoulli((1, 8, 8)), Bernoulli(64), algorithm, optimizer=partial(torch.optim.SGD, lr=rate))
    module.start(data)
    optimizer = module.configure_optimizers()
    for x in batches(data.train.x, updates):
        optimizer.zero_grad()
        module.training_loss((x, None), 0, read=False)[0].backward()
        optimizer.step()
    rates = [float(rate) for name, rate in module.loss((x, None), 0)[1].items() if name.startswith("swap_rate")]
    if rates:
        print(f"  swap rates {min(rates):.2f} to {max(rates):.2f}")
    return module.model


@torch.no_grad()
def rbms(rate: float, centred: bool, data: Digits, updates: int) -> Harmonium:
    from rbms.bernoulli_bernoulli.classes import BBRBM  # noqa: PLC0415  (an optional peer)
    from rbms.bernoulli_bernoulli.implement import _init_parameters  # noqa: PLC0415  (an optional peer)
    from rbms.training.pcd import fit_batch_pcd  # noqa: PLC0415  (an optional peer)

    torch.manual_seed(0)
    rows = data.train.x.flatten(1)
    visible_bias, hidden_bias, weight = _init_parameters(64, rows, rows.device, rows.dtype)
    model = BBRBM(weight, visible_bias, hidden_bias)
    model.init_grad()
    chains, optimizer = model.init_chains(BATCH), torch.optim.SGD(model.parameters(), lr=rate, maximize=True)
    for x in batches(rows, updates):
        optimizer.zero_grad(set_to_none=False)
        chains, _ = fit_batch_pcd((x, torch.ones(len(x))), chains, model, gibbs_steps=1, beta=1.0, centered=centred)
        optimizer.step()
    return harmonium(model.weight_matrix, model.vbias, model.hbias)


def draw(module: RBM, file: str) -> None:
    """Ten persistent chains, as they go on."""
    picture = Chains(n=10, steps=(0, 1, 10, 100, 1000))
    picture.paint = painter(module.model.visible.event_shape)
    torch.manual_seed(0)
    Image.fromarray(picture.draw(module)).save(file, optimize=True)


def trained(data: Digits, updates: int) -> Iterator[tuple[str, str, Callable[[], Harmonium]]]:
    """Who, with which settings, and the training."""
    for rate, centred in RBMS:
        settings = f"{'centred' if centred else 'not centred'}, rate {rate}"
        yield "rbms, PCD", settings, partial(rbms, rate, centred, data, updates)
    for name, algorithm in ALGORITHMS.items():
        for rate in RATES:
            yield f"ours, {name}", f"rate {rate}", partial(ours, algorithm(), rate, data, updates)
    for batch_size, rate in SETTINGS:
        settings = f"batch {batch_size}, rate {rate}"
        yield "scikit-learn", settings, partial(scikit_learn, batch_size, rate, data, updates)


def likelihoods(asked: argparse.Namespace) -> Iterator[Row]:
    """Ours by both algorithms, beside rbms and scikit-learn."""
    data = Digits(StaticBinarisation())
    data.setup()
    if asked.ckpt:
        module = RBM.load_from_checkpoint(asked.ckpt, weights_only=True)
        judge("the checkpoint", module.model, data)
        if asked.draw:
            draw(module, asked.draw)
    updates = 300 if asked.quick else UPDATES
    best: dict[str, list[float] | Absent] = {}
    chosen: dict[str, str] = {}
    for who, settings, train in trained(data, updates):
        try:
            test = judge(f"{who}, {settings}", train(), data)
        except ImportError as error:
            best[who] = Absent(f"rbms is not installed ({error})")
            continue
        so_far = best.get(who)
        if not isinstance(so_far, list) or test > so_far[0]:
            best[who], chosen[who] = [test], settings
    for name in ALGORITHMS:
        for other in ("scikit-learn", "rbms, PCD"):
            who = f"ours, {name}"
            note = "; ".join(f"{each}: {chosen[each]}" for each in (who, other) if each in chosen)
            work = f"test digits by an RBM of 64 bits, {updates:,} updates, {name}"
            yield Comparison(work, who, other, AsLikely(), "nats a digit", note=note).row(best)


def options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--ckpt", help="judged beside them")
    parser.add_argument("--draw", help="a .png for ten chains of it")


if __name__ == "__main__":
    main({"likelihoods": likelihoods}, __doc__, options)
