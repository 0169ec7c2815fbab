"""Richer posteriors: by closed forms and quadrature, under every objective, and back from a file."""

import copy
import math
import sys
from functools import partial

import numpy as np
import pytest
import torch
import torch.distributions as td
from support.command import command
from support.linear_world import Fixed

import vae_lightning
from vae_lightning.conditional import Conditional
from vae_lightning.distributions import Flowed
from vae_lightning.encoders import BlockEncoder, FlowEncoder
from vae_lightning.estimators import Reparameterised
from vae_lightning.families import Bernoulli, BlockNormal, Normal, Product
from vae_lightning.inference import Inflated, log_weights
from vae_lightning.latent_variable import LatentVariableModel
from vae_lightning.metrics import ELBOSurgery
from vae_lightning.metrics.functional import elbo_surgery, importance_weighted_bound
from vae_lightning.models import GaussianVAE, LiBI
from vae_lightning.nn import MLP, DCGANEncoder, Outputs, ResidualEncoder
from vae_lightning.objectives import ELBO, IWAE, ForwardKL
from vae_lightning.priors import FactorisedPrior, VampPrior

SAMPLES = 2_000
LINEAR = partial(MLP, hidden=[])
BLOCKS = partial(BlockEncoder, block=2)
FLOW = partial(FlowEncoder, couplings=2, width=8, context=3)


@pytest.fixture(params=["blocks", "flow"])
def encoder(request):
    """What builds an encoder."""
    return {"blocks": BLOCKS, "flow": FLOW}[request.param]


def stirred(module, by=0.1):
    """Away from where training starts."""
    torch.manual_seed(1)
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.copy_(by * torch.randn_like(parameter))
    return module


# -- the world in which the best posterior of each family is known ---------------------------------------------------


class Linear:
    """z ~ N(0, I) in 4 dimensions, x | z ~ N(W z, 0.5^2 I): p(z | x) = N(m(x), P^-1) with P = I + W^T W / 0.25."""

    def __init__(self):
        self.weight = torch.randn(6, 4, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
        self.precision = torch.eye(4, dtype=torch.float64) + 4 * self.weight.mT @ self.weight
        self.covariance = 0.25 * torch.eye(6, dtype=torch.float64) + self.weight @ self.weight.mT
        self.x = td.MultivariateNormal(torch.zeros(6, dtype=torch.float64), self.covariance).sample((3,))

    def blocks(self, k):
        """The blocks of P."""
        return [self.precision[i : i + k, i : i + k] for i in range(0, 4, k)]

    def gap(self, k):
        """KL(q || p(z | x)) of the nearest q with blocks of k: its mean is right, its precisions are P's blocks."""
        return 0.5 * (sum(torch.logdet(block) for block in self.blocks(k)) - torch.logdet(self.precision))

    def model(self, k):
        """The world's own decoder with that q."""
        family, precision = BlockNormal(4, k), torch.block_diag(*self.blocks(k))
        row, column = torch.tril_indices(k, k, -1)
        pairs = torch.cat([-block[row, column] for block in self.blocks(k)])
        eta = torch.cat((torch.zeros(4), -0.5 * precision.diagonal(), pairs))
        spread = family.unconstrain(eta)[4:]

        class Posterior(torch.nn.Module):
            def forward(network, x):
                mean = torch.linalg.solve(self.precision, 4 * self.weight.mT @ x.mT).mT
                return torch.cat((mean, spread.expand(len(x), -1)), -1)

        decoder = Fixed(self.weight, torch.zeros(6).double(), torch.full((6,), 0.5).double().log())
        return LatentVariableModel(
            Conditional(family, (6,), lambda *_: Posterior()),
            Conditional(Normal(6), (4,), lambda *_: decoder),
            FactorisedPrior(Normal(4)).double(),
        )


@pytest.mark.parametrize("k", [1, 2, 4])
def test_the_gap_of_a_linear_world_is_what_the_blocks_leave_out(k):
    """One block covers the posterior and has no gap, sample by sample; smaller ones within 4 standard errors."""
    world = Linear()
    torch.manual_seed(2)
    bound = ELBO(Reparameterised(SAMPLES))
    draw_gap = td.MultivariateNormal(torch.zeros(6).double(), world.covariance).log_prob(world.x) - bound(
        world.model(k), world.x
    )
    if k == 4:
        torch.testing.assert_close(draw_gap, torch.zeros(3).double(), rtol=0, atol=1e-9)
        return
    assert world.gap(k) > 0.05
    q = world.model(k).encoder(world.x)
    error = world.model(k).draw(world.x, q, q.sample((SAMPLES,))).log_weight.std(0) / SAMPLES**0.5
    assert ((draw_gap - world.gap(k)).abs() < 4 * error).all()


def test_wider_blocks_leave_out_less():
    gaps = [float(Linear().gap(k)) for k in (1, 2, 4)]
    assert gaps[0] > gaps[1] > gaps[2] == pytest.approx(0, abs=1e-12)


# -- densities -------------------------------------------------------------------------------------------------------


def plane(nodes=200, reach=12.0):
    z, w = (torch.tensor(a) * reach for a in np.polynomial.legendre.leggauss(nodes))
    return torch.cartesian_prod(z, z).float(), torch.cartesian_prod(w, w).prod(-1)


def test_a_density_in_the_plane(encoder):
    """It integrates to one, its samples have its mean within 4 standard errors, and batches broadcast."""
    built = stirred(encoder((3,), Outputs(4, (2,)), network=LINEAR), 0.4)
    q, (z, weight) = built(0.3 * torch.randn(2, 3)), plane()
    p = q.log_prob(z[:, None]).double().exp() * weight[:, None]
    torch.testing.assert_close(p.sum(0), torch.ones(2).double(), rtol=0, atol=1e-3)
    samples = q.sample((SAMPLES,))
    error = samples.std(0) / SAMPLES**0.5
    assert ((samples.mean(0) - (p[..., None] * z[:, None]).sum(0)).abs() < 4 * error).all()
    assert q.log_prob(samples).shape == (SAMPLES, 2)
    assert built.prototype().batch_shape == (1,)


def test_a_flow_that_is_affine_is_gaussian():
    """Of f(z) = 2 z - c: density, samples within 4 standard errors, and a mean and a deviation of 64 draws."""
    loc, context, scale = torch.randn(3, 2), torch.randn(3, 2), torch.tensor([0.5, 2.0]).expand(3, 2)
    q = Flowed(loc, scale, context, lambda c: td.IndependentTransform(td.AffineTransform(-c, 2.0), 1), loc.shape[1:])
    gaussian, z = td.Independent(td.Normal((loc + context) / 2, scale / 2), 1), torch.randn(5, 3, 2)
    torch.testing.assert_close(q.log_prob(z), gaussian.log_prob(z))
    torch.manual_seed(0)
    error = gaussian.stddev / SAMPLES**0.5
    assert ((q.sample((SAMPLES,)).mean(0) - gaussian.mean).abs() < 4 * error).all()
    torch.testing.assert_close(q.mean, gaussian.mean)  # draws come in pairs of noise and its negative
    torch.testing.assert_close(q.stddev, gaussian.stddev, rtol=0.3, atol=0)


def test_a_flow_starts_as_independent_gaussians():
    built, x, z = FLOW((3,), Outputs(8, (4,))), torch.randn(2, 3), torch.randn(5, 2, 4)
    q = built(x)
    torch.testing.assert_close(q.log_prob(z), td.Normal(q.loc, q.scale).log_prob(z).sum(-1))


def test_zuko_leaves_torchs_checks_as_they_were():
    before = td.Distribution._validate_args
    FLOW((3,), Outputs(8, (4,)))
    assert td.Distribution._validate_args == before


@torch.no_grad()
def test_surgery_is_that_of_all_at_once(encoder):
    """Batch by batch as of all observations, by densities of the family or by the flow itself."""
    built = stirred(encoder((3,), Outputs(4, (2,)), network=LINEAR), 0.4)
    x, prior = torch.randn(12, 3), Normal(2, scale=1.0).distribution(torch.zeros(2))
    metric = ELBOSurgery(chunk=7)
    torch.manual_seed(0)
    z = built(x).sample((5,))
    for rows in torch.arange(12).split(5):
        metric.update(built(x[rows]), prior, z[:, rows])
    whole = elbo_surgery(built(x), prior, z)
    found = metric.compute()
    log_q = built(x).log_prob(z[..., None, :]).logsumexp(-1) - math.log(12)
    expected = (built(x).log_prob(z) - log_q).mean()
    assert float(found["mutual_information"]) == pytest.approx(float(whole.mutual_information), abs=1e-5)
    assert float(found["mutual_information"]) == pytest.approx(float(expected), abs=1e-4)
    assert float(found["rate"]) == pytest.approx(float(whole.rate), abs=1e-5)


# -- models ----------------------------------------------------------------------------------------------------------


def test_every_objective_trains_them(encoder):
    x = torch.randn(8, 6)
    for objective in (ELBO(Reparameterised()), IWAE(Reparameterised(3)), ForwardKL()):
        vae = GaussianVAE(4, Normal(6, 0.3), encoder, objective=objective)
        vae.loss((x, x), 0)[0].backward()
        gradients = [parameter.grad for parameter in vae.model.encoder.parameters()]
        assert all(gradient is not None and gradient.isfinite().all() for gradient in gradients)
        assert vae.predict_step((x, x), 0).shape == (8, 4)
    libi = LiBI(4, Normal(6, 0.3), encoder, inference=ForwardKL(), steps=10)
    assert libi.loss((x, x), 6)[0].isfinite()


def test_importance_weights_of_a_wider_proposal_estimate_the_same_likelihood(encoder):
    """Under q and under q inflated, the bound on log p(x) of 4,000 samples agrees to 0.1 nats."""
    vae = stirred(GaussianVAE(2, Normal(3, 2.0), encoder, objective=ELBO(Reparameterised())), 0.05)
    x = torch.randn(2, 3)
    torch.manual_seed(0)
    with torch.no_grad():
        bounds = [
            torch.cat([importance_weighted_bound(part) for part in log_weights(vae.model, x, 4_000, proposal)])
            for proposal in (None, Inflated(2.0))
        ]
    torch.testing.assert_close(bounds[0], bounds[1], rtol=0, atol=0.1)


def test_a_model_of_bfloat16_answers_as_well(encoder):
    x = np.random.default_rng(0).normal(size=(5, 3))
    single = GaussianVAE(2, Normal(3, 0.5), encoder, objective=ELBO(Reparameterised()))
    found, expected = (
        each.log_likelihood(x, K=50).log_likelihood for each in (copy.deepcopy(single).bfloat16(), single)
    )
    np.testing.assert_allclose(found, expected, atol=1)


def test_a_vamp_prior_is_the_mixture_of_their_posteriors(encoder):
    prior = VampPrior(4, 6, num_components=5)
    vae = stirred(GaussianVAE(4, Normal(6, 0.3), encoder, objective=ELBO(Reparameterised()), prior=prior))
    z = torch.randn(7, 4)
    members = vae.model.encoder(prior.pseudo_inputs)
    mixed = members.log_prob(z[:, None]).logsumexp(-1) - math.log(5)
    torch.testing.assert_close(prior().log_prob(z), mixed, rtol=1e-4, atol=1e-4)
    torch.manual_seed(0)
    samples = prior().sample((SAMPLES,))
    error = samples.std(0) / SAMPLES**0.5 + members.stddev.mean(0) / 8  # of a flow the mean is that of 64 draws
    assert ((samples.mean(0) - prior().mean).abs() < 4 * error).all()
    vae.loss((torch.randn(8, 6),) * 2, 0)[0].backward()
    assert prior.unbounded.grad.abs().sum() > 0


def test_a_checkpoint_says_what_they_are(encoder, tmp_path):
    """By class paths alone, which whoever loads it need not trust."""
    vae = GaussianVAE(4, Normal(6, 0.3), encoder, objective=ForwardKL())
    content = {"state_dict": vae.state_dict(), "epoch": 0, "global_step": 0, "pytorch-lightning_version": "2.6.0"}
    content["hyper_parameters"] = dict(vae.hparams)
    vae.on_save_checkpoint(content)
    torch.save(content, tmp_path / "model.ckpt")
    loaded, x = vae_lightning.load(tmp_path / "model.ckpt"), torch.randn(3, 6)
    assert type(loaded.model.encoder) is encoder.func
    torch.testing.assert_close(loaded.model.encoder(x).mean, vae.model.encoder(x).mean)


def test_the_command_takes_them_by_class_path(encoder, tmp_path):
    """With a network of their own, through ELBO surgery of the validation digits."""
    path = f"vae_lightning.encoders.{encoder.func.__name__}"
    command(
        *("fit", "--config", "digits/vae", "--model.encoder", path, "--model.encoder.network", "vae_lightning.nn.MLP"),
        *("--model.encoder.network.hidden", "[8]", "--model.latent_dim", "10", "--trainer.callbacks", "[]"),
        *("--trainer.callbacks+", "vae_lightning.callbacks.ELBOSurgery", "--trainer.callbacks.limit", "50"),
        *("--trainer.callbacks.every_n_epochs", "1", "--trainer.max_epochs", "1", "--trainer.limit_train_batches", "2"),
        *("--trainer.logger.save_dir", tmp_path, "--trainer.accelerator", "cpu"),
    )
    (last,) = tmp_path.rglob("last.ckpt")
    assert isinstance(vae_lightning.load(last).model.encoder, encoder.func)


@pytest.mark.parametrize("network", [DCGANEncoder, ResidualEncoder])
def test_encoders_of_images_have_heads_for_them(encoder, network):
    built = encoder((1, 8, 8), Outputs(8, (4,)), network=partial(network, width=4))
    assert len(built.network.heads) == 2
    assert built(torch.rand(3, 1, 8, 8)).sample().shape == (3, 4)


def test_errors_say_what_is_wrong(monkeypatch):
    with pytest.raises(TypeError, match="needs to know the shape of a code"):
        BlockEncoder((3,), 8)
    with pytest.raises(ValueError, match="cuts 4 variables into blocks of 3 each: try 2"):
        GaussianVAE(4, Normal(6, 0.3), partial(BlockEncoder, block=3))
    with pytest.raises(ValueError, match=r"reads observations as they are.*BlockNormal"):
        GaussianVAE(4, Product([Normal(2), Bernoulli(3)]), BLOCKS)
    monkeypatch.setitem(sys.modules, "zuko.flows.coupling", None)
    with pytest.raises(ValueError, match=r"not installed: pip install 'vae-lightning\[flows\]'"):
        FLOW((3,), Outputs(8, (4,)))
