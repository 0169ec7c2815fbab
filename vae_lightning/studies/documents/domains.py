"""Domains in which an RBM is held against a VAE: their data, and a model of each kind for so many bits."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial

import torch
from lightning.pytorch.cli import LRSchedulerCallable

from vae_lightning.data import Digits, Newsgroups, StaticBinarisation
from vae_lightning.data.base import InMemoryDataModule
from vae_lightning.estimators import DisARM
from vae_lightning.families import Bernoulli, Multinomial
from vae_lightning.models import RBM, VAE, HashingVAE
from vae_lightning.models.reproducible import ReproducibleModule
from vae_lightning.nn import MLP
from vae_lightning.objectives import ELBO, PersistentContrastiveDivergence

IMAGE, HIDDEN = (1, 8, 8), 200
Build = Callable[[int, int], ReproducibleModule]
"""(bits, epochs) -> a model, untrained."""


@dataclass(frozen=True, eq=False)
class Domain:
    """Data, the models of so many bits that are trained on them, and a name."""

    name: str
    data: Callable[[], InMemoryDataModule]
    models: Mapping[str, Build]


def text(data: Callable[[], Newsgroups] = Newsgroups) -> Domain:
    """20 Newsgroups: the RBM of Eq. 15, that with the bias scaled, and the VAE of linear networks (e1, depth 0).

    The RBM by CD-1, which costs what the VAE does a step, and by persistent chains, which maximise the likelihood.
    """
    words = data().num_words
    models: dict[str, Build] = {
        "RBM": lambda bits, epochs: _rbm(words, bits, epochs),
        "RBM, persistent chains": lambda bits, epochs: _persistent_rbm(words, bits, epochs),
        "RBM, bias scaled by length": lambda bits, epochs: _rbm(words, bits, epochs, scaled_bias=True),
        "VAE": lambda bits, epochs: _hashing(words, bits),
    }
    return Domain("text", data, models)


def digits() -> Domain:
    """Digits binarised once, so that N are N: the RBM, and VAEs of linear networks and of a hidden layer each."""
    models: dict[str, Build] = {
        "RBM": _digits_rbm,
        "VAE": lambda bits, epochs: _digits_vae(bits, ()),
        "VAE, deep decoder": lambda bits, epochs: _digits_vae(bits, (HIDDEN,)),
    }
    return Domain("digits", partial(Digits, StaticBinarisation()), models)


def _rbm(words: int, bits: int, epochs: int, scaled_bias: bool = False) -> ReproducibleModule:
    adam = partial(torch.optim.Adam, lr=0.16 / bits)  # with more bits, faster, CD-1 runs away on long documents
    return RBM(Multinomial(words), Bernoulli(bits), scaled_bias=scaled_bias, optimizer=adam, scheduler=_falling(epochs))


def _persistent_rbm(words: int, bits: int, epochs: int) -> ReproducibleModule:
    chains = PersistentContrastiveDivergence(steps=5, chains=200)
    adam = partial(torch.optim.Adam, lr=min(0.01, 0.25 / bits))  # faster, the model outruns its chains
    return RBM(Multinomial(words), Bernoulli(bits), chains, optimizer=adam, scheduler=_falling(epochs))


def _hashing(words: int, bits: int) -> ReproducibleModule:
    adam = partial(torch.optim.Adam, lr=0.005 if bits < 32 else 0.002, fused=True)
    return HashingVAE(bits, words, optimizer=adam, evaluation_samples=4)


def _digits_rbm(bits: int, epochs: int) -> ReproducibleModule:
    chains, sgd = PersistentContrastiveDivergence(chains=100), partial(torch.optim.SGD, lr=0.1)
    return RBM(Bernoulli(IMAGE), Bernoulli(bits), chains, optimizer=sgd, scheduler=_falling(epochs))


def _digits_vae(bits: int, hidden: tuple[int, ...]) -> ReproducibleModule:
    network, adam = partial(MLP, hidden=hidden), partial(torch.optim.Adam, lr=0.003)
    return VAE(
        Bernoulli(bits),
        Bernoulli(IMAGE),
        MLP,
        network,
        ELBO(DisARM()),
        optimizer=adam,
        evaluation_samples=4,
    )


def _falling(epochs: int) -> LRSchedulerCallable:
    return partial(torch.optim.lr_scheduler.LinearLR, start_factor=1.0, end_factor=0.02, total_iters=epochs)
