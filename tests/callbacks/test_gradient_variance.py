"""Gradient variance against exact values by enumeration and in closed form; its error bar against leave-one-out."""

from __future__ import annotations

import itertools
import math
from functools import partial
from pathlib import Path
from typing import Any

import lightning.pytorch as pl
import pytest
import torch
import torch.distributions as td
from support.goldens import F_BY_CODE, LOGITS, TOTAL_VARIANCE
from support.models import events, hashing, newsgroups, trainer
from torch import Tensor, nn

from vae_lightning.callbacks import GradientVariance
from vae_lightning.conditional import Conditional
from vae_lightning.estimators import ARM, DisARM, Enumerated, GradientEstimator, LeaveOneOut, Reinforce
from vae_lightning.families import Bernoulli
from vae_lightning.latent_variable import LatentVariableModel
from vae_lightning.nn import MLP, SpectralNorm
from vae_lightning.objectives import ELBO, Adversarial, MeanFakes, Objective
from vae_lightning.objectives.gradient_variance import gradient_variance
from vae_lightning.priors import FactorisedPrior
from vae_lightning.randomness import seeded

BITS, PIXELS = 3, 4
CODES = torch.tensor(list(itertools.product((0.0, 1.0), repeat=BITS)))
X = torch.tensor([[1.0, 0, 0, 1], [1, 1, 0, 1]])


def bernoulli_model() -> LatentVariableModel:
    torch.manual_seed(0)
    encoder, decoder = Conditional(Bernoulli(BITS), (PIXELS,), MLP), Conditional(Bernoulli(PIXELS), (BITS,), MLP)
    return LatentVariableModel(encoder, decoder, FactorisedPrior(Bernoulli(BITS)))


def exact_variance(model: LatentVariableModel, parameters: list[Tensor]) -> float:
    """Of one-sample REINFORCE, sum_z q(z) |f(z) d log q(z)|^2 - |sum_z q(z) f(z) d log q(z)|^2, rows independent."""
    total = 0.0
    for x in X:
        first, second = 0.0, 0.0
        for z in CODES:
            log_q = td.Bernoulli(logits=model.encoder.network(x)).log_prob(z).sum()
            log_p = td.Bernoulli(logits=model.decoder.network(z)).log_prob(x).sum() - BITS * math.log(2)
            score = torch.cat([g.flatten() for g in torch.autograd.grad(log_q, parameters, retain_graph=True)])
            gradient = ((log_p - log_q) * score).detach().double()
            first, second = first + log_q.exp() * gradient, second + log_q.exp() * gradient.square().sum()
        total += float(second - first.square().sum())
    return total / len(X) ** 2


def test_reinforce_by_enumeration() -> None:
    model = bernoulli_model()
    parameters = list(model.encoder.parameters())
    torch.manual_seed(1)
    found, error = gradient_variance(ELBO(Reinforce()), model, X, parameters, num_draws=100)
    assert 0 < error < 0.3 * found
    assert abs(found - exact_variance(model, parameters)) < 4 * error


def test_an_exact_gradient_has_no_variance() -> None:
    model = bernoulli_model()
    found, error = gradient_variance(ELBO(Enumerated()), model, X, list(model.encoder.parameters()), num_draws=5)
    assert found == pytest.approx(0, abs=1e-12)
    assert error == pytest.approx(0, abs=1e-12)


class ToyF(Objective):
    """E_q f(z) for the f of the goldens, whatever model and x are: q has the goldens' logits."""

    def __init__(self, estimator: GradientEstimator) -> None:
        super().__init__()
        self.estimator = estimator
        self.logits = nn.Parameter(torch.tensor([LOGITS]))

    def forward(self, model: LatentVariableModel, x: Tensor) -> Tensor:
        table, place = torch.tensor(F_BY_CODE), torch.tensor([4, 2, 1])
        return self.estimator(Bernoulli(BITS).distribution(self.logits), lambda z: table[(z.long() * place).sum(-1)])


def toy(estimator: GradientEstimator, num_draws: int) -> tuple[float, float]:
    objective = ToyF(estimator)
    torch.manual_seed(2)
    return gradient_variance(objective, bernoulli_model(), X, [objective.logits], num_draws)


@pytest.mark.parametrize("estimator", [Reinforce(), Reinforce(2), LeaveOneOut(2), ARM(), DisARM()], ids=repr)
def test_every_estimator_in_closed_form(estimator: GradientEstimator) -> None:
    expected = TOTAL_VARIANCE[f"{type(estimator).__name__}-{estimator.num_samples}"]
    found, error = toy(estimator, 400)
    assert error < 0.2 * expected
    assert abs(found - expected) < 4 * error


def test_disarm_is_less_noisy_than_arm_at_the_same_noise() -> None:
    assert toy(DisARM(), 200)[0] < toy(ARM(), 200)[0]


class Given(Objective):
    """A bound whose gradients are given, one a call."""

    def __init__(self, gradients: Tensor) -> None:
        super().__init__()
        self.gradients, self.weight = iter(gradients), nn.Parameter(torch.zeros(gradients.shape[1]))

    def forward(self, model: LatentVariableModel, x: Tensor) -> Tensor:
        return (self.weight @ next(self.gradients))[None]


@pytest.mark.parametrize("num_draws", [3, 4, 17])
def test_the_error_bar_by_leaving_each_draw_out(num_draws: int) -> None:
    torch.manual_seed(3)
    gradients = torch.randn(num_draws, 6).square()
    objective = Given(gradients)
    found, error = gradient_variance(objective, bernoulli_model(), X, [objective.weight], num_draws)
    gradients = gradients.double()
    assert found == pytest.approx(float(gradients.var(0).sum()), rel=1e-6)
    left_out = torch.stack([torch.cat((gradients[:i], gradients[i + 1 :])).var(0).sum() for i in range(num_draws)])
    assert error == pytest.approx(float(((num_draws - 1) * left_out.var(correction=0)).sqrt()), rel=1e-6)


def test_two_draws_have_no_error_bar_and_one_no_variance() -> None:
    objective = Given(torch.tensor([[0.0, 1.0], [2.0, 1.0]]))
    assert gradient_variance(objective, bernoulli_model(), X, [objective.weight], 2) == (2.0, math.inf)
    with pytest.raises(ValueError, match="num_draws >= 2, got 1"):
        gradient_variance(objective, bernoulli_model(), X, [objective.weight], 1)


def test_it_touches_neither_gradients_nor_running_statistics() -> None:
    model = bernoulli_model()
    model.encoder.network = nn.Sequential(nn.BatchNorm1d(PIXELS), model.encoder.network)
    before = {name: value.clone() for name, value in model.state_dict().items()}
    gradient_variance(ELBO(DisARM()), model, X, list(model.encoder.parameters()), num_draws=3)
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    assert all(parameter.grad is None for parameter in model.parameters())


def test_it_does_not_touch_a_discriminators_spectral_norms() -> None:
    model, game = (
        bernoulli_model(),
        Adversarial(partial(SpectralNorm, network=partial(MLP, hidden=[8])), fakes=MeanFakes()),
    )
    game.attach(model)
    before = {name: value.clone() for name, value in game.state_dict().items()}
    gradient_variance(game, model, X, list(model.decoder.parameters()), num_draws=3)
    assert all(torch.equal(value, before[name]) for name, value in game.state_dict().items())


class ByHand(pl.Callback):
    """Measures the encoder's gradient on the first batch, then disturbs the global random state."""

    def on_train_batch_start(self, trainer: pl.Trainer, pl_module: Any, batch: Any, *_: Any) -> None:
        if trainer.global_step == 0:
            parameters = list(pl_module.model.encoder.parameters())
            with seeded("GradientVariance", 0):
                self.value, _ = gradient_variance(pl_module.objective, pl_module.model, batch[0], parameters, 4)
            torch.rand(3)


def test_a_scalar_at_its_interval(miniature: Path, tmp_path: Path) -> None:
    """That of the helper on the batch at hand, whatever the random state; an exact gradient has none."""
    by_hand = ByHand()
    run = trainer(by_hand, GradientVariance(every_n_steps=3, num_draws=4), folder=tmp_path)
    run.fit(hashing(), datamodule=newsgroups(miniature))
    scalars = events(Path(run.log_dir)).Scalars("train/gradient_variance")
    assert [scalar.step for scalar in scalars] == [0, 3, 6]
    assert scalars[0].value == pytest.approx(by_hand.value, rel=1e-6)
    assert all(scalar.value > 0 for scalar in scalars)
    assert run.callback_metrics["train/gradient_variance"] == scalars[-1].value  # as metrics.json takes it
    run = trainer(GradientVariance(every_n_steps=3, num_draws=4), folder=tmp_path)
    run.fit(hashing(objective=ELBO(Enumerated())), datamodule=newsgroups(miniature))
    assert max(scalar.value for scalar in events(Path(run.log_dir)).Scalars("train/gradient_variance")) < 1e-8


@pytest.mark.parametrize("bad", [{"every_n_steps": 0}, {"num_draws": 1}], ids=str)
def test_what_cannot_be_measured(bad: dict[str, int]) -> None:
    with pytest.raises(ValueError, match=r"needs (every_n_steps >= 1|num_draws >= 2), got"):
        GradientVariance(**bad)
