"""Hamiltonian Monte Carlo against the posterior of a linear model in closed form; step 2 of LiBI by it."""

from __future__ import annotations

import sys
from functools import partial
from pathlib import Path
from typing import Any

import lightning.pytorch as pl
import pytest
import torch
from support.models import Save, trainer
from torch import Generator

from vae_lightning.data import FullBatch, Synthetic
from vae_lightning.data.processes import LinearGaussian, LinearJTEx
from vae_lightning.families import Normal
from vae_lightning.latent_variable import LatentVariableModel
from vae_lightning.models import GaussianVAE, LiBI
from vae_lightning.nn import CholeskyLinear, LinearMap
from vae_lightning.objectives import Hamiltonian, PosteriorFit

TRUTH = LinearJTEx()
WEIGHT = torch.tensor([[0.6, -0.3], [1.0, 0.5], [0.2, 0.9]], dtype=torch.float64)
WORLD = LinearGaussian(WEIGHT, torch.full((3,), 0.25, dtype=torch.float64))


def the_truth() -> LatentVariableModel:
    """A model whose decoder is that of the world, in double precision."""
    torch.manual_seed(0)
    model = GaussianVAE(2, Normal(3, 0.5), decoder=LinearMap).double().model
    model.decoder.network.weight.data.copy_(WEIGHT)
    return model


def test_samples_have_the_moments_of_the_posterior() -> None:
    """Of five observations: mean and covariance within 4 standard errors, of the number the chain is worth."""
    x = WORLD.sample(5, Generator().manual_seed(1)).double()
    found, posterior = Hamiltonian(400, 100)(the_truth(), x), WORLD.posterior(x)
    assert found.z.shape == (400, 5, 2)
    assert found.divergences == 0
    assert found.effective.min() > 100
    covariance = posterior.covariance_matrix[0]
    error = (covariance.diagonal() / found.effective).sqrt()
    assert ((found.z.mean(0) - posterior.mean).abs() < 4 * error).all()
    centred = found.z - posterior.mean
    outer = centred[..., :, None] * centred[..., None, :]
    # the variance of a product of two normal numbers is c_ii c_jj + c_ij^2
    spread = (covariance.diagonal()[:, None] * covariance.diagonal() + covariance.square()) / found.effective.min()
    assert ((outer.mean(0) - covariance).abs() < 4 * spread.sqrt()).all()


def test_a_chain_is_a_function_of_its_seed_and_leaves_torchs_state() -> None:
    model, x = the_truth(), WORLD.sample(3, Generator().manual_seed(1)).double()
    torch.manual_seed(5)
    before = torch.get_rng_state()
    one, again, other = (Hamiltonian(10, 5, seed=seed)(model, x).z for seed in (0, 0, 1))
    assert torch.equal(torch.get_rng_state(), before)
    assert torch.equal(one, again)
    assert not torch.equal(one, other)
    assert all(parameter.grad is None for parameter in model.parameters())


class Counting(Hamiltonian):
    """How often a chain is run."""

    runs = 0

    def __call__(self, *given: Any) -> Any:
        self.runs += 1
        return super().__call__(*given)


def fit(model: LiBI, *callbacks: pl.Callback, resume: Path | None = None) -> None:
    data = FullBatch(Synthetic(TRUTH, (20, 10, 10)), 100)
    trainer(*callbacks, max_epochs=4).fit(model, data, ckpt_path=resume, weights_only=True)


def libi(sampler: Hamiltonian) -> LiBI:
    torch.manual_seed(0)
    adam = partial(torch.optim.Adam, lr=0.05)
    inference = PosteriorFit(sampler)
    return LiBI(2, Normal(2, 0.3), decoder=CholeskyLinear, inference=inference, steps=200, repeats=2, optimizer=adam)


def test_step_2_of_libi_by_a_chain(tmp_path: Path) -> None:
    """One chain for each phase of inference; a run resumed in the middle of one has another, and ends the same."""
    sampler, path = Counting(20, 20, depth=4), tmp_path / "middle.ckpt"
    model = libi(sampler)
    fit(model, Save(path, 150))
    assert sampler.runs == 2
    resumed = libi(Counting(20, 20, depth=4))
    fit(resumed, resume=path)
    for name, value in model.state_dict().items():
        assert torch.equal(value, resumed.state_dict()[name]), name


def test_the_encoder_becomes_the_posteriors_means_and_variances() -> None:
    """Those of each code by itself, in closed form, where the ELBO's best has the smaller 1 / Lambda_ii."""
    model, x = the_truth(), WORLD.sample(30, Generator().manual_seed(2)).double()
    objective, posterior = PosteriorFit(Hamiltonian(300, 100)), WORLD.posterior(x)
    optimizer = torch.optim.Adam(model.encoder.parameters(), lr=0.05)
    for _ in range(400):
        optimizer.zero_grad()
        (-objective(model, x).mean()).backward()
        optimizer.step()
    q, variance = model.encoder(x), posterior.covariance_matrix[0].diagonal()
    assert all(parameter.grad is None for parameter in model.decoder.parameters())
    # a regression on 30 chains of 300 samples, in each direction of x with an error of 0.02 standard deviations or so
    assert ((q.mean - posterior.mean).abs() < 0.1 * variance.sqrt()).all()
    found = q.variance.mean(0).detach() / variance
    assert (found - 1).abs().max() < 0.08
    assert (WORLD.mean_field().variance / variance < 0.9).all()


def test_bad_input(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ValueError, match=r"num_samples >= 4, .* got 3, 200 and 6"):
        Hamiltonian(3)
    monkeypatch.setitem(sys.modules, "pyro.infer.mcmc", None)
    with pytest.raises(ValueError, match=r"Pyro, which is not installed: pip install 'vae-lightning\[mcmc\]'"):
        PosteriorFit()
