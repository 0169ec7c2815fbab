"""Mixtures as priors: MixturePrior, VampPrior, AggregatedPosterior against torch's MixtureSameFamily."""

from __future__ import annotations

import copy

import pytest
import torch
import torch.distributions as td
from torch import Tensor

from vae_lightning.conditional import Conditional
from vae_lightning.counts import Counts
from vae_lightning.data import Observations
from vae_lightning.families import Bernoulli, Categorical, Normal
from vae_lightning.latent_variable import LatentVariableModel
from vae_lightning.nn import MLP
from vae_lightning.priors import AggregatedPosterior, Mixture, MixturePrior, VampPrior

FAMILIES = {"normal": Normal(3), "bernoulli": Bernoulli(3), "categorical": Categorical(3)}


def by_torch(members: td.Distribution, logits: Tensor) -> td.Distribution:
    return td.MixtureSameFamily(td.Categorical(logits=logits), members)


def points(family, n: int) -> Tensor:
    return family.distribution(family.constrain(torch.randn(n, family.num_parameters))).sample()


def encoder(latent=2, observed=(4,)) -> Conditional:
    torch.manual_seed(0)
    return Conditional(Normal(latent), observed, lambda c, p: MLP(c, p, [8], torch.nn.Tanh))


def model(prior) -> LatentVariableModel:
    return LatentVariableModel(encoder(), Conditional(Normal(4, scale=1.0), (2,), MLP), prior)


@pytest.mark.parametrize("family", FAMILIES.values(), ids=FAMILIES)
@pytest.mark.parametrize("shape", [(), (5,), (2, 5)], ids=str)
def test_learned_mixture_is_torchs(family, shape):
    torch.manual_seed(0)
    prior = MixturePrior(family, 4)
    prior.logits.data = torch.randn(4)
    expected = by_torch(family.distribution(family.constrain(prior.theta)), prior.logits)
    z = points(family, 10)[: torch.Size(shape).numel()].reshape(*shape, *family.event_shape)
    torch.testing.assert_close(prior().log_prob(z), expected.log_prob(z), rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(prior().mean, expected.mean)
    expanded = prior().expand([7])
    assert (expanded.batch_shape, expanded.sample([2]).shape) == ((7,), (2, 7, *family.event_shape))
    gradients = [torch.autograd.grad(p.log_prob(z).sum(), (prior.theta, prior.logits)) for p in (prior(), expected)]
    for own, torchs in zip(*gradients, strict=True):
        torch.testing.assert_close(own, torchs, rtol=1e-4, atol=1e-5)


def test_samples_come_from_the_members_by_their_weights():
    """20,000 samples from three members far apart, within 4 standard errors of each weight and of each mean."""
    torch.manual_seed(0)
    eta = Normal(1, scale=1.0).constrain(torch.tensor([[-50.0], [0.0], [50.0]]))
    weights, n = torch.tensor([0.2, 0.5, 0.3]), 20_000
    for logits, expected in ((weights.log(), weights), (None, torch.full((3,), 1 / 3))):
        z = Mixture(Normal(1, scale=1.0), eta, logits).sample([n])[:, 0]
        for center, weight in zip((-50, 0, 50), expected, strict=True):
            near = z[(z - center).abs() < 10]
            assert abs(len(near) / n - weight) < 4 * (weight * (1 - weight) / n) ** 0.5
            assert abs(near.mean() - center) < 4 / len(near) ** 0.5


def test_vamp_prior_is_the_equal_mixture_of_the_posteriors_of_its_pseudo_inputs():
    prior, z = VampPrior(2, 4, num_components=6), torch.randn(3, 7, 2)
    m = model(prior)
    expected = by_torch(m.encoder(prior.pseudo_inputs), torch.zeros(6))
    torch.testing.assert_close(prior().log_prob(z), expected.log_prob(z), rtol=1e-5, atol=1e-5)
    # gradients reach the pseudo-inputs and the encoder, which is the model's own and registered once
    parameters = [prior.unbounded, *m.encoder.parameters()]
    own = torch.autograd.grad(prior().log_prob(z).sum(), parameters)
    torchs = torch.autograd.grad(expected.log_prob(z).sum(), parameters)
    for a, b in zip(own, torchs, strict=True):
        assert a.abs().sum() > 0
        torch.testing.assert_close(a, b, rtol=1e-4, atol=1e-5)
    assert [name for name, _ in prior.named_parameters()] == ["unbounded"]


def test_pseudo_inputs_start_from_observations_and_keep_within_the_data():
    data = 3 * torch.rand(20, 4, generator=torch.Generator().manual_seed(1)) - 1
    low, high = data.min(), data.max()
    prior = VampPrior(2, 4, num_components=20)
    prior.attach(encoder(), data)
    nearest = torch.cdist(prior.pseudo_inputs.detach(), data).argmin(1)
    assert sorted(nearest.tolist()) == list(range(20))  # each of them, once
    assert (prior.pseudo_inputs - data[nearest]).abs().max() <= 0.011 * (high - low)
    prior.unbounded.data += 100 * torch.randn_like(prior.unbounded)
    assert ((low <= prior.pseudo_inputs) & (prior.pseudo_inputs <= high)).all()
    more = VampPrior(2, 4, num_components=50)  # more than observations: each at least twice
    more.attach(encoder(), data)
    assert torch.cdist(more.pseudo_inputs.detach(), data).argmin(1).bincount(minlength=20).min() >= 2


def test_pseudo_inputs_start_from_what_is_there():
    prior = VampPrior(2, 4, num_components=2)
    prior.attach(encoder(), torch.tensor([[3.0, torch.nan, -1.0, 0.0], [0.0, 1.0, torch.nan, 2.0]]))
    assert (prior.low, prior.high) == (-1, 3)
    assert prior.pseudo_inputs.isfinite().all()


def test_aggregated_posterior_is_the_mixture_of_its_observations():
    data, z = torch.randn(30, 4), torch.randn(9, 2)
    prior = AggregatedPosterior(2, 4, num_observations=30, chunk=7)
    m = model(prior)
    prior.attach(m.encoder, data)
    expected = by_torch(m.encoder(data), torch.zeros(30))
    torch.testing.assert_close(prior().log_prob(z), expected.log_prob(z), rtol=1e-5, atol=1e-5)
    subset = AggregatedPosterior(2, 4, num_observations=11)
    subset.attach(m.encoder, data)
    assert (torch.cdist(subset.observations, data) == 0).sum() == 11  # eleven different ones


class Counting:
    """Images of bytes, which count how many of them were made into floats."""

    limits = (0.0, 1.0)

    def __init__(self) -> None:
        self.made = 0

    def __call__(self, stored: Tensor, ids: Tensor, draw: int | None = None) -> Tensor:
        self.made += len(stored)
        return stored / 255


@pytest.mark.parametrize("kind", [VampPrior, AggregatedPosterior])
def test_of_large_data_only_the_chosen_rows_are_made(kind):
    """7 of 10,000 images, and the first one again to tell the shape; the range is what the bytes can be."""
    stored, view = torch.randint(20, 200, (10_000, 1, 2, 2), dtype=torch.uint8), Counting()
    data = Observations(stored, torch.zeros(10_000), torch.arange(10_000), view)
    prior, tensor = kind(2, (1, 2, 2), 7), kind(2, (1, 2, 2), 7)
    prior.attach(encoder(observed=(1, 2, 2)), data)
    assert view.made <= 7 + 3
    tensor.attach(encoder(observed=(1, 2, 2)), stored / 255)
    torch.testing.assert_close(prior.inputs, tensor.inputs, atol=0.01, rtol=0)  # the same observations
    if kind is VampPrior:
        assert (prior.low, prior.high) == (0, 1)


@pytest.mark.parametrize("prior", [VampPrior(2, 4, 5), AggregatedPosterior(2, 4, 5)], ids=lambda p: type(p).__name__)
def test_a_copied_model_has_a_prior_of_its_own_encoder(prior):
    m = model(prior)
    prior.attach(m.encoder, torch.randn(10, 4))
    twin, z = copy.deepcopy(m), torch.randn(3, 2)
    before = prior().log_prob(z)
    for p in twin.encoder.parameters():
        p.data += 1
    torch.testing.assert_close(prior().log_prob(z), before, rtol=0, atol=0)
    assert not torch.allclose(twin.prior().log_prob(z), before)
    loaded = model(type(prior)(2, 4, 5))  # as from a checkpoint: sampled and evaluated without the data
    loaded.load_state_dict(m.state_dict())
    torch.testing.assert_close(loaded.prior().log_prob(z), before, rtol=0, atol=0)


def test_what_does_not_fit_is_said():
    data = torch.rand(10, 4)
    with pytest.raises(ValueError, match="num_components >= 1, got 0"):
        MixturePrior(Normal(2), 0)
    with pytest.raises(ValueError, match="num_components >= 1, got 0"):
        VampPrior(2, 4, 0)
    with pytest.raises(ValueError, match="num_observations >= 1, got 0"):
        AggregatedPosterior(2, 4, 0)
    with pytest.raises(ValueError, match=r"latent shape is \(2,\) but \(3,\) is expected"):
        model(MixturePrior(Normal(3)))
    with pytest.raises(ValueError, match=r"of shape \(5,\) -> \(2,\) but the encoder \(4,\) -> \(2,\)"):
        model(VampPrior(2, 5))
    with pytest.raises(ValueError, match="VampPrior has no encoder yet"):
        VampPrior(2, 4)()
    with pytest.raises(ValueError, match=r"training data \(N, \*X\) with X = \(4,\), got \(10, 5\)"):
        VampPrior(2, 4).attach(encoder(), torch.rand(10, 5))
    bags = Observations.numbered(Counts.from_dense(torch.ones(10, 4)), torch.zeros(10))
    with pytest.raises(ValueError, match=r"with X = \(4,\), got Observations that are not dense"):
        VampPrior(2, 4).attach(encoder(), bags)
    outside = VampPrior(2, 4, 2, torch.tensor([[0.0, 0, 0, 0], [0, 0, 7, 0]]))
    with pytest.raises(ValueError, match=r"within the data's range \[.*, got values from 0 to 7"):
        outside.attach(encoder(), data)
    with pytest.raises(ValueError, match=r"pseudo-inputs of shape \(3, 4\), got \(2, 4\)"):
        VampPrior(2, 4, 3, torch.zeros(2, 4))
    with pytest.raises(ValueError, match="there are 10 training observations: set num_observations, 11"):
        AggregatedPosterior(2, 4, 11).attach(encoder(), data)
