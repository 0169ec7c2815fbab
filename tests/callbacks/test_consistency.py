"""Consistency inside real runs: closed forms, enumeration, a single pass over all data, one process and two."""

from __future__ import annotations

import math
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
from lightning.pytorch.demos.boring_classes import BoringModel
from lightning.pytorch.strategies import DDPStrategy
from support.evaluation import codes
from support.models import digits, gaussian_vae, hashing, newsgroups, trainer

from vae_lightning.callbacks import Consistency
from vae_lightning.conditional import Conditional
from vae_lightning.consistency import decoder_fit, encoder_fit, smooth_flow, tightness
from vae_lightning.consistency.exact import all_states
from vae_lightning.data import Synthetic
from vae_lightning.data.base import InMemoryDataModule
from vae_lightning.data.loaders import Observations
from vae_lightning.data.processes import GaussianMixture
from vae_lightning.estimators import LeaveOneOut, Reparameterised
from vae_lightning.families import Bernoulli, Normal
from vae_lightning.models import VAE, GaussianVAE
from vae_lightning.models.hierarchical import HVAE
from vae_lightning.nn import MLP, BagOfWordsMLP, SharedScale, WordFrequencies
from vae_lightning.objectives import ELBO


def figures(module: Any, data: Any, split: str = "test", **settings: Any) -> dict[str, float]:
    """What is logged of a split, without its name."""
    run = trainer(Consistency(**{"num_samples": 20} | settings))
    evaluate = {"val": run.validate, "test": run.test}[split]
    (logged,) = evaluate(module, datamodule=data, verbose=False)
    return {name.removeprefix(f"{split}/"): value for name, value in logged.items()}


class Bits(InMemoryDataModule):
    """Four bits, three of which copy the first now and then."""

    def load(self) -> tuple[Observations, Observations, Observations]:
        generator = torch.Generator().manual_seed(0)
        x = torch.rand(3, 101, 4, generator=generator).round()
        x[..., 1:] = torch.where(torch.rand(3, 101, 3, generator=generator) < 0.6, x[..., :1], x[..., 1:])
        train, val, test = (Observations.numbered(part, torch.zeros(101)) for part in x)
        return train, val, test


def of_bits() -> VAE:
    torch.manual_seed(0)
    hidden = partial(MLP, hidden=[8])
    return VAE(Bernoulli(3), Bernoulli(4), hidden, hidden, ELBO(LeaveOneOut(2)))


def test_probabilistic_pca_with_its_posterior() -> None:
    """Both networks are affine, and every importance weight is p(x) itself."""
    model = GaussianVAE(1, Normal(2), MLP, partial(SharedScale, network=MLP, sigma=0.6))
    w, b, variance = torch.tensor([[1.5], [-0.4]]), torch.tensor([0.3, -0.2]), 0.36
    m = float(w.square().sum()) + variance
    decoder, encoder = model.model.decoder.network.network.output, model.model.encoder.network.output
    for parameter, value in (
        (decoder.weight, w),
        (decoder.bias, b),
        (encoder.weight, torch.cat((w.T / m, torch.zeros(1, 2)))),
        (encoder.bias, torch.stack((-(w.T @ b)[0] / m, torch.tensor(0.5 * math.log(variance / m))))),
    ):
        parameter.data.copy_(value)
    found = figures(model, Synthetic(GaussianMixture(), (1, 1, 333), eval_batch_size=50))
    assert found["decoder_r2"] == pytest.approx(1, abs=1e-6)
    assert found["encoder_r2"] == pytest.approx(1, abs=1e-6)
    assert found["mismatch"] == pytest.approx(0, abs=1e-6)
    assert found["mismatch_effective_sample_size"] == pytest.approx(20, abs=1e-4)
    assert "epsilon" not in found  # codes that cannot be listed


def test_the_figures_are_those_of_all_data_at_once() -> None:
    """Digits, a hidden layer on both sides; the fits of the package on the split's own codes."""
    module, data = gaussian_vae(evaluation_samples=2), digits()
    trainer(max_epochs=3).fit(module, datamodule=data)
    found = figures(module, data, num_samples=50)
    x, z = data.test.x, codes(module, data, "test")
    flat = z.flatten(0, 1)
    decoder, encoder = decoder_fit(module.model, flat), encoder_fit(module.model, x)
    hidden = torch.cat((flat, flat.square()), 1).double()
    assert found["decoder_r2"] == pytest.approx(
        float(decoder.adjusted_r_squared(x.flatten(1).double().var(0, correction=0))), rel=1e-5
    )
    assert found["encoder_r2"] == pytest.approx(
        float(encoder.adjusted_r_squared(hidden.var(0, correction=0))), rel=1e-5
    )
    assert found["encoder_r2_error"] == pytest.approx(
        2 * (1 - found["encoder_r2"]) / math.sqrt(len(x) - 1 - encoder.rank), rel=1e-4
    )
    assert 0 < found["decoder_r2"] < 1
    assert encoder.rank < 64  # some pixels are always white
    with torch.no_grad():  # by torch.distributions alone, other noise: within 4 standard errors
        draws = module.model.encoder(x)
        draw = module.model.draw(x, draws, draws.sample((50,)))
    weight = draw.log_weight.double()
    mismatch = weight.logsumexp(0) - math.log(50) - weight.mean(0)
    assert abs(found["mismatch"] - float(mismatch.mean())) < 4 * found["mismatch_error"]
    assert found["mismatch_error"] == pytest.approx(float(mismatch.std()) / math.sqrt(len(x)), rel=0.1)


def test_exact_figures_of_a_small_discrete_model() -> None:
    module, data = of_bits(), Bits(16, 7)
    trainer(max_epochs=3).fit(module, datamodule=data)
    found = figures(module, data, num_samples=200)
    exact = tightness(module.model, data.test.x)
    assert found["epsilon"] == pytest.approx(float(exact.epsilon), rel=1e-5)
    assert found["alpha"] == pytest.approx(float(exact.alpha), rel=1e-5)
    assert found["theorem_2_bound"] == pytest.approx(float(exact.bound), rel=1e-4)
    # the estimate of the same quantity, from below, within 4 standard errors (a paired difference has a smaller one)
    assert abs(found["mismatch"] - found["epsilon"]) < 4 * found["mismatch_error"]
    x = all_states(Bernoulli(4), torch.zeros(()))
    assert found["alpha"] >= float(tightness(module.model, x).alpha)


def test_a_flow_escapes_consistency() -> None:
    """x = sinh(z): the mismatch vanishes with sigma^2, the decoder stays as far from affine as it was."""

    class Sinh(InMemoryDataModule):
        def load(self) -> tuple[Observations, Observations, Observations]:
            x = torch.randn(4000, 1, generator=torch.Generator().manual_seed(1)).sinh()
            split = Observations.numbered(x, torch.zeros(len(x)))
            return split, split, split

    found = []
    for sigma in (0.3, 0.1, 0.03):
        module = GaussianVAE(1, Normal(1, scale=sigma))
        module.model = smooth_flow(sigma)
        found.append(figures(module, Sinh(64, 500), num_samples=100))
    first, second, third = (figure["mismatch"] for figure in found)
    assert first > 5 * second > 25 * third > 0
    closed = 2 * math.e / (math.e**2 - 1)
    for figure in found[1:]:
        assert figure["decoder_r2"] == pytest.approx(closed, abs=0.05)  # heavy tails
        assert figure["encoder_r2"] < 0.5


def test_bags_of_words(miniature: Path) -> None:
    """A linear decoder is affine; an encoder that is its transpose fits, one of frequencies does not."""
    data = newsgroups(miniature)
    linear, frequencies = hashing(), hashing(encoder=partial(BagOfWordsMLP, features=WordFrequencies))
    linear.setup = frequencies.setup = lambda stage: None  # random weights do, without training
    for module in (linear, frequencies):
        module.model.encoder.network.weight.data.copy_(0.1 * module.model.decoder.network.output.weight)
    first, second = figures(linear, data), figures(frequencies, data)
    for found in (first, second):
        assert found["decoder_r2"] == pytest.approx(1, abs=1e-5)
    assert first["encoder_r2"] == pytest.approx(1, abs=1e-5)
    assert second["encoder_r2"] < 0.98


def test_two_processes_are_as_one() -> None:
    for module, data in ((gaussian_vae(), digits()), (of_bits(), Bits(16, 7))):
        one = figures(module, data)
        strategy = DDPStrategy(process_group_backend="gloo", start_method="fork")
        run = trainer(Consistency(num_samples=20), strategy=strategy, devices=2)
        (two,) = run.test(module, datamodule=data, verbose=False)
        assert {name.removeprefix("test/"): value for name, value in two.items()} == pytest.approx(one, rel=1e-6)


def test_a_model_of_two_levels_has_a_mismatch_only() -> None:
    module = HVAE((2, 2), Bernoulli((1, 8, 8)), objective=ELBO(Reparameterised()))
    found = figures(module, digits(), split="val")
    assert found["mismatch"] > 0
    assert not {"decoder_r2", "encoder_r2", "epsilon"} & found.keys()


def test_says_what_it_needs() -> None:
    with pytest.raises(ValueError, match="num_samples K >= 2, got 1"):
        Consistency(num_samples=1)
    with pytest.raises(TypeError, match="encoder, decoder and prior"):
        trainer(Consistency()).fit(BoringModel())
    wide = VAE(Bernoulli(2049), Bernoulli((1, 8, 8)), MLP, MLP, ELBO(LeaveOneOut(2)))
    with pytest.raises(ValueError, match="at most 2048 statistics of the latent, got 2049"):
        trainer(Consistency()).validate(wide, datamodule=digits(), verbose=False)


def test_too_few_observations_have_no_r_squared() -> None:
    """64 pixels and 40 observations: every encoder is affine on them, which says nothing."""
    data = digits(val_size=40, test_size=1797 - 240)
    assert math.isnan(figures(gaussian_vae(), data, split="val")["encoder_r2"])


def test_a_constant_decoder_is_affine() -> None:
    module = gaussian_vae()
    module.model.decoder = Conditional(Bernoulli((1, 8, 8)), (2,), lambda shape, outputs: _Constant(outputs))
    assert figures(module, digits(), split="val")["decoder_r2"] == 1


class _Constant(torch.nn.Module):
    def __init__(self, outputs: int) -> None:
        super().__init__()
        self.value = torch.nn.Parameter(torch.randn(outputs))

    def forward(self, z: torch.Tensor) -> torch.Tensor:
        return self.value.expand(*z.shape[:-1], -1)
