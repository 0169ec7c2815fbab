"""GaussianVAE: the linear one becomes probabilistic PCA; every decoder noise, network and prior trains, samples and
loads."""

from __future__ import annotations

import math
from functools import partial
from pathlib import Path

import pytest
import torch
from sklearn.decomposition import PCA
from support.models import trainer
from torch import Tensor, nn

from vae_lightning.data import Observations
from vae_lightning.data.base import InMemoryDataModule
from vae_lightning.estimators import Reparameterised
from vae_lightning.families import Bernoulli, Normal
from vae_lightning.models import HVAE, GaussianVAE
from vae_lightning.nn import MLP, Convolutions, Deconvolutions, ScalePerDimension, SharedScale
from vae_lightning.objectives import ELBO, IWAE, AnalyticELBO
from vae_lightning.priors import AggregatedPosterior, FactorisedPrior, MixturePrior, VampPrior


class Given(InMemoryDataModule):
    """The same observations for every split."""

    def __init__(self, x: Tensor, batch_size: int = 50) -> None:
        super().__init__(batch_size, 64)
        self.x = x

    def load(self) -> tuple[Observations, Observations, Observations]:
        data = Observations.numbered(self.x, torch.zeros(len(self.x)))
        return data, data, data


def correlated(n: int, d: int = 5) -> Tensor:
    generator = torch.Generator().manual_seed(0)
    loadings = torch.randn(2, d, generator=generator)
    return torch.randn(n, 2, generator=generator) @ loadings + 0.5 * torch.randn(n, d, generator=generator)


def test_linear_vae_converges_to_probabilistic_pca():
    """Its log-likelihood, and its ELBO, reach scikit-learn's closed form within 0.01 nat (section 3.1; Lucas 2019)."""
    x = correlated(400)
    torch.manual_seed(0)
    model = GaussianVAE(
        2, Normal(5), partial(ScalePerDimension, network=MLP), partial(SharedScale, network=MLP),
        AnalyticELBO(Reparameterised(num_samples=4)), optimizer=partial(torch.optim.Adam, lr=0.02),
        scheduler=partial(torch.optim.lr_scheduler.CosineAnnealingLR, T_max=30), evaluation_samples=2000,
    )  # fmt: skip
    run = trainer(max_epochs=30, limit_val_batches=0)
    run.fit(model, datamodule=Given(x.repeat(20, 1), batch_size=400))
    weight, mean, sigma = _parameters(model)
    covariance = weight @ weight.T + sigma**2 * torch.eye(5)
    own = torch.distributions.MultivariateNormal(mean, covariance).log_prob(x).mean()
    expected = PCA(2).fit(x.numpy()).score(x.numpy())
    # scikit-learn divides covariances by n - 1: its fit is 1e-5 nat below the maximum of the likelihood
    assert expected - 0.01 < own < expected + 1e-3
    assert abs(-_nelbo(model, x) - expected) < 0.01


def _parameters(model: GaussianVAE) -> tuple[Tensor, Tensor, Tensor]:
    scale = model.model.decoder.network
    linear = scale.network.output
    return linear.weight.detach(), linear.bias.detach(), scale.log_sigma.exp().detach()


def _nelbo(model: GaussianVAE, x: Tensor) -> float:
    return float(model.figures(model.evaluate((x, None), 0))["nelbo"].mean())


CONVOLUTIONAL = {
    "encoder": partial(Convolutions, channels=[4, 8]),
    "decoder": partial(Deconvolutions, image_shape=[1, 8, 8], channels=[8, 4]),
}
SAMPLED = {"objective": ELBO(Reparameterised())}
VARIANTS = {
    "fixed sigma": {"observed": Normal((1, 8, 8), scale=0.3)},
    "one learned sigma": {"observed": Normal((1, 8, 8)), "decoder": partial(SharedScale, network=MLP)},
    "sigma per dimension": {"observed": Normal((1, 8, 8)), "decoder": partial(ScalePerDimension, network=MLP)},
    "sigma of z": {"observed": Normal((1, 8, 8))},
    "binary": {"observed": Bernoulli((1, 8, 8)), "encoder": partial(MLP, hidden=[16])},
    "convolutional": {"observed": Bernoulli((1, 8, 8)), **CONVOLUTIONAL},
    "convolutional, sigma of z": {"observed": Normal((1, 8, 8)), **CONVOLUTIONAL},
    "beta": {"observed": Bernoulli((1, 8, 8)), "objective": AnalyticELBO(Reparameterised(), beta=4.0)},
    "importance weighted": {"observed": Bernoulli((1, 8, 8)), "objective": IWAE(Reparameterised(5))},
    "learned normal": {"observed": Bernoulli((1, 8, 8)), "prior": FactorisedPrior(Normal(3), learned=True)},
    "mixture": {"observed": Bernoulli((1, 8, 8)), "prior": MixturePrior(Normal(3), 4), **SAMPLED},
    "vamp": {"observed": Bernoulli((1, 8, 8)), "prior": VampPrior(3, (1, 8, 8), 6), **SAMPLED},
    "aggregated": {"observed": Bernoulli((1, 8, 8)), "prior": AggregatedPosterior(3, (1, 8, 8), 20), **SAMPLED},
}


def binary(n: int = 101) -> Tensor:
    return (torch.rand(n, 1, 8, 8, generator=torch.Generator().manual_seed(0)) < 0.3).float()


@pytest.mark.parametrize("variant", VARIANTS)
def test_every_variant_trains_samples_and_loads(variant, tmp_path: Path):
    torch.manual_seed(0)
    given = {"latent_dim": 3, **VARIANTS[variant]}
    model, x = GaussianVAE(**given), binary()
    before = {name: p.clone() for name, p in model.named_parameters()}
    run = trainer(folder=tmp_path, max_epochs=2)
    run.fit(model, datamodule=Given(x))
    still = [name for name, p in model.named_parameters() if torch.equal(p, before[name])]
    assert not still, "every parameter has a gradient"
    draw = model.evaluate((x, None), 0)
    assert math.isfinite(run.callback_metrics["val/nelbo"])
    assert draw.likelihood.event_shape == (1, 8, 8)
    assert model.sample(5).shape == (5, 1, 8, 8)
    run.save_checkpoint(tmp_path / "model.ckpt")
    objects = {key: value for key, value in given.items() if key != "latent_dim"}
    loaded = GaussianVAE.load_from_checkpoint(tmp_path / "model.ckpt", **objects)
    again = loaded.evaluate((x, None), 0)
    torch.testing.assert_close(again.log_weight, draw.log_weight, rtol=0, atol=0)


def test_samples_go_through_the_models_own_prior():
    """A decoder that repeats z shows the prior: 4,000 samples have the mixture's mean within 4 standard errors."""
    torch.manual_seed(0)
    prior = MixturePrior(Normal(2, scale=0.1), 2)
    prior.theta.data = torch.tensor([[5.0, -3.0], [5.0, -1.0]])
    model = GaussianVAE(2, Normal(2, scale=1e-3), decoder=MLP, prior=prior, **SAMPLED)
    model.model.decoder.network.output.weight.data = torch.eye(2)
    model.model.decoder.network.output.bias.data.zero_()
    x = model.sample(4000)
    error = 4 * (torch.tensor([0.1, (1 + 0.01) ** 0.5]) / 4000**0.5)
    assert ((x.mean(0) - torch.tensor([5.0, -2.0])).abs() < error).all()


class TestHVAE:
    def test_levels_train_and_sample(self):
        torch.manual_seed(0)
        hidden = partial(MLP, hidden=[16], activation=nn.Tanh)
        prior, x = VampPrior(3, (1, 8, 8), 5), binary()
        model = HVAE([3, 2], Bernoulli((1, 8, 8)), hidden, hidden, hidden, hidden, prior)
        before = {name: p.clone() for name, p in model.named_parameters()}
        trainer(max_epochs=20).fit(model, datamodule=Given(x))
        assert not [name for name, p in model.named_parameters() if torch.equal(p, before[name])]
        assert model.sample(4).shape == (4, 1, 8, 8)
        draw = model.evaluate((x, None), 0)
        # the top level's prior is the mixture of its own posteriors of the pseudo-inputs
        members = model.model.encoder.top(prior.pseudo_inputs)
        z2 = draw.z[..., :3]
        expected = members.log_prob(z2[..., None, :]).logsumexp(-1) - math.log(5)
        expected = expected + model.model.prior.lower(z2).log_prob(draw.z[..., 3:])
        torch.testing.assert_close(draw.log_prior, expected, rtol=1e-4, atol=1e-4)
        assert _nelbo(model, x) < 64 * math.log(2)  # better than fair coins

    def test_two_levels_are_asked_for(self):
        with pytest.raises(ValueError, match=r"two positive numbers, \(upper, lower\), got \[3\]"):
            HVAE([3], Bernoulli(4))
        with pytest.raises(ValueError, match="set its latent_shape to the first of latent_dims"):
            HVAE([3, 2], Bernoulli(4), prior=VampPrior(2, 4))


def test_what_does_not_fit_is_said():
    with pytest.raises(ValueError, match="latent_dim is the number of entries of a code"):
        GaussianVAE(0, Normal(2))
    with pytest.raises(ValueError, match="use ELBO, which estimates it"):
        GaussianVAE(2, Normal(2), prior=MixturePrior(Normal(2)))
    from_data = GaussianVAE(2, Normal(2), prior=VampPrior(2, 2), **SAMPLED)
    with pytest.raises(ValueError, match="starts from the training data"):
        trainer().fit(from_data, torch.utils.data.DataLoader([(torch.zeros(2), 0)]))
    with pytest.raises(ValueError, match="sides divisible by 4, got \\(1, 6, 8\\)"):
        GaussianVAE(2, Bernoulli((1, 6, 8)), encoder=Convolutions)
    with pytest.raises(ValueError, match="observations are \\(1, 8, 8\\): leave image_shape out"):
        GaussianVAE(2, Bernoulli((1, 8, 8)), decoder=partial(Deconvolutions, image_shape=[3, 8, 8]))
    with pytest.raises(ValueError, match="gives \\(mean, log sigma\\) to a Normal family"):
        GaussianVAE(2, Normal(3, scale=1.0), decoder=partial(SharedScale, network=MLP))
