"""Every hyper-parameter of every objective changes what is trained: none is stored and forgotten."""

from __future__ import annotations

import inspect
from functools import partial
from typing import Any

import pytest
import torch
from torch import Tensor

from vae_lightning import objectives
from vae_lightning.conditional import Conditional
from vae_lightning.estimators import Reparameterised
from vae_lightning.families import Bernoulli, GibbsMRF, Normal
from vae_lightning.inference.importance import Inflated
from vae_lightning.latent_variable import LatentVariableModel
from vae_lightning.nn import MLP
from vae_lightning.objectives import (
    ELBO,
    IWAE,
    R1,
    Adversarial,
    Aggressive,
    Alternating,
    AnalyticELBO,
    CodeLikelihood,
    DReG,
    FirstThen,
    ForwardKL,
    FreeBits,
    GeneratorFirst,
    GibbsELBO,
    Hamiltonian,
    Hinge,
    ImportanceBound,
    MeanFakes,
    Objective,
    PosteriorFit,
    Segments,
    WarmUp,
)
from vae_lightning.objectives.code_likelihood import Constraint
from vae_lightning.objectives.constraints.penalties import HenzeZirkler, Mean
from vae_lightning.priors import FactorisedPrior


class Distance(Constraint):
    """Codes near zero."""

    name = "distance"

    def forward(self, model: LatentVariableModel, x: Any, z: Tensor) -> Tensor:
        return z.square().sum()


def conditionals(seed: int) -> tuple[Conditional, Conditional]:
    torch.manual_seed(seed)
    return Conditional(Normal(2), (3,), MLP), Conditional(Normal(3, 1.0), (2,), MLP)


CODES = (conditionals(0)[0], conditionals(1)[0])
ONE, TWO = Reparameterised(1), Reparameterised(2)
WEIGHTED = ({"estimator": ONE}, {"estimator": TWO, "beta": 0.5})
CASES: dict[type[Objective], tuple[dict[str, Any], dict[str, Any]]] = {
    ELBO: WEIGHTED,
    AnalyticELBO: WEIGHTED,
    IWAE: ({"estimator": ONE}, {"estimator": TWO}),
    DReG: ({"estimator": ONE}, {"estimator": TWO}),
    FreeBits: ({"estimator": ONE, "free_nats": 0.3}, {"estimator": TWO, "free_nats": 1.0}),
    ForwardKL: ({}, {}),
    Adversarial: (
        {"discriminator": MLP},
        {
            **{"discriminator": partial(MLP, hidden=[4]), "loss": Hinge(), "penalty": R1(), "fakes": MeanFakes()},
            **{"rate": 2.0, "discriminator_steps": 2},
        },
    ),
    Alternating: (
        {"decoder": ELBO(ONE), "encoder": ForwardKL()},
        {"decoder": IWAE(TWO), "encoder": ELBO(ONE), "decoder_steps": 2, "encoder_steps": 3},
    ),
    FirstThen: (
        {"first": ELBO(ONE), "then": ELBO(TWO), "steps": 2},
        {"first": IWAE(TWO), "then": ForwardKL(), "steps": 5},
    ),
    ImportanceBound: ({"num_samples": 2}, {"num_samples": 3, "proposal": Inflated(4.0)}),
    GibbsELBO: ({"num_samples": 2}, {"num_samples": 3}),
    CodeLikelihood: (
        {"penalties": [Mean()], "codes": CODES[0]},
        {"penalties": [HenzeZirkler()], "constraints": [Distance()], "codes": CODES[1]},
    ),
    GeneratorFirst: (
        {"generator": ELBO(ONE), "inference": ELBO(ONE), "steps": 2, "repeats": 2},
        {"generator": IWAE(TWO), "inference": ForwardKL(), "steps": 4, "repeats": 1},
    ),
    Segments: (
        {"objective": ELBO(ONE), "steps": 8, "segments": 1},
        {"objective": IWAE(TWO), "steps": 6, "segments": 2, "alone": 0.25},
    ),
    Aggressive: (
        {"objective": ELBO(ONE), "window": 1, "most": 7},
        {"objective": IWAE(TWO), "window": 4, "most": 3},
    ),
    PosteriorFit: ({"sampler": Hamiltonian(4, 20, 3)}, {"sampler": Hamiltonian(4, 20, 3, seed=1)}),
}
"""For each objective what to begin with, and another value of everything it takes."""


def training_signal(objective: Objective) -> Tensor:
    """Values and gradients of eight steps, each under its own seed."""
    encoder, decoder = conditionals(0)
    model = LatentVariableModel(encoder, decoder, FactorisedPrior(Normal(2)))
    x = torch.randn(6, 3)
    if isinstance(objective, GibbsELBO):
        encoder, decoder = Conditional(GibbsMRF(1, 2), (3,), MLP), Conditional(Normal(3, 1.0), (3,), MLP)
        model = LatentVariableModel(encoder, decoder, FactorisedPrior(Bernoulli(3)))
    torch.manual_seed(2)
    objective.attach(model)
    parameters, signal = list(model.parameters()), []
    for step in range(8):
        torch.manual_seed(step)
        value = objective.at(step)(model, x).mean()
        if isinstance(objective, Aggressive):
            objective.observe_loss(-value.detach())
        gradients = torch.autograd.grad(value, parameters, materialize_grads=True) if value.requires_grad else ()
        rates = torch.tensor([sum(rate for _, rate in objective.rates())])
        signal.append(torch.cat([value.detach()[None], rates, *(gradient.flatten() for gradient in gradients)]))
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
