"""What kind of q this is: against torch's own densities, values and samples, for every kind that is told apart."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
import torch
import torch.distributions as td

from vae_lightning.distributions import (
    as_bits,
    as_normal,
    base,
    displaced,
    enumerate_codes,
    factors,
    family_name,
    first_level,
    held,
    is_bag_of_words,
    mean_code,
    natural_form,
    parameters,
    rebuilt,
    rsample,
    sample,
    states,
)
from vae_lightning.families import BernoulliMRF, GibbsMRF, Multinomial
from vae_lightning.hierarchical import Chain
from vae_lightning.randomness import Noise


def normal() -> td.Distribution:
    torch.manual_seed(0)
    return td.Independent(td.Normal(torch.randn(5, 2, requires_grad=True), torch.rand(5, 2) + 0.1), 1)


def bits() -> td.Distribution:
    torch.manual_seed(0)
    return td.Independent(td.Bernoulli(logits=torch.randn(5, 3, requires_grad=True)), 1)


def classes() -> td.Distribution:
    torch.manual_seed(0)
    return td.Independent(td.OneHotCategorical(logits=torch.randn(5, 2, 3)), 1)


KINDS = {"Normal": normal(), "Bernoulli": bits(), "OneHotCategorical": classes()}


@pytest.mark.parametrize("name", KINDS)
def test_every_kind_is_known_by_its_variables(name: str) -> None:
    q = KINDS[name]
    assert family_name(q) == family_name(base(q)) == name
    assert factors(q) is base(q) is q.base_dist
    assert factors(base(q)) is None
    assert (as_normal(q) is not None, as_bits(q) is not None) == (name == "Normal", name == "Bernoulli")
    assert not is_bag_of_words(q)
    assert first_level(q) is q
    assert torch.equal(mean_code(q), q.mean)


@pytest.mark.parametrize("name", ["Normal", "Bernoulli"])
def test_parameters_rebuild_hold_and_displace(name: str) -> None:
    q = KINDS[name]
    z = q.sample()
    for same in (rebuilt(q, parameters(q)), held(q), displaced(q, torch.zeros(len(parameters(q)), *z.shape))):
        torch.testing.assert_close(same.log_prob(z), q.log_prob(z))
    assert not held(q).log_prob(z).requires_grad
    assert rebuilt(q, parameters(q)).log_prob(z).requires_grad
    far = displaced(q, torch.ones(len(parameters(q)), *z.shape))
    expected = (q.mean + q.stddev, q.stddev * torch.e) if name == "Normal" else ((q.base_dist.logits + 1).sigmoid(),)
    for found, value in zip((far.mean, far.stddev), expected, strict=False):
        torch.testing.assert_close(found, value)


def test_other_families_have_no_parameters_to_rebuild() -> None:
    assert parameters(classes()) == ()
    with pytest.raises(TypeError, match=r"only Gaussians and bits are rebuilt.*got OneHotCategorical"):
        held(classes())


@pytest.mark.parametrize("name", KINDS)
def test_samples_have_the_mean_and_no_gradient(name: str) -> None:
    q = KINDS[name]
    torch.manual_seed(1)
    z = sample(q, 20_000, Noise())
    assert z.shape == (20_000, *q.batch_shape, *q.event_shape)
    assert not z.requires_grad
    error = q.variance.sqrt() / 20_000**0.5
    assert ((z.mean(0) - q.mean).abs() < 4 * error).all()


class Zeros(Noise):
    """The rarest uniform noise, once in 16 million numbers."""

    def uniform(self, shape: Sequence[int], like: torch.Tensor) -> torch.Tensor:
        return like.new_zeros(tuple(shape))


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_what_is_rarer_than_the_noise_can_tell_is_not_drawn(dtype: torch.dtype) -> None:
    logits = torch.tensor([-50.0, 50.0], dtype=dtype)
    for q in (td.Bernoulli(logits=logits), td.OneHotCategorical(logits=logits)):
        assert sample(q, 1, Zeros()).tolist() == [[0, 1]]


def test_what_is_rare_is_drawn_in_bfloat16() -> None:
    """Whose own noise has 256 values, the least of them above 0 being 0.004."""
    logits = torch.tensor([0.002, 0.998]).logit().expand(100_000, 2).bfloat16()
    for q in (td.Bernoulli(logits=logits), td.OneHotCategorical(logits=logits / 2)):
        z = sample(q, 1, Noise())
        assert z.dtype == torch.bfloat16
        assert z[..., 0].float().mean().item() == pytest.approx(0.002, abs=4 * (0.002 / 100_000) ** 0.5)


def test_samples_of_gaussians_have_the_gradient_of_their_parameters() -> None:
    z = rsample(normal(), 3, Noise())
    assert z.requires_grad
    beta = td.Independent(td.Beta(torch.ones(2, 2).requires_grad_(), torch.ones(2, 2)), 1)
    assert rsample(beta, 3, Noise()).requires_grad


@pytest.mark.parametrize("name", ["Normal", "Bernoulli"])
def test_the_natural_form_is_the_density(name: str) -> None:
    q = KINDS[name]
    z = q.sample((4,))
    eta, log_normaliser = natural_form(q)
    statistics = z.double() if name == "Bernoulli" else torch.cat((z, z.square()), -1).double()
    torch.testing.assert_close(
        (statistics * eta).sum(-1) - log_normaliser, q.log_prob(z).double(), rtol=1e-4, atol=1e-5
    )
    assert natural_form(classes()) is None
    assert natural_form(base(q)) is None


@pytest.mark.parametrize("q", [bits(), classes(), BernoulliMRF(2, 1).distribution(torch.zeros(5, 5))], ids=family_name)
def test_every_value_once_and_their_probabilities_add_up(q: td.Distribution) -> None:
    codes, found = enumerate_codes(q), states(q)
    assert codes.shape == (found.count, 5, *q.event_shape)
    assert len({tuple(code.flatten().tolist()) for code in codes[:, 0]}) == found.count == round(2**found.bits)
    torch.testing.assert_close(q.log_prob(codes).exp().sum(0), torch.ones(5))
    assert torch.equal(found.every(torch.zeros(())), codes[:, 0])


@pytest.mark.parametrize(
    "q", [normal(), td.Bernoulli(torch.ones(2) / 2), GibbsMRF(2, 1).distribution(torch.zeros(5, 5))]
)
def test_other_values_cannot_be_listed(q: td.Distribution) -> None:
    assert states(q) is None


def test_of_two_levels_and_of_documents() -> None:
    top = td.Independent(td.Normal(torch.full((3, 1), 2.0), torch.ones(3, 1)), 1)
    chain = Chain(top, lambda z2: td.Independent(td.Normal(5 * z2, torch.ones_like(z2)), 1), 1)
    assert first_level(chain) is top
    assert torch.equal(mean_code(chain), torch.tensor([[2.0, 10.0]] * 3))
    assert is_bag_of_words(Multinomial(3).distribution(torch.zeros(2, 3)))
