"""IWAE and DReG with two samples: value and every gradient against quadrature, without Monte Carlo error.

The model is z ~ N(0, 1), x | z ~ N(1.5 z, 0.5) at x = 2, with q = N(0.5, 0.8^2). What the objectives draw is replaced
by the nodes of a grid over pairs of noises, one pair a row, so that a weighted sum over rows is the expectation over
noise. The truth is an integral over a fixed grid of z, in which q is a mere density: nothing is reparameterised.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import pytest
import torch
import torch.distributions as td
from torch import Tensor, nn

from vae_lightning.conditional import Conditional
from vae_lightning.estimators import DisARM, LeaveOneOut, Reparameterised
from vae_lightning.families import Bernoulli, Normal
from vae_lightning.hierarchical import HierarchicalConditional
from vae_lightning.latent_variable import LatentVariableModel
from vae_lightning.nn import MLP
from vae_lightning.objectives import ELBO, IWAE, DReG
from vae_lightning.priors import FactorisedPrior, HierarchicalPrior, Prior, VampPrior
from vae_lightning.randomness import Noise

X, VARIANCE = 2.0, 0.5
LOG_EVIDENCE, L_1, L_2 = -2.1520117163, -3.7430084942, -2.6898389


class Nodes(Noise):
    """Given numbers in place of noise."""

    def __init__(self, nodes: Tensor) -> None:
        self.nodes = nodes

    def normal(self, shape, like):
        return self.nodes.reshape(tuple(shape))


def gaussian_model(prior: Prior | None = None, mean: float = 0.5, scale: float = 0.8) -> LatentVariableModel:
    """The golden model, whose encoder is affine in x and has this mean and scale at x = 2."""
    encoder, decoder = Conditional(Normal(1), (1,), MLP), Conditional(Normal(1, math.sqrt(VARIANCE)), (1,), MLP)
    model = LatentVariableModel(encoder, decoder, prior or FactorisedPrior(Normal(1), learned=True)).double()
    slope = torch.tensor([[0.3], [-0.1]])
    with torch.no_grad():
        encoder.network.output.weight.copy_(slope)
        encoder.network.output.bias.copy_(torch.tensor([mean, math.log(scale)], dtype=torch.float64) - slope[:, 0] * X)
        decoder.network.output.weight.fill_(1.5)
        decoder.network.output.bias.zero_()
    return model


def vamp() -> Prior:
    """A prior that moves with the encoder: 1/2 sum_k q(z | u_k)."""
    prior = VampPrior(1, (1,), 2)
    with torch.no_grad():
        prior.unbounded.copy_(torch.tensor([[-0.5], [0.8]]))
    return prior


def by_quadrature(model: LatentVariableModel, num_samples: int) -> Tensor:
    """L_1 or L_2, by the trapezoid rule over z (or pairs of them)."""
    z = torch.linspace(-7, 8, 601, dtype=torch.float64)

    def q(x: Tensor) -> td.Normal:
        mean, log_sigma = (model.encoder.network.output.weight @ x + model.encoder.network.output.bias).unbind(-1)
        return td.Normal(mean, log_sigma.exp())

    posterior, decoder = q(torch.tensor([X], dtype=torch.float64)), model.decoder.network.output
    likelihood = td.Normal(decoder.weight[0, 0] * z + decoder.bias[0], math.sqrt(VARIANCE)).log_prob(torch.tensor(X))
    if isinstance(model.prior, FactorisedPrior):
        prior = td.Normal(model.prior.theta[0], model.prior.theta[1].exp()).log_prob(z)
    else:
        prior = torch.stack([q(u).log_prob(z) for u in model.prior.inputs]).logsumexp(0) - math.log(2)
    log_weight, density = likelihood + prior - posterior.log_prob(z), posterior.log_prob(z).exp() * (z[1] - z[0])
    if num_samples == 1:
        return density @ log_weight
    pairs = torch.logaddexp(log_weight[:, None], log_weight) - math.log(2)
    return density @ pairs @ density


def over_noise(objective: IWAE | DReG, model: LatentVariableModel) -> Tensor:
    """The expectation of the objective over its noise, by the trapezoid rule."""
    nodes = torch.linspace(-7, 7, 181, dtype=torch.float64)
    weight = td.Normal(0.0, 1.0).log_prob(nodes).exp() * (nodes[1] - nodes[0])
    num_samples = objective.estimator.num_samples
    noises = torch.cartesian_prod(*[nodes] * num_samples).reshape(-1, num_samples).T
    weights = torch.cartesian_prod(*[weight] * num_samples).reshape(-1, num_samples).prod(1)
    objective.estimator.noise = Nodes(noises)
    return weights @ objective(model, torch.full((len(weights), 1), X, dtype=torch.float64))


@pytest.mark.parametrize("prior", [lambda: None, vamp], ids=["normal prior", "prior made of the encoder"])
@pytest.mark.parametrize("num_samples", [1, 2])
@pytest.mark.parametrize("kind", [IWAE, DReG])
def test_value_and_gradient_of_everything(
    kind: type[IWAE] | type[DReG], num_samples: int, prior: Callable[[], Prior | None]
) -> None:
    """Encoder, decoder and prior, pseudo-inputs included."""
    model = gaussian_model(prior())
    found, truth = over_noise(kind(Reparameterised(num_samples)), model), by_quadrature(model, num_samples)
    torch.testing.assert_close(found, truth, rtol=0, atol=1e-8)
    names, parameters = zip(*model.named_parameters(), strict=True)
    for name, gradient, true in zip(
        names, torch.autograd.grad(found, parameters), torch.autograd.grad(truth, parameters), strict=True
    ):
        assert true.abs().max() > 1e-3  # a gradient that is there to be missed
        torch.testing.assert_close(gradient, true, rtol=0, atol=1e-7, msg=lambda m, name=name: f"{name}: {m}")


@pytest.mark.parametrize("kind", [IWAE, DReG])
def test_the_golden_values(kind: type[IWAE] | type[DReG]) -> None:
    with torch.no_grad():
        assert over_noise(kind(Reparameterised(1)), gaussian_model()).item() == pytest.approx(L_1, abs=1e-9)
        assert over_noise(kind(Reparameterised(2)), gaussian_model()).item() == pytest.approx(L_2, abs=1e-7)


class Given(nn.Module):
    """Parameters of q for every row, whatever x: a leaf in which each row has a gradient of its own."""

    def __init__(self, rows: int, mean: float, scale: float) -> None:
        super().__init__()
        self.theta = nn.Parameter(torch.tensor([[mean, math.log(scale)]], dtype=torch.float64).repeat(rows, 1))

    def forward(self, _: Tensor) -> Tensor:
        return self.theta


def encoder_gradients(objective: IWAE | DReG, rows: int, mean: float = 0.5, scale: float = 0.8) -> Tensor:
    """(rows, 2), by mean and log sigma, for independent noise under a fixed seed."""
    model = gaussian_model()
    model.encoder.network = Given(rows, mean, scale)
    torch.manual_seed(0)
    bound = objective(model, torch.full((rows, 1), X, dtype=torch.float64))
    return torch.autograd.grad(bound.sum(), model.encoder.network.theta)[0]


def test_more_samples_help_dreg_and_hurt_iwae() -> None:
    """Its variance falls faster than IWAE's, so that its signal rises over the noise where IWAE's drowns.

    Signal to noise grows as sqrt(K) and falls as 1 / sqrt(K) (Rainforth et al. 2018; Tucker et al. 2019, section 3).
    """
    share, signal = [], {IWAE: [], DReG: []}
    for num_samples in (2, 16, 128):
        gradients = {kind: encoder_gradients(kind(Reparameterised(num_samples)), 5_000) for kind in (IWAE, DReG)}
        share.append((gradients[DReG].var(0) / gradients[IWAE].var(0)).max().item())
        for kind in (IWAE, DReG):
            signal[kind].append((gradients[kind].mean(0).abs() / gradients[kind].std(0)).min().item())
    assert share[0] < 1
    assert share[1] < 0.1
    assert share[2] < 0.01
    assert signal[DReG][2] > 2 * signal[DReG][1]
    assert signal[DReG][2] > 10 * signal[IWAE][2]
    assert (
        signal[IWAE][2] + 4 / math.sqrt(5_000) < signal[IWAE][0]
    )  # the ratio of 5,000 rows is known to 1 / sqrt(5,000)


@pytest.mark.parametrize("num_samples", [1, 5])
def test_dreg_is_without_noise_where_the_posterior_is_exact(num_samples: int) -> None:
    exact = {"mean": 12 / 11, "scale": math.sqrt(2 / 11)}
    objective = DReG(Reparameterised(num_samples))
    assert encoder_gradients(objective, 100, **exact).abs().max() < 1e-12
    assert encoder_gradients(IWAE(Reparameterised(num_samples)), 100, **exact).std() > 0.1
    bound = objective(gaussian_model(**exact), torch.full((3, 1), X, dtype=torch.float64))
    torch.testing.assert_close(bound, torch.full((3,), LOG_EVIDENCE, dtype=torch.float64), rtol=0, atol=1e-9)


def test_dreg_has_the_value_of_iwae_with_and_without_gradient() -> None:
    model, x = gaussian_model(vamp()), torch.randn(6, 1, dtype=torch.float64)
    values = []
    for objective in (IWAE(Reparameterised(3)), DReG(Reparameterised(3))):
        torch.manual_seed(2)
        values.append(objective(model, x).detach())
        torch.manual_seed(2)
        with torch.no_grad():
            values.append(objective(model, x))
    assert all(torch.equal(value, values[0]) for value in values)


def test_dreg_trains_the_decoder_of_a_frozen_encoder() -> None:
    model = gaussian_model()
    model.encoder.requires_grad_(False)
    found, truth = over_noise(DReG(Reparameterised(2)), model), by_quadrature(model, 2)
    weight = model.decoder.network.output.weight
    torch.testing.assert_close(torch.autograd.grad(found, weight), torch.autograd.grad(truth, weight))


def test_one_sample_is_the_elbo() -> None:
    assert IWAE(Reparameterised(1)).is_elbo
    assert DReG(Reparameterised(1)).is_elbo
    assert not IWAE(Reparameterised(2)).is_elbo
    assert not DReG(Reparameterised(2)).is_elbo
    assert ELBO(Reparameterised(2)).is_elbo


def test_models_that_dreg_cannot_train() -> None:
    bits = LatentVariableModel(
        Conditional(Bernoulli(2), (1,), MLP), Conditional(Normal(1), (2,), MLP), FactorisedPrior(Bernoulli(2))
    )
    with pytest.raises(TypeError, match="got Bernoulli; use IWAE with LeaveOneOut or, for bits, DisARM"):
        DReG(Reparameterised(2)).check(bits)
    IWAE(DisARM(2)).check(bits)
    levels = LatentVariableModel(
        HierarchicalConditional(Normal(1), Normal(1), torch.Size([1]), MLP, MLP),
        Conditional(Normal(1), (2,), MLP),
        HierarchicalPrior(FactorisedPrior(Normal(1)), Conditional(Normal(1), (1,), MLP)),
    )
    with pytest.raises(TypeError, match="got Chain; use IWAE with Reparameterised"):
        DReG(Reparameterised(2)).check(levels)
    with pytest.raises(TypeError, match="give it Reparameterised, not LeaveOneOut; or use IWAE"):
        DReG(LeaveOneOut(2))
    DReG(Reparameterised(2)).check(gaussian_model())
