"""Adversarial: each player's gradient, the equations, rates, what it refuses, and a world that it learns."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
import torch
from support.models import trainer
from torch import Tensor, nn
from torch.optim.lr_scheduler import OneCycleLR

from vae_lightning.conditional import Conditional
from vae_lightning.families import Bernoulli, Normal, PartlyObserved
from vae_lightning.latent_variable import LatentVariableModel
from vae_lightning.models import Ensemble, GaussianVAE, HashingVAE
from vae_lightning.nn import MLP, DCGANDiscriminator, PixelCNN, SpectralNorm
from vae_lightning.objectives import (
    R1,
    Adversarial,
    AdversarialLoss,
    Alternating,
    DiscriminatorPenalty,
    ForwardKL,
    GradientPenalty,
    Hinge,
    MeanFakes,
    NoisyFakes,
    NonSaturating,
    Wasserstein,
)
from vae_lightning.priors import FactorisedPrior
from vae_lightning.randomness import Noise

SMALL = partial(MLP, hidden=[8], activation=nn.Tanh)
X = torch.randn(6, 3, generator=torch.Generator().manual_seed(0))


def gan(objective: Adversarial | None = None, **changes: Any) -> GaussianVAE:
    """An untrained model, the same at every call."""
    torch.manual_seed(0)
    given: dict[str, Any] = {"latent_dim": 2, "observed": Normal(3, 0.5), "decoder": SMALL}
    return GaussianVAE(**given | {"objective": objective or Adversarial(SMALL)} | changes)


def played(model: GaussianVAE, seed: int = 1, step: int = 0) -> tuple[Tensor, dict[str, Tensor]]:
    torch.manual_seed(seed)
    return model.loss((X, X), step)


LOSSES: dict[AdversarialLoss, tuple[Callable[[Tensor, Tensor], Tensor], Callable[[Tensor], Tensor]]] = {
    NonSaturating(): (lambda r, f: -r.sigmoid().log() - (1 - f.sigmoid()).log(), lambda f: -f.sigmoid().log()),
    Hinge(): (lambda r, f: (1 - r).clamp(min=0) + (1 + f).clamp(min=0), lambda f: -f),
    Wasserstein(): (lambda r, f: f - r, lambda f: -f),
}


@pytest.mark.parametrize("loss", LOSSES, ids=lambda loss: type(loss).__name__)
def test_one_backward_pass_is_both_players_own(loss: AdversarialLoss) -> None:
    """Value and gradients are those of two losses that are each minimised by one player, by the papers' equations."""
    model = gan(Adversarial(SMALL, loss))
    found, _ = played(model)
    found.backward()
    torch.manual_seed(1)
    z = torch.randn(1, 6, 2)[0]
    fake = model.model.decoder.network(z) + 0.5 * torch.randn(1, 6, 3)[0]
    discriminator = model.objective.discriminator
    real_logits, fake_logits, seen = (discriminator(x)[:, 0] for x in (X, fake, fake.detach()))
    of_discriminator = LOSSES[loss][0](real_logits, seen).mean()
    if isinstance(loss, Wasserstein):
        at = torch.lerp(fake.detach(), X, torch.rand(6, 1)).requires_grad_()
        (slope,) = torch.autograd.grad(discriminator(at).sum(), at, create_graph=True)
        of_discriminator = of_discriminator + 10 * (slope.norm(dim=1) - 1).square().mean()
    of_generator = LOSSES[loss][1](fake_logits).mean()
    torch.testing.assert_close(found, of_discriminator + of_generator)
    for player, own in ((discriminator, of_discriminator), (model.model.decoder, of_generator)):
        parameters = list(player.parameters())
        gradients = torch.autograd.grad(own, parameters, retain_graph=True)
        for parameter, expected in zip(parameters, gradients, strict=True):
            torch.testing.assert_close(parameter.grad, expected)
    assert all(parameter.grad is None for parameter in model.model.encoder.parameters())


@pytest.mark.parametrize(
    ("penalty", "slope"), [(R1(3.0), lambda s: 1.5 * s**2), (GradientPenalty(3.0), lambda s: 3 * (s - 1) ** 2)]
)
def test_a_penalty_is_of_the_slope(penalty: DiscriminatorPenalty, slope: Callable[[float], float]) -> None:
    """Of a linear discriminator, whose slope is the norm of its weights; 0, where a norm has no gradient, too."""
    weights = torch.tensor([1.0, 2.0, -2.0], requires_grad=True)
    for scale, norm in ((1.0, 3.0), (0.0, 0.0)):
        paid = penalty(lambda x, scale=scale: x @ (scale * weights), X, -X, Noise())
        torch.testing.assert_close(paid, torch.full((6,), slope(norm)), atol=1e-4, rtol=1e-4)
        (gradient,) = torch.autograd.grad(paid.sum(), weights)
        assert gradient.isfinite().all()


def test_a_loss_is_a_function_of_the_seed() -> None:
    model = gan(Adversarial(SMALL, Wasserstein()))
    first, again, other = (played(model, seed)[0] for seed in (1, 1, 2))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)


def test_figures_and_turns() -> None:
    """The generator rests but at every third step, as its figure does."""
    model = gan(Adversarial(SMALL, penalty=R1(), discriminator_steps=3))
    names = ["discriminator", "generator", "real", "fake", "penalty"]
    for step in range(6):
        model.zero_grad()
        loss, figures = played(model, step=step)
        loss.backward()
        learns = step % 3 == 2
        assert list(figures) == [name for name in names if learns or name != "generator"]
        assert not any(value.requires_grad for value in figures.values())
        assert all((p.grad is not None) == learns for p in model.model.decoder.parameters())
        assert all(p.grad is not None for p in model.objective.discriminator.parameters())
        total = sum(float(value.detach()) for name, value in figures.items() if name not in ("real", "fake"))
        assert float(loss.detach()) == pytest.approx(total, rel=1e-5)
    logits = model.objective.discriminator(X).detach()
    assert float(figures["real"]) == pytest.approx(float(logits.sigmoid().mean()), rel=1e-5)


def test_means_and_a_learned_prior() -> None:
    """Grey pixels as the means of bits; the prior's gradient is that of the generator."""
    torch.manual_seed(0)
    prior = FactorisedPrior(Normal(2), learned=True)
    model = GaussianVAE(2, Bernoulli(3), objective=Adversarial(SMALL, fakes=MeanFakes()), prior=prior)
    played(model)[0].backward()
    assert all(p.grad.any() for p in (*prior.parameters(), *model.model.decoder.parameters()))
    with pytest.raises(TypeError, match=r"use fakes=MeanFakes\(\), or a Normal"):
        GaussianVAE(2, Bernoulli(3), objective=Adversarial(SMALL))


def test_the_discriminator_has_a_rate_of_its_own() -> None:
    """Through a scheduler, too; a model without one has the optimizer that it always had."""
    model = gan(
        Adversarial(SMALL, rate=4.0),
        optimizer=partial(torch.optim.SGD, lr=0.1),
        scheduler=partial(torch.optim.lr_scheduler.ExponentialLR, gamma=0.5),
    )
    model.trainer = trainer()
    plan = model.configure_optimizers()
    optimizer, scheduler = plan["optimizer"], plan["lr_scheduler"]["scheduler"]
    assert [group["lr"] for group in optimizer.param_groups] == [0.1, 0.4]
    assert optimizer.param_groups[1]["params"] == list(model.objective.discriminator.parameters())
    assert sum(len(group["params"]) for group in optimizer.param_groups) == len(list(model.parameters()))
    optimizer.step()
    scheduler.step()
    assert [group["lr"] for group in optimizer.param_groups] == [0.05, 0.2]
    assert len(gan(optimizer=torch.optim.Adam).configure_optimizers().param_groups) == 1


@pytest.mark.parametrize("wrapped", [lambda a: Alternating(a, ForwardKL()), lambda a: a])
def test_it_is_built_within_other_objectives(wrapped: Any) -> None:
    model = gan(wrapped(Adversarial(SMALL, rate=2.0)))
    assert len(model.objective.rates()) == 1
    model.objective.at(1)(model.model, X).mean().backward()
    assert all(p.grad is not None for p in model.model.decoder.parameters())
    assert all(p.grad is not None for name, p in model.objective.named_parameters())


def test_in_turns_it_has_its_figures() -> None:
    model = gan(Alternating(Adversarial(SMALL, penalty=R1()), ForwardKL()))
    (alone, figures), (loss, found) = played(gan(Adversarial(SMALL, penalty=R1()))), played(model, step=1)
    assert found.keys() == figures.keys()
    torch.testing.assert_close((loss, *found.values()), (alone, *figures.values()))
    assert played(model, step=0)[1] == {}


@pytest.mark.parametrize(("encoder_steps", "decoder_steps"), [(1, 1), (4, 1), (2, 3)])
def test_in_turns_it_counts_its_own_steps(encoder_steps: int, decoder_steps: int) -> None:
    """The generator learns in each fourth step of the game, whatever the encoder's turns between."""
    game = Adversarial(SMALL, discriminator_steps=4)
    turns = Alternating(game, ForwardKL(), decoder_steps, encoder_steps)
    played = [each for each in map(turns.at, range(60)) if each.parts != ("encoder",)]
    assert [each.objective is game for each in played] == [(n + 1) % 4 == 0 for n in range(len(played))]


def test_a_discriminator_of_spectral_norm_one() -> None:
    """By torch's parametrisation, held and free alike; its saved names are torch's."""
    model = gan(Adversarial(partial(SpectralNorm, network=SMALL), Hinge()))
    for _ in range(20):
        played(model)[0].backward()
    layers = [each for each in model.objective.discriminator.modules() if isinstance(each, nn.Linear)]
    for layer in layers:
        assert float(torch.linalg.matrix_norm(layer.weight.detach(), 2)) == pytest.approx(1, abs=0.01)
    assert "objective.discriminator.network.output.parametrizations.weight.original" in model.state_dict()
    with pytest.raises(ValueError, match="linear and convolutional layers, and Flatten has none"):
        SpectralNorm((3,), 1, lambda *_: nn.Flatten())


class TestRefusals:
    @pytest.mark.parametrize(
        ("network", "message"),
        [
            (lambda shape, outputs: MLP(shape, 2), r"one logit for each observation, this one \(2, 2\) for 2"),
            (lambda shape, outputs: MLP((64,), 1), r"does not take observations \(3,\): .*mat1 and mat2 shapes"),
        ],
    )
    def test_another_discriminator(self, network: Any, message: str) -> None:
        with pytest.raises(ValueError, match=message):
            gan(Adversarial(network))

    def test_a_discriminator_of_another_image_size(self) -> None:
        """A convolution would cut a larger image into several."""
        message = (
            r"does not take observations \(3, 16, 16\): the network takes images of shape \(3, 8, 8\), got .* resize"
        )
        game = Adversarial(lambda shape, outputs: DCGANDiscriminator((3, 8, 8), outputs, width=4))
        with pytest.raises(ValueError, match=message):
            GaussianVAE(2, Normal((3, 16, 16), 0.1), objective=game)

    @pytest.mark.parametrize("given", [{"rate": 0.0}, {"rate": math.inf}, {"discriminator_steps": 0}])
    def test_numbers(self, given: dict[str, Any]) -> None:
        with pytest.raises(ValueError, match=f"{next(iter(given))} (multiplies|counts)"):
            Adversarial(SMALL, **given)
        with pytest.raises(ValueError, match="R1 needs a positive finite weight, got -1"):
            R1(-1.0)

    def test_means_that_are_averages_of_draws(self) -> None:
        """No gradient passes through them, and the generator would never learn."""
        images = Bernoulli((1, 4, 4))
        with pytest.raises(TypeError, match=r"E\[x \| z\], which here is an average of draws"):
            GaussianVAE(2, images, decoder=PixelCNN, objective=Adversarial(SMALL, fakes=MeanFakes()))

    @pytest.mark.parametrize("fakes", [NoisyFakes(), MeanFakes()])
    def test_missing_entries(self, fakes: Any) -> None:
        """Of which the discriminator would make a loss that is not a number."""
        with pytest.raises(TypeError, match="compares whole observations, and of those of PartlyObserved entries may"):
            gan(Adversarial(SMALL, fakes=fakes), observed=PartlyObserved(Normal(3, 0.1)))

    def test_a_scheduler_of_one_rate(self) -> None:
        module = gan(Adversarial(SMALL, rate=4.0), scheduler=partial(OneCycleLR, max_lr=0.01, total_steps=10))
        module._trainer = trainer()
        with pytest.raises(ValueError, match=r"OneCycleLR sets one learning rate .* \[0.001, 0.004\]: give it a list"):
            module.configure_optimizers()
        module.scheduler = partial(OneCycleLR, max_lr=[0.01, 0.04], total_steps=10)
        rates = [group["lr"] for group in module.configure_optimizers()["optimizer"].param_groups]
        assert rates[1] == pytest.approx(4 * rates[0])

    def test_documents(self) -> None:
        with pytest.raises(TypeError, match="those of bags of words do not"):
            HashingVAE(4, 10, objective=Adversarial(SMALL))

    def test_a_second_model_of_other_observations(self) -> None:
        objective = Adversarial(SMALL)
        gan(objective)
        with pytest.raises(ValueError, match=r"of observations \(3,\), the model's are \(4,\): give each model"):
            gan(objective, observed=Normal(4, 0.5))
        model = LatentVariableModel(
            Conditional(Normal(2), (3,), MLP), Conditional(Normal(3), (2,), MLP), FactorisedPrior(Normal(2))
        )
        with pytest.raises(ValueError, match="has no discriminator yet"):
            Adversarial(SMALL)(model, X)

    def test_members_of_an_ensemble_at_two_rates(self) -> None:
        with pytest.raises(ValueError, match="at rates of its own: train such models one at a time"):
            Ensemble(member=lambda: gan(Adversarial(SMALL, rate=2.0)), seeds=2)
