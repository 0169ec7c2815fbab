"""How the two players of `objectives.Adversarial` are best stepped: both at once, or in turns by two optimizers.

    python benchmarks/adversarial.py [--steps 1500] [--seeds 3]

The data are a ring of eight Gaussians. For each way and penalty, the mean over seeds and the worst of them:
modes that get at least 2 % of 5,000 noiseless samples, the share of samples within 3 sigma of a mode, the mean
distance to the nearest mode in sigmas, the squared maximum mean discrepancy from fresh data (Gaussian kernel of width
1; the generator is the moving average of the last steps), and milliseconds for one update of both players.
"""

from __future__ import annotations

import argparse
import math
import statistics
import time
from collections.abc import Callable, Iterator
from functools import partial

import torch
from comparisons import Comparison, Costs, Row, Share, main
from torch import Tensor
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from vae_lightning.data.processes import GaussianMixture
from vae_lightning.families import Normal
from vae_lightning.models import GaussianVAE
from vae_lightning.models.optimizers import quick_adam
from vae_lightning.nn import MLP
from vae_lightning.objectives import R1, Adversarial, DiscriminatorPenalty

SIGMA, BATCH, RATE, BETAS = 0.05, 256, 1e-3, (0.5, 0.99)
RING = tuple((2 * math.cos(k * math.pi / 4), 2 * math.sin(k * math.pi / 4)) for k in range(8))
TRUTH = GaussianMixture(RING, SIGMA)
Step = Callable[[Tensor], None]


def adam(parameters: list[Tensor]) -> torch.optim.Adam:
    optimizer = quick_adam(parameters, lr=RATE)
    for group in optimizer.param_groups:
        group["betas"] = BETAS
    return optimizer


def at_once(gan: GaussianVAE, game: Adversarial) -> Step:
    """One sum of both losses, one backward pass, one optimizer."""
    optimizer = adam([*gan.model.decoder.parameters(), *game.discriminator.parameters()])

    def step(x: Tensor) -> None:
        optimizer.zero_grad()
        game.loss(gan.model, x).backward()
        optimizer.step()

    return step


def in_turns(gan: GaussianVAE, game: Adversarial) -> Step:
    """The discriminator's optimizer, then the generator's against the new discriminator, with the same samples."""
    generator, discriminator = adam(gan.model.decoder.parameters()), adam(game.discriminator.parameters())

    def step(x: Tensor) -> None:
        discriminator.zero_grad()
        fake = game.fakes(gan.model.decoder(torch.randn(len(x), 2)), game.noise)
        real, seen = game.logits(x), game.logits(fake.detach())
        loss = game.losses.discriminator(real, seen)
        if game.penalty is not None:
            loss = loss + game.penalty(game.logits, x, fake.detach(), game.noise)
        loss.mean().backward()
        discriminator.step()
        generator.zero_grad()
        game.losses.generator(game._held(fake)).mean().backward()
        generator.step()

    return step


def trained(way: Callable[..., Step], penalty: DiscriminatorPenalty | None, seed: int, steps: int) -> list[float]:
    """The figures of one run."""
    torch.manual_seed(seed)
    network = partial(MLP, hidden=[64, 64])
    game = Adversarial(network, penalty=penalty)
    gan = GaussianVAE(2, Normal(2, SIGMA), decoder=network, objective=game)
    average = AveragedModel(gan.model.decoder.network, multi_avg_fn=get_ema_multi_avg_fn(0.99))
    step, begun = way(gan, game), time.process_time()
    for number in range(steps):
        step(TRUTH.sample(BATCH, torch.Generator().manual_seed(seed * steps + number)))
        average.update_parameters(gan.model.decoder.network)
    return [*judged(average(torch.randn(5_000, 2)).detach()), 1e3 * (time.process_time() - begun) / steps]


def judged(means: Tensor) -> list[float]:
    """Modes, share near one, nearest distance, discrepancy."""
    distance, nearest = torch.cdist(means, torch.tensor(RING)).min(1)
    near = distance < 3 * SIGMA
    found = int((torch.bincount(nearest[near], minlength=8) >= 100).sum())
    samples, data = means + SIGMA * torch.randn_like(means), TRUTH.sample(5_000, torch.Generator().manual_seed(9))
    kernel = [float((-torch.cdist(a, b).square() / 2).exp().mean()) for a, b in ((samples, samples), (data, data))]
    cross = float((-torch.cdist(samples, data).square() / 2).exp().mean())
    return [found, float(near.float().mean()), float(distance.mean()) / SIGMA, sum(kernel) - 2 * cross]


def players(asked: argparse.Namespace) -> Iterator[Row]:
    """Both ways, without a penalty and with one, in turns by seed."""
    steps, seeds = (20, 1) if asked.quick else (asked.steps, asked.seeds)
    for penalty in (None, R1(0.5)):
        runs: dict[str, list[list[float]]] = {"at once": [], "in turns": []}
        for seed in range(seeds):
            for name, way in (("at once", at_once), ("in turns", in_turns)):
                runs[name].append(trained(way, penalty, seed, steps))
        costs: Costs = {name: [run[-1] for run in found] for name, found in runs.items()}
        note = "; ".join(f"{name}: {figures(found)}" for name, found in runs.items())
        work = f"an update of both players on a ring, penalty {penalty or 'none'}"
        yield Comparison(work, "at once", "in turns", Share(), note=note).row(costs)


def figures(runs: list[list[float]]) -> str:
    """Means over seeds, and the worst."""
    modes, near, distance, discrepancy, _ = zip(*runs, strict=True)
    return (
        f"modes {statistics.mean(modes):.1f} ({min(modes)}), near {statistics.mean(near):.3f} ({min(near):.3f}), "
        f"distance {statistics.mean(distance):.2f} ({max(distance):.2f}), "
        f"discrepancy {statistics.mean(discrepancy):.5f} ({max(discrepancy):.5f})"
    )


def options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--steps", type=int, default=1_500, help="updates of both players")
    parser.add_argument("--seeds", type=int, default=3)


if __name__ == "__main__":
    main({"players": players}, __doc__, options)
