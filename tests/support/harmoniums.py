"""What the tests of harmoniums share: all values of a side, random models, exact samples."""

import itertools
import math

import torch

from vae_lightning.families import Bernoulli
from vae_lightning.harmonium import Harmonium


def all_bits(n):
    return torch.tensor(list(itertools.product((0.0, 1.0), repeat=n)), dtype=torch.float64)


def documents(length, words):
    """Every bag of so many words."""
    bags = [c for c in itertools.product(range(length + 1), repeat=words) if sum(c) == length]
    return torch.tensor(bags, dtype=torch.float64)


def load(model, weight, visible_bias, hidden_bias):
    model = model.double()
    for parameter, value in (
        (model.weight, weight),
        (model.visible_bias, visible_bias),
        (model.hidden_bias, hidden_bias),
    ):
        parameter.data = torch.as_tensor(value, dtype=torch.float64).clone()
    return model


def random_harmonium(visible, hidden, scale=0.5):
    torch.manual_seed(0)
    model = Harmonium(visible, hidden).double()
    for parameter in model.parameters():
        parameter.data = scale * torch.randn_like(parameter)
    return model


@torch.no_grad()
def exact_samples(model, h, n):
    """V drawn by way of h, from the exact marginal over all its values `h` (H, *Z): (n, *E), or (n, L, K)."""
    batch = model.log_partition().shape
    log_marginal = -model.hidden_free_energy(h.reshape(len(h), *(1,) * len(batch), *h.shape[1:]))
    index = torch.distributions.Categorical(logits=log_marginal.movedim(0, -1)).sample((n,))
    return model.visible_given(h[index]).sample()


def bimodal(odds=3.0, strength=2.5, visible=10, hidden=4):
    """An RBM with two modes, all bits off and all on, the second `odds` times as probable; both are fair on the way.

    -E = J (s - n/2) (t - m/2) + s/n log odds for s visible and t hidden bits on: with J = 2.5 a barrier of 18 nats.
    """
    weight = torch.full((visible, hidden), strength)
    visible_bias = torch.full((visible,), math.log(odds) / visible - strength * hidden / 2)
    model = Harmonium(Bernoulli(visible), Bernoulli(hidden))
    return load(model, weight, visible_bias, torch.full((hidden,), -strength * visible / 2))
