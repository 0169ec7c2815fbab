"""One component of a prior: a pseudo-input of a VampPrior, a member of a mixture; and what is generated from it."""

from __future__ import annotations

import math
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch
from support.command import command

import vae_lightning as vl
from vae_lightning.conditional import Network
from vae_lightning.distributions import component
from vae_lightning.encoders import BlockEncoder
from vae_lightning.estimators import Reparameterised
from vae_lightning.families import Bernoulli, Normal
from vae_lightning.models import HVAE, RBM, GaussianVAE
from vae_lightning.nn import MLP
from vae_lightning.objectives import ELBO
from vae_lightning.priors import MixturePrior, VampPrior


@pytest.mark.parametrize("encoder", [MLP, partial(BlockEncoder, block=2)])
def test_a_component_of_a_vamp_prior_is_the_posterior_of_its_pseudo_input(encoder: Network) -> None:
    prior = VampPrior(2, 6, 4)
    vae = GaussianVAE(2, Bernoulli(6), encoder, objective=ELBO(Reparameterised()), prior=prior)
    z = torch.randn(5, 2)
    torch.testing.assert_close(
        component(prior(), 3).log_prob(z), vae.model.encoder(prior.pseudo_inputs[3:4]).log_prob(z)
    )
    each = torch.stack([component(prior(), k).log_prob(z) for k in range(4)])
    torch.testing.assert_close(prior().log_prob(z), each.logsumexp(0) - math.log(4))


def test_of_two_levels_the_upper_one_is_the_components() -> None:
    """z2 ~ q(z2 | u_k), z1 ~ p(z1 | z2): the density is that product, and samples follow it."""
    prior = VampPrior(1, 6, 3)
    model = HVAE([1, 2], Bernoulli(6), prior=prior).model
    one = component(model.prior(), 1)
    z = torch.randn(5, 3)
    top = model.encoder.top(prior.pseudo_inputs[1:2])
    torch.testing.assert_close(one.log_prob(z), top.log_prob(z[:, :1]) + model.prior.lower(z[:, :1]).log_prob(z[:, 1:]))
    torch.manual_seed(0)
    drawn = one.sample((4000,))[:, 0]
    assert abs(drawn.mean() - top.mean.item()) < 4 * top.stddev.item() / 4000**0.5


def test_rows_are_generated_from_a_component() -> None:
    """Two components that make opposite bits."""
    torch.manual_seed(0)
    vae = GaussianVAE(1, Bernoulli(4), objective=ELBO(Reparameterised()), prior=MixturePrior(Normal(1), 2))
    with torch.no_grad():
        vae.model.prior.theta.copy_(torch.tensor([[-9.0, -3.0], [9.0, -3.0]]))
        vae.model.decoder.network.output.weight.fill_(5.0)
        vae.model.decoder.network.output.bias.zero_()
    assert (vae.generate(5, component=0).x == 0).all()
    assert (vae.generate(5, component=1).x == 1).all()
    assert (vae.generate(5, mean=True, component=1).x > 0.99).all()


def test_what_is_no_component_is_refused_in_one_line() -> None:
    mixture = GaussianVAE(1, Bernoulli(4), objective=ELBO(Reparameterised()), prior=MixturePrior(Normal(1), 2))
    with pytest.raises(ValueError, match="component counts from 0 to 1, the prior has 2; got 2"):
        mixture.generate(3, component=2)
    with pytest.raises(TypeError, match="Normal has no components to draw from"):
        GaussianVAE(1, Bernoulli(4)).generate(3, component=0)
    with pytest.raises(TypeError, match="RBM has no prior with components to draw from: leave component out"):
        RBM(Bernoulli(4), Bernoulli(2)).generate(3, component=0)


def test_the_command_draws_from_a_component_as_python_does(tmp_path: Path) -> None:
    torch.manual_seed(0)
    vae = GaussianVAE(2, Bernoulli(6), objective=ELBO(Reparameterised()), prior=VampPrior(2, 6, 4))
    run = vl.trainer(max_epochs=1, accelerator="cpu", logger=False, default_root_dir=tmp_path)
    run.fit(vae, vl.Arrays(np.eye(6, dtype=np.float32)[[0, 1, 2, 3, 4, 5] * 5], batch_size=10))
    run.save_checkpoint(tmp_path / "vamp.ckpt")
    command("sample", "--ckpt", tmp_path / "vamp.ckpt", "--n", 5, "--component", 3, "--out", tmp_path / "new.npz")
    with np.load(tmp_path / "new.npz") as found:
        assert (found["x"] == vl.load(tmp_path / "vamp.ckpt").generate(5, component=3).x).all()
