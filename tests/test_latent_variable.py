"""LatentVariableModel: shapes are checked when it is built; a Draw holds the three log-densities."""

import pytest
import torch

from vae_lightning.conditional import Conditional
from vae_lightning.counts import Counts
from vae_lightning.families import Bernoulli, Multinomial, Normal
from vae_lightning.latent_variable import LatentVariableModel
from vae_lightning.nn import MLP, BagOfWordsMLP, WordLogits
from vae_lightning.priors import FactorisedPrior, MixturePrior


@pytest.mark.parametrize("num_samples", [1, 3])
def test_draw_is_three_log_densities(num_samples):
    model = LatentVariableModel(
        Conditional(Normal(2), (4,), MLP), Conditional(Bernoulli(4), (2,), MLP), FactorisedPrior(Normal(2))
    )
    x, z = torch.randint(2, (5, 4)).float(), torch.randn(num_samples, 5, 2)
    q = model.encoder(x)
    draw = model.draw(x, q, z)
    torch.testing.assert_close(draw.log_prior, -0.5 * (z.square() + torch.tensor(2 * torch.pi).log()).sum(-1))
    torch.testing.assert_close(draw.log_posterior, q.log_prob(z))
    torch.testing.assert_close(draw.log_likelihood, model.decoder(z).log_prob(x))
    assert draw.log_weight.shape == (num_samples, 5)
    torch.testing.assert_close(draw.log_weight, draw.log_likelihood + draw.log_prior - draw.log_posterior)


def test_log_likelihood_and_kl_are_those_of_a_draw_without_the_rest():
    """The KL is that of normals in closed form; a prior of which torch knows none has an error."""
    model = LatentVariableModel.of_families(Normal(2), Bernoulli(4), MLP, MLP)
    x, z = torch.randint(2, (5, 4)).float(), torch.randn(3, 5, 2)
    q = model.encoder(x)
    assert torch.equal(model.log_likelihood(x, z), model.draw(x, q, z).log_likelihood)
    assert torch.equal(model.log_likelihood(x[:, None], z[0]).diagonal(), model.log_likelihood(x, z[:1])[0])
    expected = 0.5 * (q.mean.square() + q.variance - 1 - q.variance.log()).sum(-1)
    torch.testing.assert_close(model.kl(q), expected)
    assert isinstance(model.prior, FactorisedPrior)
    mixed = LatentVariableModel.of_families(Normal(2), Bernoulli(4), MLP, MLP, MixturePrior(Normal(2), 3))
    with pytest.raises(NotImplementedError):
        mixed.kl(q)


def test_draw_of_sparse_counts():
    model = LatentVariableModel(
        Conditional(Bernoulli(3), (6,), BagOfWordsMLP),
        Conditional(Multinomial(6), (3,), WordLogits),
        FactorisedPrior(Bernoulli(3)),
    )
    x = torch.tensor([[2.0, 0, 1, 0, 0, 0], [0, 0, 0, 0, 0, 0]])
    sparse = Counts.from_dense(x)
    z = torch.ones(4, 2, 3)
    draw = model.draw(sparse, model.encoder(sparse), z)
    torch.testing.assert_close(draw.log_likelihood, model.decoder(z).log_prob(x))
    assert draw.log_likelihood[:, 1].abs().max() == 0


@pytest.mark.parametrize(
    ("latent", "context", "observed", "message"),
    [
        (3, 2, 4, r"encoder's latent shape is \(3,\) but \(2,\) is expected"),
        (2, 3, 4, r"decoder's context shape is \(3,\) but \(2,\)"),
        (2, 2, 5, r"decoder's observation shape is \(5,\) but \(4,\)"),
    ],
)
def test_shapes_that_disagree(latent, context, observed, message):
    encoder = Conditional(Bernoulli(latent), (4,), MLP)
    decoder = Conditional(Bernoulli(observed), (context,), MLP)
    with pytest.raises(ValueError, match=message):
        LatentVariableModel(encoder, decoder, FactorisedPrior(Bernoulli(2)))
