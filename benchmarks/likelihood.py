"""Log p(x) by 1,000 samples of an MLP 784-512-20 on binary pixels, an image, beside bare arithmetic and pythae.

    OMP_NUM_THREADS=1 python benchmarks/likelihood.py

All have the same weights, and estimates that agree within a nat. `bare` is the same arithmetic and nothing else; pythae
is asked as its users ask it, in ten batches of 100 samples, and in one batch without gradients.
"""

from __future__ import annotations

import argparse
import math
from collections.abc import Callable, Iterator
from functools import partial

import torch
import torch.nn.functional as F
from comparisons import AsFast, Comparison, Contestants, Measure, Row, Share, in_turns, main, peer, timed
from peers.vae import pythae_vae
from torch import Tensor

from vae_lightning import metrics
from vae_lightning.families import Bernoulli
from vae_lightning.inference.importance import log_weights
from vae_lightning.latent_variable import LatentVariableModel
from vae_lightning.models import GaussianVAE
from vae_lightning.nn import MLP

K, IMAGES = 1_000, 20
AGREE = 1.0  # nats


def ours(model: LatentVariableModel, x: Tensor) -> Tensor:
    """As the callback does it: three bounds, errors, effective sample size, jackknife."""
    metric = metrics.LogLikelihood([1, 50, K])
    for part in log_weights(model, x, K):
        metric.update(part)
    return metric.compute()["log_likelihood"]


@torch.no_grad()
def bare(model: LatentVariableModel, x: Tensor) -> Tensor:
    """The same arithmetic and nothing else: one bound, image by image in batches of K."""
    (e1, e2), (d1, d2) = (
        ((net.hidden[0].weight, net.hidden[0].bias), (net.output.weight, net.output.bias))
        for net in (model.encoder.network, model.decoder.network)
    )
    flat, bounds = x.flatten(1), []
    mean, log_sigma = F.linear(F.linear(flat, *e1).relu_(), *e2).chunk(2, -1)
    for pixels, m, s in zip(flat, mean, log_sigma, strict=True):
        noise = torch.randn(K, 20)
        z = m + s.exp() * noise
        logits = F.linear(F.linear(z, *d1).relu_(), *d2)
        log_x = -F.binary_cross_entropy_with_logits(logits, pixels.expand_as(logits), reduction="none").sum(-1)
        log_weight = log_x + 0.5 * (noise.square() - z.square()).sum(-1) + s.sum()
        bounds.append(log_weight.logsumexp(0) - math.log(K))
    return torch.stack(bounds).mean()


def likelihood(asked: argparse.Namespace) -> Iterator[Row]:
    """Ours, bare and pythae's."""
    hidden = partial(MLP, hidden=[512])
    torch.manual_seed(0)
    model = GaussianVAE(20, Bernoulli((1, 28, 28)), encoder=hidden, decoder=hidden).model.eval()
    x = (torch.rand(IMAGES, 1, 28, 28) < 0.2).float()
    expected = float(bare(model, x))

    def checked(estimate: Callable[[], Tensor]) -> Measure:
        assert abs(float(estimate()) - expected) < AGREE
        return timed(estimate, unit=1e3 / IMAGES)

    def pythae(*batch: int) -> Measure:
        vae = pythae_vae(model)
        return checked(torch.set_grad_enabled(not batch)(lambda: vae.get_nll(x, K, *batch)))

    ways: Contestants = {
        "ours": checked(lambda: ours(model, x)),
        "bare": checked(lambda: bare(model, x)),
        "pythae, get_nll(x, 1000)": peer("pythae", pythae),
        "pythae, get_nll(x, 1000, 1000) under no_grad": peer("pythae", lambda: pythae(K)),
    }
    costs = in_turns(ways, 2 if asked.quick else 9)
    what = "log p(x), K = 1,000, MLP 784-512-20, an image"
    yield Comparison(what, "ours", "bare", Share(1.1)).row(costs)
    for name in list(ways)[2:]:
        yield Comparison(what, "ours", name, AsFast(1.3)).row(costs)


if __name__ == "__main__":
    main({"likelihood": likelihood}, __doc__)
