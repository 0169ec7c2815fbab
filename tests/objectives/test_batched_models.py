"""Objectives under torch.func: many models as one batched model, each with its own parameters and noise."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn
from torch.func import functional_call, grad, stack_module_state, vmap

from vae_lightning.estimators import Reparameterised
from vae_lightning.families import Normal
from vae_lightning.models import VAE
from vae_lightning.nn import MLP
from vae_lightning.objectives import ELBO, IWAE, Alternating, AnalyticELBO, DReG, FreeBits, Objective, WarmUp
from vae_lightning.randomness import Noise

OBJECTIVES = [
    lambda: ELBO(Reparameterised(2)),
    lambda: ELBO(Reparameterised(2), beta=WarmUp(10)),
    lambda: AnalyticELBO(Reparameterised(2)),
    lambda: FreeBits(Reparameterised(2), 0.1),
    lambda: IWAE(Reparameterised(2)),
    lambda: DReG(Reparameterised(2)),
    lambda: Alternating(ELBO(Reparameterised(2)), IWAE(Reparameterised(2))),
]


class Fixed(Noise):
    """The same numbers every time."""

    def normal(self, shape, like):
        return 2 * torch.arange(torch.Size(shape).numel(), dtype=like.dtype).sin().reshape(tuple(shape))


class Loss(nn.Module):
    """A module's loss at a step as a forward, whose parameters can be replaced."""

    def __init__(self, module: VAE) -> None:
        super().__init__()
        self.module = module

    def forward(self, x: Tensor, step: int) -> Tensor:
        return self.module.loss((x, x), step)[0]


def member(seed: int, objective: Objective) -> Loss:
    torch.manual_seed(seed)
    for part in objective.modules():
        if hasattr(part, "noise"):
            part.noise = Fixed()
    return Loss(VAE(Normal(2), Normal(3, 0.5), MLP, MLP, objective))


@pytest.mark.parametrize("build", OBJECTIVES, ids=lambda build: type(build()).__name__)
@pytest.mark.parametrize("step", [0, 1])
def test_a_batched_model_has_the_gradients_of_each_alone(build, step: int) -> None:
    """By vmap(grad(loss)); and by the cheaper vmap(loss) with one backward pass, where gradients are not weighed."""
    members, x = [member(seed, build()) for seed in range(3)], torch.randn(5, 3)
    parameters, _ = stack_module_state(members)

    def loss(values: dict[str, Tensor]) -> Tensor:
        return functional_call(members[0], values, (x, step))

    truth = {
        name: torch.stack([_gradient(one, x, step)[name] for one in members]) for name in dict(parameters)
    }  # a part that rests: zero
    found = vmap(grad(loss))({name: value.detach() for name, value in parameters.items()})
    for name, expected in truth.items():
        torch.testing.assert_close(found[name], expected, msg=lambda m, name=name: f"{name}: {m}")

    if isinstance(build(), DReG):
        with pytest.raises(TypeError, match=r"or vmap\(grad\(loss\)\)"):
            vmap(loss)(parameters)
        return
    total = vmap(loss)(parameters).sum()
    gradients = torch.autograd.grad(total, list(parameters.values()), materialize_grads=True)
    for name, gradient in zip(parameters, gradients, strict=True):
        torch.testing.assert_close(gradient, truth[name], msg=lambda m, name=name: f"{name}: {m}")


def _gradient(one: Loss, x: Tensor, step: int) -> dict[str, Tensor]:
    names, parameters = zip(*one.named_parameters(), strict=True)
    return dict(zip(names, torch.autograd.grad(one(x, step), parameters, materialize_grads=True), strict=True))
