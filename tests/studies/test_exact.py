"""Exact figures against brute force, and the quadrature against the known optima of the artificial example."""

from __future__ import annotations

import math
from functools import partial
from itertools import product

import pytest
import torch
from torch import Tensor

from vae_lightning.data.processes import GaussianMixture
from vae_lightning.studies.mixture.exact import encoder_posterior, exact, log_joint, model_posterior
from vae_lightning.studies.mixture.models import mixture_mrf, mixture_vae

CODES = tuple(product((0.0, 1.0), repeat=2))


@pytest.fixture
def model() -> torch.nn.Module:
    torch.manual_seed(0)
    model = mixture_vae(GaussianMixture(), 1).model
    model.decoder.network.weight.data += 0.3 * torch.randn(4, 2)
    return model


def test_the_joint_and_the_posteriors_are_those_written_out_code_by_code(model: torch.nn.Module) -> None:
    x = torch.randn(6, 2)
    logits = model.encoder.natural_parameters(x)
    for row, code in enumerate(CODES):
        center = model.decoder.network.weight[row]
        expected = math.log(0.25) - math.log(2 * math.pi) - (x - center).square().sum(-1) / 2
        torch.testing.assert_close(log_joint(model, x)[:, row], expected)
        bits = torch.tensor(code)
        q = (logits.sigmoid() * bits + (1 - logits.sigmoid()) * (1 - bits)).prod(-1)
        torch.testing.assert_close(encoder_posterior(model, x)[:, row], q)
    torch.testing.assert_close(
        model_posterior(model, x), log_joint(model, x).exp() / log_joint(model, x).exp().sum(1, True)
    )


def test_the_posterior_of_coupled_bits_is_written_out_too() -> None:
    torch.manual_seed(0)
    model, x = mixture_mrf(GaussianMixture(), 1).model, torch.randn(6, 2)
    first, second, coupling = model.encoder.natural_parameters(x).unbind(-1)
    scores = torch.stack([a * first + b * second + a * b * coupling for a, b in CODES], -1)
    torch.testing.assert_close(encoder_posterior(model, x), scores.softmax(-1))


def test_the_expected_elbo_and_likelihood_are_those_of_a_large_sample(model: torch.nn.Module) -> None:
    process = GaussianMixture()
    expected = exact(model, process)
    x = process.sample(200_000, torch.Generator().manual_seed(2))
    with torch.no_grad():
        joint, q = log_joint(model, x), encoder_posterior(model, x)
    elbo = (q * (joint - q.log())).sum(-1)
    for sample, value in ((elbo, expected.elbo), (joint.logsumexp(-1), expected.log_likelihood)):
        assert abs(float(sample.mean()) - value) < 4 * float(sample.std()) / len(x) ** 0.5


def test_the_truth_in_the_decoder_has_the_truths_likelihood() -> None:
    process = GaussianMixture()
    model = mixture_vae(process, 1).model.double()
    assert exact(model, process).log_likelihood == pytest.approx(-3.649900548, abs=1e-6)


def best_factorised(joint: Tensor, start: Tensor, sweeps: int) -> Tensor:
    """Coordinate ascent on each x's own q (nodes, 2): the optimum no encoder can beat."""
    q = start.clone()
    table = joint.unflatten(-1, (2, 2))
    for _ in range(sweeps):
        gain = table[:, 1] - table[:, 0]
        q[:, 0] = (gain[:, 0] * (1 - q[:, 1]) + gain[:, 1] * q[:, 1]).sigmoid()
        gain = table[:, :, 1] - table[:, :, 0]
        q[:, 1] = (gain[:, 0] * (1 - q[:, 0]) + gain[:, 1] * q[:, 0]).sigmoid()
    return q


def over_codes(q: Tensor) -> Tensor:
    """Probabilities of the two bits (nodes, 2) -> of the four codes (nodes, 4)."""
    first, second = (torch.stack((1 - bit, bit), -1) for bit in q.unbind(-1))
    return (first[:, :, None] * second[:, None, :]).flatten(1)


def elbo(joint: Tensor, q: Tensor) -> Tensor:
    codes = over_codes(q)
    return (codes * joint).sum(-1) - torch.special.xlogy(codes, codes).sum(-1)


def e_step(joint: Tensor) -> Tensor:
    """The best of four starts for every x: the problem has more than one local optimum."""
    starts = [torch.tensor([a, b], dtype=joint.dtype).expand(len(joint), 2) for a, b in product((0.05, 0.95), repeat=2)]
    found = torch.stack(list(map(partial(best_factorised, joint, sweeps=60), starts)))
    values = torch.stack([elbo(joint, q) for q in found])
    return found[values.argmax(0), torch.arange(len(joint))]


def test_variational_em_meets_the_known_optima() -> None:
    """-3.740603 with the true decoder; -3.700262 and a likelihood of -3.680357 after learning both."""
    process = GaussianMixture()
    x, weights = process.quadrature(0.2)
    joint = process.log_joint(x)
    assert float(weights @ elbo(joint, e_step(joint))) == pytest.approx(-3.740603, abs=2e-5)
    for _ in range(60):
        mass = weights[:, None] * over_codes(e_step(joint))
        process.centers = (mass.T @ x) / mass.sum(0)[:, None]
        joint = process.log_joint(x)
    assert float(weights @ elbo(joint, e_step(joint))) == pytest.approx(-3.700262, abs=2e-5)
    assert float(weights @ process.log_prob(x)) == pytest.approx(-3.680357, abs=2e-5)
