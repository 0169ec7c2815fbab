"""A training step of a VAE, an IWAE and a VampPrior, MLP 784-512-20 on binary pixels, batch 100, beside pythae's.

    OMP_NUM_THREADS=1 python benchmarks/vae.py

Both have copies of the same networks and Adam; the batch is at hand. A step is the loss, backward and the update.
Before they are timed, their networks' gradients are seen to be the same with the same noise. pythae's layer of
pseudo-inputs has 784 biases more.
"""

from __future__ import annotations

import argparse
import copy
from collections.abc import Callable, Iterator
from functools import partial

import torch
from comparisons import AsFast, Comparison, Contestants, Row, in_turns, main, peer, timed
from peers.vae import PIXELS, UNITS, pythae_iwae, pythae_vae, pythae_vamp
from torch import Tensor, nn

from vae_lightning.estimators import Reparameterised
from vae_lightning.families import Bernoulli
from vae_lightning.models import GaussianVAE
from vae_lightning.nn import MLP
from vae_lightning.objectives import ELBO, IWAE
from vae_lightning.priors import VampPrior

BATCH, SAMPLES, COMPONENTS, STEPS, ROUNDS = 100, 10, 100, 20, 12
HIDDEN = partial(MLP, hidden=[512])
X = (torch.rand(BATCH, *PIXELS, generator=torch.Generator().manual_seed(0)) < 0.2).float()
Loss = Callable[[], Tensor]


def vae() -> GaussianVAE:
    return GaussianVAE(UNITS, Bernoulli(PIXELS), HIDDEN, HIDDEN)


def iwae() -> GaussianVAE:
    return GaussianVAE(UNITS, Bernoulli(PIXELS), HIDDEN, HIDDEN, IWAE(Reparameterised(SAMPLES)))


def vamp() -> GaussianVAE:
    inputs = 0.1 + 0.8 * torch.rand(COMPONENTS, *PIXELS)
    prior = VampPrior(UNITS, PIXELS, COMPONENTS, pseudo_inputs=inputs)
    return GaussianVAE(UNITS, Bernoulli(PIXELS), HIDDEN, HIDDEN, ELBO(Reparameterised()), prior)


def our_loss(module: GaussianVAE) -> Loss:
    """As `training_step` has it where no figure is logged."""
    return lambda: module.training_loss((X, None), 0, read=False)[0]


def their_loss(module: nn.Module) -> Loss:
    return lambda: module({"data": X}).loss


def step(loss: Loss, module: nn.Module) -> Callable[[], None]:
    """Loss, backward, Adam."""
    adam = torch.optim.Adam(module.parameters(), lr=1e-3, fused=True)

    def run() -> None:
        adam.zero_grad()
        loss().backward()
        adam.step()

    return run


def gradients(loss: Loss, module: nn.Module, networks: tuple[nn.Module, ...]) -> Tensor:
    """All of the networks', with the same noise each time."""
    torch.manual_seed(1)
    module.zero_grad()
    loss().backward()
    found = [each.grad.flatten() for network in networks for each in network.parameters() if each.grad is not None]
    module.zero_grad()
    return torch.cat(found)


def check_gradients(ours: GaussianVAE, theirs: nn.Module) -> None:
    """AssertionError unless both have the same gradients; pythae's noise as ours is laid out, samples first."""
    networks = ours.model.encoder.network, ours.model.decoder.network
    expected = gradients(our_loss(ours), ours, networks)
    drawn, theirs._sample_gauss = theirs._sample_gauss, samples_first
    found = gradients(their_loss(theirs), theirs, (theirs.encoder, theirs.decoder))
    theirs._sample_gauss = drawn
    apart = float(torch.dist(found, expected) / expected.norm())
    assert apart < 1e-3, apart


def samples_first(mean: Tensor, scale: Tensor) -> tuple[Tensor, Tensor]:
    """What pythae's models draw."""
    noise = torch.randn(scale.transpose(0, -2).shape).transpose(0, -2)
    return mean + noise * scale, noise


KINDS: dict[str, tuple[Callable[[], GaussianVAE], Callable[[GaussianVAE], nn.Module]]] = {
    "VAE": (vae, lambda module: pythae_vae(module.model)),
    f"IWAE, {SAMPLES} samples": (iwae, lambda module: pythae_iwae(module.model, SAMPLES)),
    f"VampPrior, {COMPONENTS} pseudo-inputs": (
        vamp,
        lambda module: pythae_vamp(module.model, module.model.prior.pseudo_inputs.detach()),
    ),
}


def steps(asked: argparse.Namespace) -> Iterator[Row]:
    """Of each kind."""
    for name, (build, theirs) in KINDS.items():
        torch.manual_seed(0)
        ours = build()
        module = copy.deepcopy(ours)

        def pythaes(module: GaussianVAE = module, ours: GaussianVAE = ours) -> Callable[[], float]:
            peers = theirs(module).train()  # noqa: B023  (called at once)
            check_gradients(ours, peers)
            return timed(step(their_loss(peers), peers), STEPS)

        ways: Contestants = {"pythae": peer("pythae", pythaes), "ours": timed(step(our_loss(ours), ours), STEPS)}
        costs = in_turns(ways, 1 if asked.quick else ROUNDS)
        yield Comparison(f"training step, {name}", "ours", "pythae", AsFast(), note="equal gradients").row(costs)


if __name__ == "__main__":
    main({"steps": steps}, __doc__)
