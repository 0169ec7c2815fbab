"""VAE on a linear-Gaussian world, where the exact log-likelihood is a normal density."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial
from typing import Any

import lightning.pytorch as pl
import pytest
import torch
import torch.distributions as td
from support.models import trainer
from torch import Generator, Size, Tensor

from vae_lightning.data import Synthetic
from vae_lightning.data.processes import Process
from vae_lightning.estimators import Reparameterised
from vae_lightning.families import Bernoulli, Normal
from vae_lightning.models import VAE
from vae_lightning.nn import MLP
from vae_lightning.objectives import ELBO, AnalyticELBO
from vae_lightning.priors import FactorisedPrior

SCALE = 0.5


class LinearGaussian(Process):
    """x = W z + b + 0.5 e, with z and e standard normal: x ~ N(b, W W' + 0.25 I)."""

    event_shape = Size([3])
    weight, bias = torch.tensor([[1.0, 0.5], [-0.8, 1.0], [0.3, 1.2]]), torch.tensor([0.5, -1.0, 0.2])

    def sample(self, n: int, generator: Generator | None = None) -> Tensor:
        z, e = torch.randn(n, 2, generator=generator), torch.randn(n, 3, generator=generator)
        return z @ self.weight.T + self.bias + SCALE * e

    def log_prob(self, x: Tensor) -> Tensor:
        return marginal(self.weight, self.bias).log_prob(x)


def marginal(weight: Tensor, bias: Tensor) -> td.MultivariateNormal:
    """The exact p(x) of a linear decoder under a standard normal prior."""
    return td.MultivariateNormal(bias, weight @ weight.T + SCALE**2 * torch.eye(3))


def vae(**changes: Any) -> VAE:
    torch.manual_seed(0)
    optimizer = partial(torch.optim.Adam, lr=0.02)
    settings = {"objective": AnalyticELBO(Reparameterised()), "optimizer": optimizer, "evaluation_samples": 20}
    return VAE(Normal(2), Normal(3, SCALE), MLP, MLP, **settings | changes)


def test_training_approaches_the_exact_log_likelihood() -> None:
    """A linear encoder holds the posterior of a world whose weights' columns are orthogonal, which training can choose.

    So the NELBO comes down to the entropy of the truth; it never falls below the decoder's own exact -log p(x).
    """
    module = vae(optimizer=partial(torch.optim.Adam, lr=0.04))
    data = Synthetic(LinearGaussian(), (12_800, 10, 2_000), batch_size=256, eval_batch_size=1_000)
    untrained = trainer().test(module, data, verbose=False)[0]["test/nelbo"]
    trainer(max_epochs=3).fit(module, data)
    nelbo = trainer().test(module, data, verbose=False)[0]["test/nelbo"]
    x, output = data.test.x, module.model.decoder.network.output
    own = -marginal(output.weight.detach(), output.bias.detach()).log_prob(x)
    truth = -LinearGaussian().log_prob(x)
    assert untrained > truth.mean() + 1
    print(nelbo, own.mean(), truth.mean())
    # the reconstruction's noise: 40,000 samples whose deviation is below 2 nats
    assert nelbo > own.mean() - 4 * 2 / math.sqrt(40_000)
    assert nelbo == pytest.approx(float(truth.mean()), abs=0.08)


def test_figures_add_up_to_the_bound_in_closed_form() -> None:
    """E_q -log p(x | z) of a linear decoder is known; within 4 standard errors over 5,000 samples."""
    module, x = vae(evaluation_samples=5_000), LinearGaussian().sample(4, Generator().manual_seed(1))
    draw = module.evaluate((x, torch.zeros(4)), 0)
    figures = module.figures(draw)
    q, output = module.model.encoder(x).base_dist, module.model.decoder.network.output
    weight, bias = output.weight, output.bias
    expected = -td.Normal(q.mean @ weight.T + bias, SCALE).log_prob(x).sum(-1)
    expected = expected + (q.variance @ weight.square().sum(0)) / (2 * SCALE**2)
    error = draw.log_likelihood.std(0) / math.sqrt(5_000)
    assert ((figures["reconstruction"] - expected).abs() < 4 * error).all()
    kl = 0.5 * (q.mean.square() + q.variance - 1 - q.variance.log()).sum(-1)
    torch.testing.assert_close(figures["kl"], kl)
    torch.testing.assert_close(figures["nelbo"], figures["reconstruction"] + figures["kl"])


def test_samples_have_the_decoders_marginal() -> None:
    """Mean and covariance of N(b, W W' + 0.25 I), within 4 standard errors."""
    module, num = vae(), 20_000
    torch.manual_seed(2)
    x = module.sample(num).detach()
    assert x.shape == (num, 3)
    output = module.model.decoder.network.output
    exact = marginal(output.weight.detach(), output.bias.detach())
    deviations = x - exact.mean
    products = deviations[:, :, None] * deviations[:, None]
    assert (deviations.mean(0).abs() < 4 * x.std(0) / math.sqrt(num)).all()
    assert ((products.mean(0) - exact.covariance_matrix).abs() < 4 * products.std(0) / math.sqrt(num)).all()


@pytest.mark.parametrize("shape", [(4,), (1, 3, 3)])
def test_a_sample_has_the_shape_of_an_observation(shape: tuple[int, ...]) -> None:
    module = VAE(Normal((2, 2)), Bernoulli(shape), MLP, MLP, ELBO(Reparameterised()))
    x = module.sample(5)
    assert x.shape == (5, *shape)
    assert set(x.unique().tolist()) <= {0.0, 1.0}


def test_the_prior_is_standard_unless_one_is_given() -> None:
    standard = vae().model.prior().base_dist
    assert torch.equal(standard.mean, torch.zeros(2))
    assert torch.equal(standard.variance, torch.ones(2))
    prior = FactorisedPrior(Normal(2), learned=True)
    with torch.no_grad():
        prior.theta.copy_(torch.tensor([3.0, -3.0, math.log(0.1), math.log(0.1)]))
    module = vae(prior=prior)
    assert module.model.prior is prior
    assert "model.prior.theta" in dict(module.named_parameters())
    x = torch.zeros(2, 3)
    assert (
        module.figures(module.evaluate((x, x), 0))["kl"] > vae().figures(vae().evaluate((x, x), 0))["kl"] + 100
    ).all()
    output = module.model.decoder.network.output
    middle = torch.tensor([3.0, -3.0]) @ output.weight.T + output.bias
    torch.manual_seed(0)
    assert ((module.sample(4_000).mean(0) - middle).abs() < 4 * 0.6 / math.sqrt(4_000)).all()


class LearningRates(pl.Callback):
    """The learning rate of every step."""

    def __init__(self) -> None:
        self.seen: list[float] = []

    def on_train_batch_start(self, trainer: pl.Trainer, *_: Any) -> None:
        self.seen.append(trainer.optimizers[0].param_groups[0]["lr"])


@pytest.mark.parametrize(
    ("scheduler", "expected"),
    [
        (None, [0.02] * 6),
        (partial(torch.optim.lr_scheduler.StepLR, step_size=1, gamma=0.5), [0.02, 0.02, 0.01, 0.01, 0.005, 0.005]),
    ],
    ids=["none", "halving"],
)
def test_the_scheduler_steps_once_an_epoch(scheduler: Callable[..., Any] | None, expected: list[float]) -> None:
    rates = LearningRates()
    trainer(rates, max_epochs=3).fit(
        vae(scheduler=scheduler), Synthetic(LinearGaussian(), (128, 10, 10), batch_size=64)
    )
    assert rates.seen == pytest.approx(expected)


def test_adam_at_a_thousandth_is_the_default() -> None:
    optimizer = VAE(Normal(2), Normal(3), MLP, MLP, ELBO(Reparameterised())).configure_optimizers()
    assert isinstance(optimizer, torch.optim.Adam)
    assert optimizer.defaults["lr"] == 1e-3


def test_what_a_subclass_adds_to_the_loss_is_trained_on() -> None:
    class Shrunk(VAE):
        def loss(self, batch: Any, step: int) -> tuple[Tensor, dict[str, Tensor]]:
            loss, figures = super().loss(batch, step)
            return loss + 1e4 * sum(weight.square().sum() for weight in self.parameters()), figures

    module = Shrunk(
        Normal(2), Normal(3), MLP, MLP, ELBO(Reparameterised()), optimizer=partial(torch.optim.SGD, lr=4e-5)
    )
    trainer(max_epochs=3).fit(module, Synthetic(LinearGaussian(), (128, 10, 10), batch_size=64))
    assert all(weight.abs().max() < 0.1 for weight in module.parameters())
