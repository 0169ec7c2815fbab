"""MRFVAE: against sums over all codes, against the Bernoulli VAE it contains, and where coupled bits pay."""

from __future__ import annotations

import math
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from sklearn.datasets import load_digits
from support.harmoniums import all_bits
from support.models import trainer
from torch import Tensor
from torch.nn.functional import binary_cross_entropy_with_logits

from vae_lightning.consistency import log_joint, tightness
from vae_lightning.data import Synthetic
from vae_lightning.data.processes import Process
from vae_lightning.estimators import Enumerated, LeaveOneOut
from vae_lightning.families import Bernoulli, BernoulliMRF, GibbsMRF
from vae_lightning.models import MRFVAE, VAE
from vae_lightning.nn import MLP
from vae_lightning.nn.one_hot import OneHotLinear
from vae_lightning.objectives import ELBO, AnalyticELBO, GibbsELBO
from vae_lightning.priors import FactorisedPrior, MixturePrior

PIXELS = 5


def mrf_vae(latent: BernoulliMRF | GibbsMRF | None = None, **changes: Any) -> MRFVAE:
    torch.manual_seed(0)
    return MRFVAE(latent or BernoulliMRF(1, 2), Bernoulli(PIXELS), **changes)


def images(n: int) -> Tensor:
    return torch.bernoulli(torch.full((n, PIXELS), 0.5), generator=torch.Generator().manual_seed(3))


def batch(x: Tensor) -> tuple[Tensor, Tensor]:
    return x, torch.zeros(len(x))


def flat_gradient(module: torch.nn.Module) -> Tensor:
    return torch.cat([p.grad.flatten() for p in module.parameters()])


class TestLoss:
    def test_it_is_the_elbo_written_out_code_by_code(self) -> None:
        """sum_z q(z) (log p(x | z) - 3 log 2 - log q(z)), from the two networks alone."""
        module, x, z = mrf_vae(), images(4), all_bits(3).float()
        b, v = module.model.encoder.network(x).split((3, 2), -1)
        score = b @ z.T + (v[:, None] * z[:, :1] * z[:, 1:]).sum(-1)
        log_q = score.log_softmax(-1)
        logits = module.model.decoder.network(z).expand(4, 8, PIXELS)
        target = x[:, None].expand(4, 8, PIXELS)
        log_likelihood = -binary_cross_entropy_with_logits(logits, target, reduction="none").sum(-1)
        elbo = (log_q.exp() * (log_likelihood - 3 * math.log(2) - log_q)).sum(-1)
        loss, figures = module.loss(batch(x), 0)
        torch.testing.assert_close(loss, -elbo.mean())
        torch.testing.assert_close(figures["nelbo"], -elbo.mean())

    @pytest.mark.parametrize("objective", [AnalyticELBO(Enumerated()), ELBO(Enumerated())], ids=lambda o: str(type(o)))
    def test_without_couplings_it_is_the_bernoulli_vae(self, objective: ELBO | AnalyticELBO) -> None:
        """The same loss, and the same gradient of all that both have."""
        coupled, x = mrf_vae(BernoulliMRF(2, 3), objective=objective), images(6)
        plain = VAE(Bernoulli(5), Bernoulli(PIXELS), MLP, MLP, objective)
        with torch.no_grad():
            coupled.model.encoder.network.output.weight[5:] = 0
            coupled.model.encoder.network.output.bias[5:] = 0
            plain.model.decoder.load_state_dict(coupled.model.decoder.state_dict())
            for own, other in zip(plain.model.encoder.parameters(), coupled.model.encoder.parameters(), strict=True):
                own.copy_(other[:5])
        losses = [module.loss(batch(x), 0)[0] for module in (plain, coupled)]
        for loss in losses:
            loss.backward()
        torch.testing.assert_close(*losses)
        torch.testing.assert_close(flat_gradient(plain.model.decoder), flat_gradient(coupled.model.decoder))
        for own, other in zip(plain.model.encoder.parameters(), coupled.model.encoder.parameters(), strict=True):
            torch.testing.assert_close(own.grad, other.grad[:5])

    @pytest.mark.parametrize(
        "objective", [AnalyticELBO(LeaveOneOut(4)), ELBO(LeaveOneOut(4))], ids=["analytic", "elbo"]
    )
    def test_sampled_gradients_are_the_exact_ones(self, objective: ELBO | AnalyticELBO) -> None:
        """Within 4 standard errors of the mean over 20,000 copies of an observation, for every parameter's sum."""
        exact, x = mrf_vae(), images(1)
        exact.loss(batch(x), 0)[0].backward()
        check_mean_gradient(mrf_vae(objective=objective), x, flat_gradient(exact))

    def test_the_objective_follows_the_number_of_bits(self) -> None:
        """Up to 8 all codes are summed, beyond them sampled; either way the KL is in closed form."""
        for groups, estimator in (((4, 4), Enumerated), ((4, 5), LeaveOneOut)):
            objective = mrf_vae(BernoulliMRF(*groups)).objective
            assert isinstance(objective, AnalyticELBO)
            assert isinstance(objective.estimator, estimator)

    def test_a_learned_prior_may_couple_the_bits_too(self) -> None:
        prior = FactorisedPrior(BernoulliMRF(1, 2), learned=True)
        module, x = mrf_vae(prior=prior), images(4)
        uniform = mrf_vae().loss(batch(x), 0)[0]
        torch.testing.assert_close(module.loss(batch(x), 0)[0], uniform)
        module.loss(batch(x), 0)[0].backward()
        assert (prior.theta.grad != 0).all()


def check_mean_gradient(module: MRFVAE, x: Tensor, expected: Tensor, rows: int = 20_000, groups: int = 100) -> None:
    """The mean of the gradient over groups of rows against the expected one, by the groups' own spread."""
    torch.manual_seed(1)
    found = []
    for _ in range(groups):
        module.zero_grad()
        module.loss(batch(x.expand(rows // groups, -1)), 0)[0].backward()
        found.append(flat_gradient(module))
    gradients = torch.stack(found)
    error = gradients.std(0) / math.sqrt(groups)
    assert ((gradients.mean(0) - expected).abs() < 4 * error + 1e-6).all()


class TestApproximationError:
    """Figures by enumeration over all data and codes, after the same training of the same networks."""

    def trained(
        self, latent: Any, x: Tensor, weights: Tensor, steps: int, decoder: Any = OneHotLinear, lr: float = 0.03
    ) -> tuple[float, float]:
        """The ELBO, and its gap to the log-likelihood, in nats."""
        torch.manual_seed(0)
        hidden = partial(MLP, hidden=(32,))
        make = MRFVAE if isinstance(latent, BernoulliMRF) else VAE
        module = make(latent, Bernoulli(x.shape[1]), hidden, decoder, objective=AnalyticELBO(Enumerated()))
        optimizer = torch.optim.Adam(module.parameters(), lr=lr)
        schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, steps)
        for _ in range(steps):
            optimizer.zero_grad()
            (-(weights * module.objective(module.model, x)).sum()).backward()
            optimizer.step()
            schedule.step()
        likelihood = float(log_joint(module.model, x).logsumexp(0) @ weights.double())
        gap = float(tightness(module.model, x, weights).epsilon)
        return likelihood - gap, gap

    def test_overlapping_causes(self) -> None:
        """Four causes that overlap: by whatever names, some two that explain the same x differ in both bits.

        p_d, over all 32 images, is of the models' own kind, so that the least NELBO is its entropy, 2.7986 nats. What
        is left of the coupled bits' error is the encoder network's.
        """
        logits = torch.tensor([[2, 2, -2, -2, 0.5], [0, 2, 2, -2, 0], [-2, 2, 2, -2, 1], [2, 2, -2, 0, -0.5]])
        x = all_bits(PIXELS).float()
        fits = -binary_cross_entropy_with_logits(
            logits[:, None].expand(4, 32, PIXELS), x.expand(4, 32, PIXELS), reduction="none"
        ).sum(-1)
        weights = fits.softmax(-1).mean(0)
        entropy = -float(weights @ weights.log())
        (plain, _), (coupled, gap) = (
            self.trained(kind, x, weights, 400) for kind in (Bernoulli(2), BernoulliMRF(1, 1))
        )
        error, coupled_error = -entropy - plain, -entropy - coupled
        assert 0 < coupled_error < 0.3 * error
        assert gap < 1e-3

    def test_digits_of_sixteen_pixels(self) -> None:
        """scikit-learn's digits, averaged over 2 x 2 pixels and thresholded: four bits in two groups of two.

        Both start from the same decoder, of a likelihood that EM has maximised, and are trained with the encoder. (From
        random decoders the local optimum of the sixteen codes matters more than the family of the encoder.)
        """
        pixels = torch.from_numpy(load_digits().images).float().unflatten(1, (4, 2)).unflatten(3, (4, 2)).mean((2, 4))
        x, counts = torch.unique((pixels > 8).flatten(1).float(), dim=0, return_counts=True)
        weights = counts / counts.sum()
        decoder = partial(OneHotLinear, weight=maximum_likelihood(x, weights, 16).tolist())
        (plain, gap), (coupled, coupled_gap) = (
            self.trained(kind, x, weights, 300, decoder, 0.01) for kind in (Bernoulli(4), BernoulliMRF(2, 2))
        )
        assert coupled > plain + 0.1
        assert coupled_gap < 0.9 * gap


def maximum_likelihood(x: Tensor, weights: Tensor, codes: int, steps: int = 100) -> Tensor:
    """The logits (codes, pixels) of equally likely codes after so many steps of EM from chosen rows of x."""
    logits = 2 * x[torch.randperm(len(x), generator=torch.Generator().manual_seed(0))[:codes]] - 1
    for _ in range(steps):
        fits = x @ logits.T - torch.nn.functional.softplus(logits).sum(-1)
        mass = weights[:, None] * fits.softmax(-1)
        logits = ((mass.T @ x) / mass.sum(0)[:, None]).clamp(0.01, 0.99).logit()
    return logits


class Coins(Process):
    """Independent fair pixels."""

    event_shape = torch.Size([PIXELS])

    def sample(self, n: int, generator: torch.Generator | None = None) -> Tensor:
        return torch.bernoulli(torch.full((n, PIXELS), 0.5), generator=generator)

    def log_prob(self, x: Tensor) -> Tensor:
        return torch.full(x.shape[:-1], -PIXELS * math.log(2))


COINS = {"sizes": (64, 32, 32), "batch_size": 16}


class TestExact:
    def test_a_fit_logs_the_bound_and_its_two_terms(self, tmp_path: Path) -> None:
        module = mrf_vae()
        fit = trainer()
        fit.fit(module, Synthetic(Coins(), **COINS))
        logged = fit.test(module, Synthetic(Coins(), **COINS), verbose=False)[0]
        assert set(logged) - {"step"} == {"test/nelbo", "test/reconstruction", "test/kl"}
        assert logged["test/nelbo"] == pytest.approx(logged["test/reconstruction"] + logged["test/kl"], rel=1e-5)
        assert module.sample(7).shape == (7, PIXELS)

    def test_data_of_another_shape(self) -> None:
        data = Synthetic(Coins(), **COINS)
        data.observed_shape = (3,)
        with pytest.raises(ValueError, match=r"the model observes \(5,\) but the data are \(3,\)"):
            trainer().fit(mrf_vae(), data)

    def test_a_prior_without_closed_form_needs_another_objective(self) -> None:
        with pytest.raises(ValueError, match="AnalyticELBO needs a closed-form KL"):
            mrf_vae(prior=MixturePrior(Bernoulli(3), 2))
        mrf_vae(prior=MixturePrior(Bernoulli(3), 2), objective=ELBO(Enumerated()))


class TestGibbs:
    """Groups beyond enumeration: biased samples, no bound, and no figure that is called one."""

    def test_with_long_chains_its_gradient_is_the_elbos(self) -> None:
        """Of three bits, for which the ELBO can be summed: within 4 standard errors, after 30 sweeps."""
        exact, x = mrf_vae(), images(1)
        exact.loss(batch(x), 0)[0].backward()
        check_mean_gradient(mrf_vae(GibbsMRF(1, 2, sweeps=30)), x, flat_gradient(exact))

    def test_its_value_is_the_elbo_less_the_log_partition(self) -> None:
        """In expectation: the mean over 20,000 copies of an observation, within 4 standard errors."""
        torch.manual_seed(1)
        exact, gibbs, x = mrf_vae(), mrf_vae(GibbsMRF(1, 2, sweeps=30)), images(1)
        partition = exact.model.encoder(x).log_normaliser
        values = gibbs.objective(gibbs.model, x.expand(20_000, -1)).detach()
        expected = exact.objective(exact.model, x) - partition
        assert abs(float(values.mean() - expected)) < 4 * float(values.std()) / math.sqrt(20_000)

    def test_no_figure_of_a_fit_is_called_a_bound(self) -> None:
        module = mrf_vae(GibbsMRF(17, 18, sweeps=2))
        with pytest.raises(TypeError, match="GibbsMRF has no mean code: use BernoulliMRF"):
            module.predict_step((images(1), None), 0)
        fit = trainer(log_every_n_steps=1)
        fit.fit(module, Synthetic(Coins(), **COINS))
        names = set(fit.callback_metrics)
        logged = fit.test(module, Synthetic(Coins(), **COINS), verbose=False)[0]
        assert names == {"train/loss", "val/gibbs_reconstruction"}
        assert set(logged) - {"step"} == {"test/gibbs_reconstruction"}
        assert np.isfinite(list(logged.values())).all()
        assert not module.objective.is_elbo

    def test_objectives_and_families_that_do_not_fit(self) -> None:
        with pytest.raises(TypeError, match=r"ELBO needs the log-probability of codes, which GibbsMRF\(20, 20"):
            mrf_vae(GibbsMRF(20, 20), objective=ELBO(LeaveOneOut()))
        with pytest.raises(TypeError, match=r"which GibbsMRF\(1, 2, .* does not know: use MRFVAE, which trains it"):
            VAE(GibbsMRF(1, 2), Bernoulli(PIXELS), MLP, MLP, ELBO(LeaveOneOut()))
        with pytest.raises(TypeError, match="GibbsELBO is for GibbsMRF posteriors, got MarkovRandomField: use ELBO"):
            mrf_vae(objective=GibbsELBO())
        with pytest.raises(ValueError, match="needs at least 2, got 1"):
            GibbsELBO(1)
        with pytest.raises(ValueError, match="or use GibbsMRF, which is biased and gives no bound"):
            BernoulliMRF(17, 17)
