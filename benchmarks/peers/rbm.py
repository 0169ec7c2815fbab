"""Training steps of an RBM by scikit-learn, rbms and learnergy, which have our free energies with their parameters."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from sklearn.neural_network import BernoulliRBM
from torch import Tensor
from torch.utils.data import TensorDataset

from vae_lightning.families import Bernoulli
from vae_lightning.harmonium import Harmonium

Step = Callable[[], object]


def scikit_learn(x: Tensor, dtype: type, hidden: int, rate: float) -> Step:
    """BernoulliRBM's own step, of as many persistent chains as rows."""
    rows, random = x.numpy().astype(dtype), np.random.RandomState(0)
    model = BernoulliRBM(hidden, learning_rate=rate, batch_size=len(x), n_iter=1, random_state=0).fit(rows)
    return lambda: model._fit(rows, random)


def rbms(x: Tensor, hidden: int, rate: float, centred: bool) -> Step:
    """The loop of its `train`, without reading and writing its file at every update."""
    from rbms.bernoulli_bernoulli.classes import BBRBM  # noqa: PLC0415  (an optional peer)
    from rbms.training.pcd import fit_batch_pcd  # noqa: PLC0415  (an optional peer)

    visible = x.shape[1]
    model = BBRBM(0.01 * torch.randn(visible, hidden), torch.zeros(visible), torch.zeros(hidden))
    check_energies(x, model.compute_energy_visibles, model.vbias, model.hbias, model.weight_matrix)
    model.init_grad()
    optimizer, batch = torch.optim.SGD(model.parameters(), lr=rate, maximize=True), (x, torch.ones(len(x)))
    chains = model.init_chains(len(x))

    @torch.no_grad()
    def step() -> None:
        nonlocal chains
        optimizer.zero_grad(set_to_none=False)
        chains, _ = fit_batch_pcd(batch, chains, model, gibbs_steps=1, beta=1.0, centered=centred)
        optimizer.step()

    return step


def learnergy(x: Tensor, hidden: int, rate: float) -> Step:
    """The CD-1 update of its `fit`, without the figures that `fit` reads."""
    from learnergy.models.bernoulli import RBM  # noqa: PLC0415  (an optional peer)

    model = RBM(x.shape[1], hidden, learning_rate=rate)
    check_energies(x, model.energy, model.a, model.b, model.W)

    def step() -> None:
        *_, found = model.gibbs_sampling(x)
        cost = torch.mean(model.energy(x)) - torch.mean(model.energy(found.detach()))
        model.optimizer.zero_grad()
        cost.backward()
        model.optimizer.step()

    return step


def learnergy_fit(x: Tensor, hidden: int, rate: float, batch: int) -> Step:
    """An epoch of its `fit`, with its figures and its batches."""
    from learnergy.models.bernoulli import RBM  # noqa: PLC0415  (an optional peer)

    model, pairs = RBM(x.shape[1], hidden, learning_rate=rate), TensorDataset(x, torch.zeros(len(x)))
    return lambda: model.fit(pairs, batch, 1)


@torch.no_grad()
def check_energies(x: Tensor, energies: Callable[[Tensor], Tensor], *parameters: Tensor) -> None:
    """Raise AssertionError unless a peer's free energies are ours with its parameters: a, b and the couplings."""
    model = Harmonium(Bernoulli(x.shape[1]), Bernoulli(len(parameters[1])))
    for ours, theirs in zip((model.visible_bias, model.hidden_bias, model.weight), parameters, strict=True):
        ours.copy_(theirs)
    torch.testing.assert_close(energies(x), model.free_energy(x), rtol=1e-5, atol=1e-4)
