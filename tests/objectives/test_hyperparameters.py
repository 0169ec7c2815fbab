"""Every hyper-parameter of every objective changes what is trained: none is stored and forgotten."""

from __future__ import annotations

import inspect
from typing import Any

import pytest
import torch
from torch import Tensor

from vae_lightning import objectives
from vae_lightning.conditional import Conditional
from vae_lightning.estimators import Reparameterised
from vae_lightning.families import Normal
from vae_lightning.latent_variable import LatentVariableModel
from vae_lightning.nn import MLP
from vae_lightning.objectives import ELBO, IWAE, Alternating, AnalyticELBO, DReG, ForwardKL, FreeBits, Objective, WarmUp
from vae_lightning.priors import FactorisedPrior

ONE, TWO = Reparameterised(1), Reparameterised(2)
WEIGHTED = ({"estimator": ONE}, {"estimator": TWO, "beta": 0.5})
CASES: dict[type[Objective], tuple[dict[str, Any], dict[str, Any]]] = {
    ELBO: WEIGHTED,
    AnalyticELBO: WEIGHTED,
    IWAE: ({"estimator": ONE}, {"estimator": TWO}),
    DReG: ({"estimator": ONE}, {"estimator": TWO}),
    FreeBits: ({"estimator": ONE, "free_nats": 0.3}, {"estimator": TWO, "free_nats": 1.0}),
    ForwardKL: ({}, {}),
    Alternating: (
        {"decoder": ELBO(ONE), "encoder": ForwardKL()},
        {"decoder": IWAE(TWO), "encoder": ELBO(ONE), "decoder_steps": 2, "encoder_steps": 3},
    ),
}
"""For each objective what to begin with, and another value of everything it takes."""


def training_signal(objective: Objective) -> Tensor:
    """Values and gradients of eight steps, each under its own seed."""
    torch.manual_seed(0)
    encoder, decoder = Conditional(Normal(2), (3,), MLP), Conditional(Normal(3, 1.0), (2,), MLP)
    model = LatentVariableModel(encoder, decoder, FactorisedPrior(Normal(2)))
    parameters, x, signal = list(model.parameters()), torch.randn(6, 3), []
    for step in range(8):
        torch.manual_seed(step)
        value = objective.at(step)(model, x).mean()
        gradients = torch.autograd.grad(value, parameters, materialize_grads=True)
        signal.append(torch.cat([value.detach()[None], *(gradient.flatten() for gradient in gradients)]))
    return torch.stack(signal)


def test_the_cases_are_all_there_is() -> None:
    public = [getattr(objectives, name) for name in objectives.__all__]
    concrete = {kind for kind in public if issubclass(kind, Objective) and not inspect.isabstract(kind)}
    assert set(CASES) == concrete
    for kind, (_, other) in CASES.items():
        assert set(inspect.signature(kind).parameters) == set(other), kind


@pytest.mark.parametrize(
    ("kind", "name"), [(kind, name) for kind, (_, other) in CASES.items() for name in other], ids=str
)
def test_it_changes_the_training(kind: type[Objective], name: str) -> None:
    begin, other = CASES[kind]
    reference = training_signal(kind(**begin))
    assert torch.equal(reference, training_signal(kind(**begin)))
    assert not torch.allclose(training_signal(kind(**begin | {name: other[name]})), reference)


@pytest.mark.parametrize("change", [{"steps": 5}, {"start": 0.3}, {"end": 2.0}], ids=str)
@pytest.mark.parametrize("kind", [ELBO, AnalyticELBO])
def test_a_schedule_changes_the_training(kind: type[ELBO] | type[AnalyticELBO], change: dict[str, Any]) -> None:
    reference = training_signal(kind(ONE, WarmUp(steps=3)))
    assert not torch.allclose(training_signal(kind(ONE, WarmUp(**{"steps": 3} | change))), reference)
