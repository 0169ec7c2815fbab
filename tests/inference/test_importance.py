"""log_weights: every sample counts once, whatever the chunks; the figures are those of closed forms and enumeration."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
import torch
import torch.distributions as td
from support.gaussian_world import EVIDENCE, NARROW, POSTERIOR, PRIOR, WIDE, Part, Standard, normal, twos, world
from support.models import hashing, newsgroups
from torch import Tensor

from vae_lightning.data.processes import LinearGaussian
from vae_lightning.inference.importance import log_weights
from vae_lightning.latent_variable import LatentVariableModel
from vae_lightning.metrics import LogLikelihood
from vae_lightning.metrics.functional import effective_sample_size, importance_weighted_bound
from vae_lightning.objectives import Inflated
from vae_lightning.randomness import Noise

SIZES = [(1, 1, 3), (7, 5, 3), (10, 1000, 3), (1000, 300, 1), (50, 7, 20), (3, 4, 9)]


class Tape(Noise):
    """Hands out one long tape of noise, a sample after the other."""

    def __init__(self, num_samples: int, batch: int) -> None:
        self.rest = torch.randn(num_samples, batch, 1, generator=torch.Generator().manual_seed(0), dtype=torch.float64)

    def normal(self, shape, like) -> Tensor:
        part, self.rest = self.rest[: shape[0]], self.rest[shape[0] :]
        assert part.shape == tuple(shape)
        return part


@pytest.mark.parametrize(
    ("q", "truths"),
    [
        (WIDE, {1: (-3.7430084942, 0), 2: (-2.689838922658203, 0), 5: (-2.2835170, 2.08e-4), 50: (-2.1616604, 1.6e-4)}),
        (PRIOR, {1: (-6.8223649429, 0), 2: (-3.979814719120641, 0), 5: (-2.597644, 4.6e-4), 50: (-2.1760919, 2.5e-4)}),
        (NARROW, {1: (-2.5190755826, 0), 5: (-2.3774319, 1.62e-4), 50: (-2.2528442, 3.47e-4)}),
        (WIDE, {5000: (-2.1521782, 1.57e-4)}),
        (PRIOR, {5000: (-2.1520544, 2.43e-4)}),
        (POSTERIOR, dict.fromkeys((1, 2, 5, 50), (EVIDENCE, 1e-12))),
    ],
)
def test_all_bounds_of_one_pass(q: tuple[float, float], truths: dict[int, tuple[float, float]]) -> None:
    """Closed forms for K = 1, quadrature for K = 2, long runs with their error: within 4 standard errors, each."""
    torch.manual_seed(0)
    metric = LogLikelihood(list(truths))
    for part in log_weights(world(*q), twos(200_000 // max(truths)), max(truths), chunk=33_333):
        metric.update(part)
    figures = metric.compute()
    for k, (truth, truth_error) in truths.items():
        value, error = figures[f"log_likelihood_k{k}"], float(figures[f"log_likelihood_k{k}_error"])
        assert error < 0.02
        assert abs(value - truth) < 4 * math.hypot(error, truth_error), k


@pytest.mark.parametrize(("num_samples", "chunk", "batch"), SIZES)
def test_every_sample_costs_one_row_of_the_decoder(num_samples: int, chunk: int, batch: int) -> None:
    model = world(*WIDE)
    parts = list(log_weights(model, twos(batch), num_samples, chunk=chunk))
    assert sum(part.shape[1] for part in parts) == batch
    assert {len(part) for part in parts} == {num_samples}
    assert sum(model.decoder.rows) == num_samples * batch
    assert max(model.decoder.rows) <= chunk
    assert sum(model.encoder.rows) == batch


@pytest.mark.parametrize(("num_samples", "chunk", "batch"), SIZES)
def test_the_chunk_does_not_change_what_is_estimated(num_samples: int, chunk: int, batch: int) -> None:
    """With the exact posterior each weight is p(x): a wrong count of samples would show as log of a ratio."""
    for part in log_weights(world(*POSTERIOR), twos(batch), num_samples, chunk=chunk):
        torch.testing.assert_close(importance_weighted_bound(part), torch.full_like(part[0], EVIDENCE))


@pytest.mark.parametrize("chunk", [4, 5, 9, 1000])
def test_the_same_noise_gives_the_same_weights_whatever_the_chunk(chunk: int) -> None:
    (one,) = log_weights(world(*WIDE), twos(4), 11, noise=Tape(11, 4))
    (other,) = log_weights(world(*WIDE), twos(4), 11, noise=Tape(11, 4), chunk=chunk)
    assert torch.equal(one, other)


def test_memory_does_not_grow_with_the_number_of_samples() -> None:
    """At most 2^20 log-weights at once: 300 observations with 50,000 samples come in 15 parts."""
    parts = log_weights(world(*WIDE), twos(300), 50_000)
    assert next(parts).shape == (50_000, 20)


def test_a_posterior_of_any_kind() -> None:
    """A correlated Gaussian, which is exact for a linear decoder: every weight is p(x)."""
    truth = LinearGaussian(torch.tensor([[1.0, 0.5], [0.8, 1.0], [0.3, 1.2]]).double(), torch.ones(3).double())
    encoder, decoder, prior = Part(truth.posterior), Part(lambda z: normal(truth.decode(z), 1.0)), Standard()
    encoder.context_shape = decoder.event_shape = torch.Size([3])
    encoder.event_shape = decoder.context_shape = prior.event_shape = torch.Size([2])
    prior.forward = lambda: normal(torch.zeros(2, dtype=torch.float64), 1.0)
    x = truth.sample(5, torch.Generator().manual_seed(0)).double()
    (weights,) = log_weights(LatentVariableModel(encoder, decoder, prior), x, 9, chunk=10)
    torch.testing.assert_close(weights, truth.log_prob(x).expand(9, 5))


def test_bits_and_sparse_counts(miniature: Path) -> None:
    """Documents under a code of 3 bits: log p(x) is a sum over 8 codes, base measure included."""
    data, module = newsgroups(miniature), hashing()
    data.setup()
    x, model = data.val.x, module.model
    codes = torch.cartesian_prod(*[torch.tensor([0.0, 1.0])] * 3)[:, None].expand(-1, len(x), -1)
    exact = (model.decoder(codes).log_prob(x).double() - 3 * math.log(2)).logsumexp(0).detach()
    torch.manual_seed(0)
    weights = torch.cat(list(log_weights(model, x, 4000, chunk=999)), 1)
    bound, share = importance_weighted_bound(weights), effective_sample_size(weights) / 4000
    error = ((1 / share - 1) / 4000).sqrt()  # of a log-mean of weights, by the delta method; the bias is error^2 / 2
    assert ((bound - exact).abs() < 4 * error + error.square()).all()
    assert error.max() < 0.1


def test_nothing_is_kept_for_a_gradient_nor_rounded_by_autocast(miniature: Path) -> None:
    data, module = newsgroups(miniature), hashing()
    data.setup()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        torch.manual_seed(0)
        mixed = torch.cat(list(log_weights(module.model, data.val.x, 3)), 1)
    torch.manual_seed(0)
    (full,) = log_weights(module.model, data.val.x, 3)
    assert torch.equal(mixed, full)
    assert full.dtype == torch.float64
    assert not full.requires_grad


def test_inflated_multiplies_the_variance() -> None:
    q = Inflated(2.0)(normal(torch.tensor([[3.0, -1.0]]), 0.5))
    assert q.batch_shape == (1,)
    assert q.event_shape == (2,)
    assert q.mean.tolist() == [[3.0, -1.0]]
    assert q.variance.flatten().tolist() == pytest.approx([0.5, 0.5])


def test_an_inflated_proposal_saves_a_narrow_posterior() -> None:
    """N(12/11, 0.2^2) has weights of infinite variance; times 5 its variance is 0.2, above the true 2/11."""
    torch.manual_seed(0)
    (narrow,) = log_weights(world(*NARROW), twos(100), 1000)
    (wide,) = log_weights(world(*NARROW), twos(100), 1000, Inflated(5.0))
    assert effective_sample_size(narrow).mean() < 800
    # v / sqrt(2 v - 1) with v = 0.2 / (2 / 11) is the mean squared weight over the squared mean
    assert effective_sample_size(wide).mean() / 1000 == pytest.approx(math.sqrt(1.2) / 1.1, abs=2e-3)
    bound = importance_weighted_bound(wide)
    assert abs(bound.mean() - EVIDENCE) < 4 * bound.std() / 10 + 1e-5


def test_bad_input(miniature: Path) -> None:
    with pytest.raises(ValueError, match="num_samples >= 1, got 0"):
        next(log_weights(world(*WIDE), twos(2), 0))
    with pytest.raises(ValueError, match="chunk >= 1, got 0"):
        next(log_weights(world(*WIDE), twos(2), 5, chunk=0))
    with pytest.raises(ValueError, match="positive finite factor, got 0"):
        Inflated(0.0)
    with pytest.raises(TypeError, match=r"independent Gaussians, got Bernoulli: use Posterior\(\)"):
        Inflated()(hashing().model.encoder.prototype())
    correlated = td.MultivariateNormal(torch.zeros(1, 2), torch.eye(2))
    with pytest.raises(TypeError, match="independent Gaussians, got MultivariateNormal"):
        Inflated()(correlated)
