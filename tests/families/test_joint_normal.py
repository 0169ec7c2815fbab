"""Two Normals as a harmonium, the Gaussian of Eq. 10: against torch's MultivariateNormal, quadrature, autograd."""

from __future__ import annotations

import math
from functools import partial
from typing import Any

import numpy as np
import pytest
import torch
from support.harmoniums import random_harmonium
from support.models import trainer
from torch import Tensor, nn
from torch.distributions import MultivariateNormal
from torch.utils.data import DataLoader, TensorDataset

from vae_lightning.callbacks import AnnealedLikelihood, Consistency
from vae_lightning.consistency import HarmoniumPrior, harmonium_of, harmonium_with, tight_vae
from vae_lightning.data import Synthetic
from vae_lightning.data.processes import GaussianMixture
from vae_lightning.families import Normal
from vae_lightning.harmonium import Harmonium
from vae_lightning.models import RBM, GaussianVAE
from vae_lightning.nn import MLP, SharedScale
from vae_lightning.objectives import ContrastiveDivergence, EnumeratedLikelihood

PAIRS = {
    "fixed scales": (Normal(3, scale=0.7), Normal(2, scale=1.3)),
    "more codes than observations": (Normal(2, scale=0.7), Normal(4, scale=0.6)),
    "factor analysis": (Normal(3), Normal(2, scale=1.0)),
    "free variances on both sides": (Normal((1, 3)), Normal((2, 1))),
}


def natural(family: Normal, bias: Tensor) -> tuple[Tensor, Tensor]:
    """The linear parameters and the precisions that a bias stands for, by hand."""
    if family.scale is not None:
        return bias / family.scale**2, torch.full_like(bias, family.scale**-2)
    mean, log_sigma = bias.chunk(2)
    precision = (-2 * log_sigma).exp()
    return mean * precision, precision


def joint(model: Harmonium) -> MultivariateNormal:
    """The Gaussian of (v, h) whose exponent the energy is."""
    a, visible = natural(model.visible, model.visible_bias.detach())
    b, hidden = natural(model.hidden, model.hidden_bias.detach())
    precision = torch.diag(torch.cat((visible, hidden)))
    precision[: len(a), len(a) :] = -model.weight.detach()
    precision[len(a) :, : len(a)] = -model.weight.detach().T
    return MultivariateNormal(torch.linalg.solve(precision, torch.cat((a, b))), precision_matrix=precision)


def visible_part(model: Harmonium) -> MultivariateNormal:
    both, n = joint(model), len(model.weight)
    return MultivariateNormal(both.mean[:n], both.covariance_matrix[:n, :n])


@pytest.fixture(params=PAIRS)
def model(request: pytest.FixtureRequest) -> Harmonium:
    made = random_harmonium(*PAIRS[request.param], scale=0.4)
    made.shrink()
    return made


class TestAgainstTorch:
    """MultivariateNormal with the joint's precision matrix."""

    def test_the_joint_and_its_marginals(self, model: Harmonium) -> None:
        torch.manual_seed(1)
        v, h = torch.randn(7, *model.visible.event_shape).double(), torch.randn(7, *model.hidden.event_shape).double()
        flat = torch.cat((v.flatten(1), h.flatten(1)), 1)
        torch.testing.assert_close(-model.energy(v, h) - model.log_partition(), joint(model).log_prob(flat))
        torch.testing.assert_close(model.log_prob(v), visible_part(model).log_prob(v.flatten(1)))
        n, both = len(model.weight), joint(model)
        prior = MultivariateNormal(both.mean[n:], both.covariance_matrix[n:, n:])
        torch.testing.assert_close(HarmoniumPrior(model)().log_prob(h), prior.log_prob(h.flatten(1)))
        torch.testing.assert_close(model.hidden_given(v).log_prob(h), both.log_prob(flat) - model.log_prob(v))

    def test_log_z_has_the_gradient_of_log_p(self, model: Harmonium) -> None:
        """By finite differences, in every parameter."""
        model.log_partition().backward()
        for parameter in model.parameters():
            for index in range(parameter.numel()):
                ends = []
                for step in (1e-5, -1e-5):
                    with torch.no_grad():
                        parameter.view(-1)[index] += step
                        ends.append(float(model.log_partition()))
                        parameter.view(-1)[index] -= step
                assert float(parameter.grad.view(-1)[index]) == pytest.approx((ends[0] - ends[1]) / 2e-5, abs=1e-7)

    def test_samples_of_the_prior_and_of_chains_have_the_moments(self, model: Harmonium) -> None:
        """V drawn by way of exact h, and after two Gibbs steps more: mean and second moments within 4 errors."""
        torch.manual_seed(2)
        exact = model.visible_given(HarmoniumPrior(model)().sample(torch.Size([20_000]))).sample()
        expected = visible_part(model)
        second = expected.covariance_matrix + expected.mean[:, None] * expected.mean
        for v in (exact, model.gibbs(exact, 2)):
            flat = v.flatten(1)
            pairs = flat[:, :, None] * flat[:, None]
            for found, right in ((flat, expected.mean), (pairs, second)):
                assert ((found.mean(0) - right).abs() < 4 * found.std(0) / math.sqrt(len(flat))).all()

    def test_annealing_agrees(self, model: Harmonium) -> None:
        torch.manual_seed(3)
        found = model.annealed_log_partition(400, torch.linspace(0, 1, 30))
        assert abs(float(found.value - model.log_partition())) < 4 * float(found.stderr)


def test_log_z_by_quadrature() -> None:
    """Of one v and one h, over a square of the plane."""
    model = random_harmonium(Normal(1, scale=0.8), Normal(1, scale=0.9), scale=0.7)
    nodes, weights = (torch.tensor(x) * 12 for x in np.polynomial.legendre.leggauss(200))
    v, h = torch.meshgrid(nodes, nodes, indexing="ij")
    log_weight = (weights[:, None] * weights).log()
    log_z = (-model.energy(v[..., None], h[..., None]) + log_weight).flatten().logsumexp(0)
    torch.testing.assert_close(model.log_partition(), log_z)


IMPROPER = r"Normal\(\(2,\)\) and hidden Normal\(\(2,\)\) make a density .* below 1; its largest is 1.25: scale"


def test_a_coupling_too_strong_is_one_line_wherever_log_z_is_asked() -> None:
    model = Harmonium(Normal(2, scale=0.5), Normal(2, scale=2.0)).double()
    model.weight.data = torch.diag(torch.tensor([1.25, 0.1]).double())
    x = torch.zeros(1, 2).double()
    for use in (
        model.check, model.log_partition, lambda: model.log_prob(x), tight_vae(model).prior().sample,
        lambda: model.annealed_log_partition(2, torch.linspace(0, 1, 3)),
        lambda: model.reverse_annealed_log_partition(x, torch.linspace(0, 1, 3)),
    ):  # fmt: skip
        with pytest.raises(ValueError, match=IMPROPER):
            use()
    model.weight.data *= 0.999 / 1.25
    assert model.log_partition().isfinite()
    model.weight.data[0, 0] = torch.nan
    with pytest.raises(ValueError, match="its largest is nan"):
        model.check()


def test_a_model_of_any_size_begins_as_a_density() -> None:
    torch.manual_seed(0)
    Harmonium(Normal(400, scale=3.0), Normal(300, scale=1.0)).check()


def gaussian_vae(directions: Tensor, sigma: float, observed: Normal, bias: Tensor) -> GaussianVAE:
    """x = B z + bias + sigma noise, with the encoder that the posterior of independent z would have, if B lets it."""
    scale = (lambda shape, outputs: SharedScale(shape, outputs, MLP, sigma)) if observed.scale is None else MLP
    n, d = directions.shape
    module = GaussianVAE(d, observed, MLP, scale).double()
    decoder: Any = module.model.decoder.network
    mean = decoder.network.output if observed.scale is None else decoder.output
    mean.weight.data, mean.bias.data = directions.clone(), bias.clone()
    variance = 1 / (1 + directions.square().sum(0) / sigma**2)
    encoder = (directions / sigma**2 * variance).T
    output: Any = module.model.encoder.network.output
    output.weight.data = torch.cat((encoder, torch.zeros(d, n).double()))
    output.bias.data = torch.cat((-encoder @ bias, variance.log() / 2))
    return module


ORTHOGONAL = torch.tensor([[0.6, 0.8], [0.8, -0.6], [0.0, 0.0]]).double() * torch.tensor([1.5, 0.4]).double()
BIAS = torch.tensor([0.3, -1.0, 0.5]).double()
SIGMA = 0.5


class TestConversion:
    """Theorem 1's first example, the linear Gaussian VAE, with different posterior variances for the two codes."""

    @pytest.mark.parametrize("observed", [Normal(3, scale=SIGMA), Normal(3)], ids=["fixed sigma", "learned sigma"])
    def test_both_ways(self, observed: Normal) -> None:
        """Probabilistic PCA has the marginal N(bias, B B^T + sigma^2 I)."""
        model = gaussian_vae(ORTHOGONAL, SIGMA, observed, BIAS).model
        harmonium = harmonium_of(model)
        x = torch.randn(9, 3).double()
        pca = MultivariateNormal(BIAS, ORTHOGONAL @ ORTHOGONAL.T + SIGMA**2 * torch.eye(3).double())
        torch.testing.assert_close(harmonium.log_prob(x), pca.log_prob(x))
        back, z = tight_vae(harmonium), torch.randn(9, 2).double()
        for one, other in ((back.encoder(x), model.encoder(x)), (back.decoder(z), model.decoder(z))):
            torch.testing.assert_close(one.mean, other.mean)
            torch.testing.assert_close(one.variance, other.variance)
        torch.testing.assert_close(back.prior().log_prob(z), model.prior().log_prob(z))
        again = harmonium_of(back)
        for name, value in harmonium.named_parameters():
            torch.testing.assert_close(again.get_parameter(name), value)

    def test_a_harmonium_and_back(self, model: Harmonium) -> None:
        """Also where the prior is no product: its codes are correlated."""
        found = harmonium_of(tight_vae(model))
        for name, value in model.named_parameters():
            torch.testing.assert_close(found.get_parameter(name), value, rtol=1e-6, atol=1e-7)

    def test_in_single_precision(self) -> None:
        model = gaussian_vae(ORTHOGONAL, SIGMA, Normal(3), BIAS).float().model
        x = torch.randn(9, 3)
        pca = MultivariateNormal(BIAS, ORTHOGONAL @ ORTHOGONAL.T + SIGMA**2 * torch.eye(3).double())
        torch.testing.assert_close(
            harmonium_of(model).log_prob(x), pca.log_prob(x.double()).float(), rtol=1e-4, atol=1e-4
        )

    @pytest.mark.parametrize("observed", [Normal(3, scale=SIGMA), Normal(3)], ids=["fixed sigma", "learned sigma"])
    def test_what_is_not_consistent_says_in_what(self, observed: Normal) -> None:
        """Directions that are not orthogonal, whose posteriors are not diagonal; a variance that depends on x."""
        slanted = ORTHOGONAL + torch.tensor([[0.0, 0.3], [0.0, 0.0], [0.0, 0.0]])
        with pytest.raises(ValueError, match=r"prior is not h\(z\) exp"):
            harmonium_of(gaussian_vae(slanted, SIGMA, observed, BIAS).model)
        bent = gaussian_vae(ORTHOGONAL, SIGMA, observed, BIAS)
        bent.model.encoder.network.output.weight.data[2:] = 0.1
        with pytest.raises(ValueError, match="encoder is not W"):
            harmonium_of(bent.model)

    def test_a_decoder_with_the_prior_it_needs(self) -> None:
        slanted = ORTHOGONAL + 0.3
        decoder = gaussian_vae(slanted, SIGMA, Normal(3, scale=SIGMA), BIAS).model.decoder
        made = harmonium_with(decoder, Normal(2, scale=0.2))
        z = torch.randn(5, 2).double()
        torch.testing.assert_close(tight_vae(made).decoder(z).mean, decoder(z).mean)
        made.check()
        with pytest.raises(ValueError, match="make a density"):
            harmonium_with(decoder, Normal(2))


def test_the_callback_finds_what_is_exact_exact_and_what_is_not_as_far_off_as_it_is() -> None:
    """The mismatch of a fixed prior is KL(q || p(z | x)), of two Gaussians."""
    data = Synthetic(GaussianMixture(((0.0, 0.0, 0.0),), sigma=1.0), (10, 1, 500), eval_batch_size=500)
    model = gaussian_vae(ORTHOGONAL, SIGMA, Normal(3, scale=SIGMA), BIAS).float().model
    exact = GaussianVAE(2, Normal(3, scale=SIGMA))
    exact.model = tight_vae(harmonium_of(model))
    slanted = ORTHOGONAL + torch.tensor([[0.0, 0.3], [0.0, 0.0], [0.0, 0.0]])
    off = gaussian_vae(slanted, SIGMA, Normal(3, scale=SIGMA), BIAS).float()
    found = []
    for module in (exact, off):
        (figures,) = trainer(Consistency(num_samples=200)).test(module, datamodule=data, verbose=False)
        found.append(figures)
        assert figures["test/decoder_r2"] == pytest.approx(1, abs=1e-5)
        assert figures["test/encoder_r2"] == pytest.approx(1, abs=1e-5)
    assert abs(found[0]["test/mismatch"]) < 1e-5
    precision = torch.eye(2).double() + slanted.T @ slanted / SIGMA**2
    x = data.test.x.double()
    posterior = MultivariateNormal(
        (x - BIAS) @ slanted / SIGMA**2 @ torch.linalg.inv(precision), precision_matrix=precision
    )
    q = off.double().model.encoder(x)
    as_joint = MultivariateNormal(q.mean, torch.diag_embed(q.variance))
    expected = float(torch.distributions.kl_divergence(as_joint, posterior).mean())
    assert expected > 0.05
    assert found[1]["test/mismatch"] == pytest.approx(expected, rel=0.15)


def rbm(**changes: Any) -> RBM:
    torch.manual_seed(0)
    return RBM(Normal(3), Normal(2, scale=1.0), **{"optimizer": partial(torch.optim.Adam, lr=0.02)} | changes)


def observations() -> tuple[Tensor, MultivariateNormal]:
    truth = MultivariateNormal(BIAS, ORTHOGONAL @ ORTHOGONAL.T + SIGMA**2 * torch.eye(3).double())
    torch.manual_seed(5)
    return truth.sample(torch.Size([2000])), truth


class TestTraining:
    """RBM(Normal, Normal): factor analysis by the likelihood's gradient."""

    def test_the_exact_gradient_is_that_of_the_likelihood(self) -> None:
        """And CD's samples, where there are enough of them, have it within 5 standard errors."""
        module = rbm(algorithm=EnumeratedLikelihood()).double()
        for parameter in module.model.parameters():
            parameter.data = 0.3 * torch.randn_like(parameter)
        x = observations()[0][:50]
        loss, _ = module.loss((x, None), 0)
        loss.backward()
        expected = -module.model.log_prob(x).mean()
        assert float(loss) == pytest.approx(float(expected), rel=1e-10)
        for parameter, right in zip(
            module.model.parameters(), torch.autograd.grad(expected, list(module.model.parameters())), strict=True
        ):
            torch.testing.assert_close(parameter.grad, right, rtol=1e-8, atol=1e-10)

    @pytest.mark.parametrize("algorithm", [EnumeratedLikelihood(), ContrastiveDivergence(3)], ids=repr)
    def test_it_learns_probabilistic_pca(self, algorithm: nn.Module) -> None:
        x, truth = observations()
        data = DataLoader(TensorDataset(x.float(), torch.zeros(len(x))), batch_size=500)
        schedule = partial(torch.optim.lr_scheduler.LinearLR, start_factor=1.0, end_factor=0.05, total_iters=12)
        module = rbm(algorithm=algorithm, optimizer=partial(torch.optim.Adam, lr=0.1), scheduler=schedule)
        with torch.no_grad():
            module.model.visible_bias[3:] = x.std(0).log()
        trainer(max_epochs=12).fit(module, data)
        divergence = truth.log_prob(x) - module.model.double().log_prob(x)
        assert float(divergence.mean().detach()) < 0.05

    def test_where_it_leaves_the_densities_one_line_says_so(self) -> None:
        x = observations()[0].float()
        data = DataLoader(TensorDataset(x, torch.zeros(len(x))), batch_size=200)
        with pytest.raises(ValueError, match=r"singular values below 1; its largest is .* lower the learning rate"):
            trainer(max_epochs=5).fit(rbm(optimizer=partial(torch.optim.SGD, lr=30.0)), data)

    def test_it_starts_as_a_density_whatever_the_datas_scale(self) -> None:
        module, data = rbm(), Synthetic(GaussianMixture(((0.0, 0.0, 0.0),), sigma=3000.0), (50, 1, 1))
        data.setup()
        module.start(data)
        module.model.check()

    def test_its_likelihood_is_exact_in_the_diagnostic(self) -> None:
        data = Synthetic(GaussianMixture(((0.0, 0.0, 0.0),), sigma=1.0), (10, 1, 500))
        module = rbm()
        (figures,) = trainer(AnnealedLikelihood()).test(module, datamodule=data, verbose=False)
        expected = float(module.model.log_prob(data.test.x).mean())
        assert figures["test/log_likelihood"] == pytest.approx(expected, rel=1e-5)
        assert figures["test/log_partition_error"] == 0
