"""Conditional: what the network emits, constrained, is the distribution's parameter."""

import pytest
import torch
import torch.distributions as td
from torch import nn

from vae_lightning.affine import Affine, dense
from vae_lightning.conditional import Conditional, as_conditional
from vae_lightning.counts import Counts
from vae_lightning.families import Bernoulli, Categorical, Multinomial, Normal
from vae_lightning.nn import MLP, BagOfWordsMLP, WordLogits


@pytest.mark.parametrize("family", [Bernoulli((2, 2)), Categorical(3, (2,)), Normal(3), Normal(3, scale=0.5)], ids=repr)
@pytest.mark.parametrize("batch", [(), (5,), (2, 5)], ids=str)
def test_batch_and_event_shapes(family, batch):
    conditional = Conditional(family, (2, 3), MLP)
    c = torch.randn(*batch, 2, 3)
    distribution = conditional(c)
    assert distribution.batch_shape == batch
    assert distribution.event_shape == conditional.event_shape == family.event_shape
    torch.testing.assert_close(conditional.natural_parameters(c), family.constrain(conditional.network(c)))


def test_network_emits_mean_and_log_sigma():
    conditional = Conditional(Normal(2), (3,), MLP)
    c = torch.randn(5, 3)
    mean, log_sigma = conditional.network(c).chunk(2, -1)
    expected = td.Independent(td.Normal(mean, log_sigma.exp()), 1)
    z = torch.randn(5, 2)
    torch.testing.assert_close(conditional(c).log_prob(z), expected.log_prob(z))


def test_bag_of_words_at_both_ends():
    encoder, decoder = Conditional(Bernoulli(4), (9,), BagOfWordsMLP), Conditional(Multinomial(9), (4,), WordLogits)
    x = Counts.from_dense(torch.eye(9)[:3])
    q = encoder(x)
    assert (q.batch_shape, q.event_shape) == ((3,), (4,))
    z = q.sample((7,))
    assert isinstance(decoder.natural_parameters(z), Affine)
    assert decoder(z).log_prob(x).shape == (7, 3)


def test_the_lengths_of_documents_can_be_bound():
    decoder, z = Conditional(Multinomial(9), (4,), WordLogits), torch.ones(3, 4)
    lengths = torch.tensor([2.0, 0.0, 5.0])
    with pytest.raises(ValueError, match="the document lengths are not known"):
        decoder(z).sample()
    documents = decoder(z, decoder.family.given(lengths))
    assert torch.equal(documents.sample().sum(-1), lengths)
    torch.testing.assert_close(documents.logits, dense(decoder.natural_parameters(z)).log_softmax(-1))


def test_prototype_tells_the_family_without_data():
    prototype = Conditional(Normal((2, 3)), (4,), MLP).prototype()
    assert (prototype.batch_shape, prototype.event_shape) == ((1,), (2, 3))
    assert isinstance(prototype.base_dist, td.Normal)
    assert prototype.mean.abs().max() == 0
    assert prototype.stddev.min() == 1


def test_prototype_lives_where_the_network_does():
    assert Conditional(Bernoulli(2), (4,), MLP).to("meta").prototype().base_dist.logits.device.type == "meta"


def test_under_autocast_probabilities_keep_single_precision():
    """The network runs in bfloat16, the distribution does not: bfloat16 noise has 256 values."""
    conditional = Conditional(Normal(2), (3,), MLP)
    with torch.autocast("cpu", torch.bfloat16):
        assert conditional.network(torch.randn(5, 3)).dtype == torch.bfloat16
        normal = conditional(torch.randn(5, 3)).base_dist
    assert normal.mean.dtype == normal.stddev.dtype == torch.float32
    double = conditional.double()(torch.randn(5, 3, dtype=torch.float64)).base_dist
    assert double.mean.dtype == torch.float64


def test_any_network_that_fits_the_shapes():
    conditional = Conditional(Bernoulli(2), (4,), lambda shape, outputs: nn.Linear(shape[0], outputs, bias=False))
    assert len(list(conditional.parameters())) == 1
    assert conditional(torch.zeros(3, 4)).mean.tolist() == [[0.5, 0.5]] * 3


def test_what_is_no_conditional_is_refused():
    with pytest.raises(TypeError, match=r"a Conditional is needed, of a family and a network, got Linear"):
        as_conditional(torch.nn.Linear(2, 1))
