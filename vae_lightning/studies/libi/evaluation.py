"""A trained module and its data -> its likelihoods, by Eq. 48 and exactly, and smooth k-NN, as in the LiBI paper."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from vae_lightning.data import Synthetic
from vae_lightning.data.loaders import Observations
from vae_lightning.estimators import log_mean_exp
from vae_lightning.inference.importance import Inflated, log_weights
from vae_lightning.latent_variable import LatentVariableModel
from vae_lightning.metrics.functional import smooth_knn
from vae_lightning.models.latent_variable import LatentVariableModule
from vae_lightning.randomness import seeded
from vae_lightning.studies.libi.worlds import World
from vae_lightning.studies.store import Figures

NEIGHBOURS, INVERSE_TEMPERATURE, DRAWN = 1, 1.0, 100


def evaluate(
    module: LatentVariableModule, world: World, data: Synthetic, samples: int, comparisons: int, seed: int
) -> Figures:
    """Figures in nats an observation, and smooth k-NN, each with its standard error, `..._error`.

    `validation` and `log_likelihood` by Eq. 48, on those splits; `exact_log_likelihood` of the test split and
    `shortfall`, E log p*(x) - log p(x) over it, which the luck of the split leaves alone.
    """
    test, learned = rows(data.test), world.learned_by(module)
    with seeded(seed, "evaluate"), torch.no_grad():
        validation = importance_sampled(module.model, rows(data.val), samples)
        tested = importance_sampled(module.model, test, samples)
        exact = learned.log_prob(test.double())
        differences = [
            float(smooth_knn(world.truth.sample(DRAWN), learned.sample(DRAWN), NEIGHBOURS, INVERSE_TEMPERATURE))
            for _ in range(comparisons)
        ]
    shortfall = world.truth.log_prob(test.double()) - exact
    figures = {"validation": validation, "log_likelihood": tested, "exact_log_likelihood": exact}
    figures |= {"shortfall": shortfall, "smooth_knn": torch.tensor(differences, dtype=torch.float64)}
    means = {name: float(values.mean()) for name, values in figures.items()}
    return means | {f"{name}_error": float(values.std()) / math.sqrt(len(values)) for name, values in figures.items()}


def rows(split: Observations) -> Tensor:
    """The observations of a world, which are tensors."""
    assert isinstance(split.x, Tensor)
    return split.x


def importance_sampled(model: LatentVariableModel, x: Tensor, samples: int) -> Tensor:
    """Log p(x) of each observation by Eq. 48: the posterior with twice its variance as the proposal."""
    return torch.cat([log_mean_exp(weights) for weights in log_weights(model, x, samples, Inflated())])
