"""Penalties of codes: values and gradients against closed forms and finite differences, and what they refuse."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor
from torch.func import vmap

from vae_lightning.conditional import Conditional
from vae_lightning.families import Normal
from vae_lightning.latent_variable import LatentVariableModel
from vae_lightning.metrics.functional import henze_zirkler
from vae_lightning.nn import LinearMap
from vae_lightning.objectives import (
    CodeLikelihood,
    Constraint,
    Covariance,
    HenzeZirkler,
    InformationFloor,
    Mean,
    Penalty,
)
from vae_lightning.objectives.constraints.penalties import bounded_exp
from vae_lightning.priors import FactorisedPrior


def codes(n: int = 30, scale: float = 1.0) -> Tensor:
    return scale * torch.randn(n, 2, dtype=torch.float64, generator=torch.Generator().manual_seed(0))


class TestBoundedExp:
    def test_it_is_exp_below_and_its_tangent_above(self):
        t = torch.tensor([-50.0, 0.0, 4.9, 5.0, 6.0, 1000.0], dtype=torch.float64)
        above = [math.exp(5) * 2, math.exp(5) * 996]
        expected = [math.exp(-50), 1.0, math.exp(4.9), math.exp(5), *above]
        assert bounded_exp(t, 5.0).tolist() == pytest.approx(expected, rel=1e-12)

    def test_value_and_slope_are_continuous(self):
        t = torch.tensor([5 - 1e-9, 5.0, 5 + 1e-9], dtype=torch.float64, requires_grad=True)
        (slope,) = torch.autograd.grad(bounded_exp(t, 5.0).sum(), t)
        assert slope.tolist() == pytest.approx([math.exp(5)] * 3, rel=1e-8)
        assert torch.autograd.gradcheck(
            lambda t: bounded_exp(t, 5.0), torch.tensor([3.0, 9.0]).double().requires_grad_()
        )

    def test_the_statistic_of_an_untrained_encoder_does_not_overflow(self):
        """HZ of 100 in single precision, where exp overflows above 88.7."""
        t = torch.tensor(100.0, requires_grad=True)
        bounded_exp(t, 5.0).backward()
        assert float(t.grad) == pytest.approx(math.exp(5), rel=1e-6)


ALL = [
    HenzeZirkler(2.0),
    Covariance(0.3),
    Mean(0.2),
    HenzeZirkler(0.5, bound=0.1),
    Covariance(0.1, bound=9.0),
    Mean(0.001),
]


@pytest.mark.parametrize("penalty", ALL, ids=lambda p: f"{type(p).__name__}-{p.bound}")
@pytest.mark.parametrize("scale", [1.0, 1.7])
def test_gradients_are_those_of_finite_differences(penalty: Penalty, scale: float):
    assert torch.autograd.gradcheck(penalty, codes(scale=scale).requires_grad_())


def test_values_are_those_of_equation_44():
    z = codes(scale=1.2)
    mean, covariance = z.mean(0), torch.cov(z.T, correction=0)
    assert float(HenzeZirkler(2.0)(z)) == pytest.approx(2 * math.exp(henze_zirkler(z)), rel=1e-9)
    distance = float(torch.linalg.matrix_norm(covariance - torch.eye(2)) ** 2)
    assert float(Covariance(0.5, bound=9.0)(z)) == pytest.approx(math.exp(distance / 0.5), rel=1e-9)
    assert float(Mean(0.2)(z)) == pytest.approx(math.exp(float(mean @ mean) / 0.2), rel=1e-9)


def test_a_standard_sample_pays_next_to_nothing_and_others_more():
    """White, centred codes pay the least that mean and covariance can; scaled, shifted or cubed ones more."""
    y = codes(500) - codes(500).mean(0)
    white = torch.linalg.solve_triangular(torch.linalg.cholesky(y.T @ y / 500), y.T, upper=False).T
    assert float(Mean()(white)) == pytest.approx(1)
    assert float(Covariance()(white)) == pytest.approx(1)
    assert Mean()(white + 1) > 10
    assert Covariance()(2 * white) > 100
    assert HenzeZirkler()(white**3) > 100 > HenzeZirkler()(white)


def test_gradients_of_mean_and_covariance_in_closed_form():
    """d exp(|m|^2 / e) = exp(.) 2 m / (e n) for each row; d exp(|S - I|^2 / e) = exp(.) 4 y (S - I) / (e n)."""
    z = codes().requires_grad_()
    n, mean = len(z), z.detach().mean(0)
    (of_mean,) = torch.autograd.grad(Mean(0.5)(z), z)
    torch.testing.assert_close(of_mean, (Mean(0.5)(z).detach() * 2 * mean / (0.5 * n)).expand(n, 2))
    y = z.detach() - mean
    (of_covariance,) = torch.autograd.grad(Covariance(0.5, bound=9.0)(z), z)
    expected = Covariance(0.5, bound=9.0)(z).detach() * 4 * y @ (y.T @ y / n - torch.eye(2)) / (0.5 * n)
    torch.testing.assert_close(of_covariance, expected)


def test_codes_of_any_shape_and_many_samples_at_once():
    z = torch.stack([codes(), 2 * codes()])
    for penalty in ALL:
        each = torch.stack([penalty(one) for one in z])
        torch.testing.assert_close(vmap(penalty)(z), each)
        torch.testing.assert_close(penalty(z[0].reshape(30, 1, 2)), each[0])


def test_members_of_an_ensemble_may_differ_in_any_number():
    """Then weight, scale and bound are tensors with a value for each member."""
    z = codes(scale=1.5)
    for kind, names in ((HenzeZirkler, ("weight", "bound")), (Covariance, ("scale", "bound"))):
        penalty, expected = kind(), [float(kind(0.5, 1.0)(z)), float(kind(2.0, 0.3)(z))]

        def of(values: Tensor, bound: Tensor, penalty=penalty, names=names) -> Tensor:
            setattr(penalty, names[0], values)
            penalty.bound = bound
            return penalty(z)

        found = vmap(of)(torch.tensor([0.5, 2.0]).double(), torch.tensor([1.0, 0.3]).double())
        assert found.tolist() == pytest.approx(expected)


class TestWhatCannotBe:
    @pytest.mark.parametrize("kind", [HenzeZirkler, Covariance, Mean])
    @pytest.mark.parametrize("bad", [-1.0, 0.0, math.inf, math.nan])
    def test_weights_are_positive(self, kind: type[Penalty], bad: float):
        with pytest.raises(ValueError, match=rf"{kind.__name__} needs a positive finite (weight|scale), got {bad}"):
            kind(bad)
        with pytest.raises(ValueError, match=rf"{kind.__name__} needs a positive finite bound, got {bad}"):
            kind(bound=bad)

    @pytest.mark.parametrize("penalty", [HenzeZirkler(), Covariance()], ids=lambda p: p.name)
    def test_too_few_codes(self, penalty: Penalty):
        with pytest.raises(ValueError, match=r"needs more codes than they have dimensions, .* got 2 of 2 dimensions"):
            penalty(codes(2))

    def test_degenerate_codes_have_a_value_and_are_named(self):
        """HZ of a singular sample is 4 n."""
        line = codes()[:, :1].expand(-1, 2).clone().requires_grad_()
        penalty = HenzeZirkler(1.0, bound=5.0)
        value = penalty(line)
        value.backward()
        assert float(value.detach()) == pytest.approx(math.exp(5) * (1 + 120 - 5))
        assert not line.grad.any()
        assert "covariance of the codes is singular: HZ is 4 n = 120" in penalty.failure(line)
        assert penalty.failure(codes()) is None
        broken = codes()
        broken[0] = math.nan
        assert Mean().failure(broken) == "its value is nan"


def decoder_of(weight: float, sigma: float) -> LatentVariableModel:
    """x = weight z + sigma e in one dimension."""
    decoder = Conditional(Normal(1, sigma), (1,), LinearMap)
    decoder.network.weight.data.fill_(weight)
    model = LatentVariableModel(Conditional(Normal(1), (1,), LinearMap), decoder, FactorisedPrior(Normal(1)))
    return model.double()


class TestInformationFloor:
    def test_it_is_the_mutual_information_of_a_channel(self):
        """1/2 log(1 + w^2 / s^2) for codes of the prior, within 4 standard errors of 2000 pairs; a little lower."""
        generator = torch.Generator().manual_seed(0)
        z, noise = torch.randn(2, 2000, 1, dtype=torch.float64, generator=generator)
        truth = 0.5 * math.log(1 + 0.8**2 / 0.5**2)
        found = InformationFloor(1.0).information(decoder_of(0.8, 0.5), 0.8 * z + 0.5 * noise, z).item()
        assert found == pytest.approx(truth, abs=4 / 2000**0.5)

    def test_the_penalty_falls_with_the_information(self):
        z = codes()[:, :1]
        penalties = [InformationFloor(2.0)(decoder_of(w, 0.5), w * z, z).item() for w in (0.0, 0.5, 1.0, 2.0)]
        assert penalties == sorted(penalties, reverse=True)
        assert penalties[0] == pytest.approx(math.exp(2) * (1 + 2 / 0.5 - 2))  # codes that say nothing

    def test_its_gradient_is_that_of_finite_differences(self):
        model, z = decoder_of(0.7, 0.5), codes(12)[:, :1]
        floor = InformationFloor(2.0)
        assert torch.autograd.gradcheck(lambda z: floor(model, 0.7 * codes(12)[:, :1], z), z.requires_grad_())

    def test_more_than_can_be_shown(self):
        with pytest.raises(ValueError, match=r"30 observations can show no more than 3.40 nats, the floor is 4"):
            InformationFloor(4.0)(decoder_of(1.0, 1.0), codes()[:, :1], codes()[:, :1])
        with pytest.raises(ValueError, match="scale and bound > 0"):
            InformationFloor(1.0, scale=-1.0)

    def test_members_of_an_ensemble_may_differ_in_it(self):
        """One that asks for more than can be shown is named, as it cannot be where losses of all are taken at once."""
        model, z, floor = decoder_of(0.7, 0.5), codes()[:, :1], InformationFloor(1.0)
        expected = [float(InformationFloor(nats)(model, 0.7 * z, z)) for nats in (1.0, 2.0)]

        def of(nats: Tensor) -> Tensor:
            floor.floor = nats
            return floor(model, 0.7 * z, z)

        assert vmap(of)(torch.tensor([1.0, 2.0]).double()).tolist() == pytest.approx(expected)
        assert InformationFloor(3.0).failure(model, 0.7 * z, z) is None
        assert "no more than 3.40 nats, the floor is 4.0" in InformationFloor(4.0).failure(model, 0.7 * z, z)


class Far(Penalty):
    """Of codes far from zero, which always fail."""

    name = "far"

    def forward(self, z: Tensor) -> Tensor:
        return 3 * z.square().mean()

    def failure(self, z: Tensor) -> str | None:
        return f"{len(z)} are too far"


class Bright(Constraint):
    """Of what is decoded."""

    name = "bright"

    def forward(self, model: LatentVariableModel, x: Tensor, z: Tensor) -> Tensor:
        return model.decoder(z).mean.mean()


class TestCodeLikelihood:
    def test_its_mean_is_equation_44(self):
        model, x = decoder_of(0.7, 0.5), codes()[:, :1]
        encoder = Conditional(Normal(1), (1,), LinearMap).double()
        objective = CodeLikelihood([HenzeZirkler(2.0), Mean(0.2)], [InformationFloor(1.0)], encoder)
        z = encoder(x).mean
        expected = model.decoder(z).log_prob(x).mean() - HenzeZirkler(2.0)(z) - Mean(0.2)(z)
        torch.testing.assert_close(objective(model, x).mean(), expected - InformationFloor(1.0)(model, x, z))
        assert set(objective.terms(model, x)[1]) == {"henze_zirkler", "mean", "information_floor"}

    def test_penalties_and_constraints_of_ones_own_count_in_either_list(self):
        """A penalty sees the codes alone, a constraint all; both may say themselves what fails."""
        model, x = decoder_of(0.7, 0.5), codes()[:, :1]
        encoder = Conditional(Normal(1), (1,), LinearMap).double()
        z = encoder(x).mean
        expected = 3 * z.square().mean() + model.decoder(z).mean.mean()
        for lists in ([[Far()], [Bright()]], [[Bright()], [Far()]], [[], [Far(), Bright()]]):
            objective = CodeLikelihood(*lists, encoder)
            assert {name: float(value) for name, value in objective.terms(model, x)[1].items()} == pytest.approx(
                {"far": float(3 * z.square().mean()), "bright": float(model.decoder(z).mean.mean())}
            )
            torch.testing.assert_close(objective(model, x).mean(), model.log_likelihood(x, z).mean() - expected)
            assert objective.failures(model, x) == {"far": f"{len(z)} are too far"}

    def test_its_loss_is_minus_its_mean_and_the_sum_of_its_figures(self):
        model, x = decoder_of(0.7, 0.5), codes()[:, :1]
        objective = CodeLikelihood(codes=Conditional(Normal(1), (1,), LinearMap).double())
        loss, figures = objective.loss_and_figures(model, x)
        assert set(figures) == {"reconstruction", "henze_zirkler", "covariance", "mean"}
        assert torch.equal(loss, objective.loss(model, x))
        torch.testing.assert_close(loss, -objective(model, x).mean())
        torch.testing.assert_close(loss, sum(figures.values()))
        assert loss.requires_grad
        assert not any(figure.requires_grad for figure in figures.values())

    def test_what_fails_is_named(self):
        model, x = decoder_of(math.nan, 0.5), codes()[:, :1]
        encoder = Conditional(Normal(1), (1,), LinearMap).double()
        assert CodeLikelihood(constraints=[InformationFloor(1.0)], codes=encoder).failures(model, x) == {
            "information_floor": "its value is nan"
        }

    def test_each_has_a_name_of_its_own(self):
        with pytest.raises(ValueError, match=r"told apart by their names, each has one; got \['mean', 'mean'\]"):
            CodeLikelihood([Mean(0.2), Mean(0.5)])

    def test_without_codes(self):
        with pytest.raises(ValueError, match="has no codes: give it to LiBI"):
            CodeLikelihood()(decoder_of(1.0, 1.0), codes()[:, :1])
