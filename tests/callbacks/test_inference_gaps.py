"""InferenceGaps inside real runs: where it runs, and what it logs."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import pytest
import torch
import torch.distributions as td
from lightning.pytorch.demos.boring_classes import BoringModel
from support.models import hashing, newsgroups, trainer

from vae_lightning.callbacks import InferenceGaps
from vae_lightning.data import Synthetic
from vae_lightning.data.processes import LinearGaussian, LinearJTEx
from vae_lightning.estimators import LeaveOneOut, Reparameterised
from vae_lightning.families import Normal
from vae_lightning.models import VAE
from vae_lightning.nn import MLP
from vae_lightning.objectives import AnalyticELBO

SCALE = 0.5
NAMES = {"approximation_gap", "amortisation_gap", "approximation_gap_error", "amortisation_gap_error"}


def vae() -> VAE:
    torch.manual_seed(0)
    adam = partial(torch.optim.Adam, lr=0.02)
    return VAE(Normal(2), Normal(2, SCALE), MLP, MLP, AnalyticELBO(Reparameterised()), optimizer=adam)


def data() -> Synthetic:
    """Batches of 20: 3 for validation, 5 for the test."""
    return Synthetic(LinearJTEx(), (1_000, 60, 100), batch_size=100, eval_batch_size=20)


def test_the_gaps_of_a_trained_linear_vae() -> None:
    """Both in closed form for the model's own decoder, within 4 standard errors plus 5e-3 nat of optimisation."""
    module, world = vae(), data()
    trainer(max_epochs=1).fit(module, world)
    (found,) = trainer(InferenceGaps(per_batch=20)).test(module, world, verbose=False)
    output = module.model.decoder.network.output
    model = LinearGaussian(output.weight.detach().double(), torch.full((2,), SCALE**2).double())
    x = world.test.x
    q = module.model.encoder(x).base_dist
    q = td.MultivariateNormal(q.loc.double(), torch.diag_embed(q.scale.double().square()))
    slack = td.kl_divergence(q, model.posterior(x - output.bias.detach())).detach() - model.posterior_gap()
    assert abs(found["test/approximation_gap"] - model.posterior_gap()) < (
        4 * found["test/approximation_gap_error"] + 5e-3
    )
    assert found["test/amortisation_gap"] == pytest.approx(float(slack.mean()), abs=5e-3, rel=0.02)
    assert found["test/amortisation_gap_error"] == pytest.approx(float(slack.std()) / 10, rel=0.1)
    assert slack.mean() > 0.05


def test_validate_and_test_always_and_fit_where_told() -> None:
    run = trainer(InferenceGaps(per_batch=1, steps=1, num_samples=2))
    run.fit(vae(), data())
    assert not any("gap" in name for name in run.logged_metrics)
    (validated,) = run.validate(vae(), data(), verbose=False)
    assert {f"val/{name}" for name in NAMES} <= validated.keys()
    run = trainer(InferenceGaps(per_batch=1, steps=1, num_samples=2, every_n_epochs=2), max_epochs=2)
    run.fit(vae(), data())
    assert {f"val/{name}" for name in NAMES} <= run.logged_metrics.keys()


def test_mixed_precision_leaves_the_figures_as_they_are() -> None:
    full, mixed = (
        trainer(InferenceGaps(2, 5, num_samples=5), precision=precision).test(vae(), data(), verbose=False)[0]
        for precision in ("32-true", "bf16-mixed")
    )
    assert {full[f"test/{name}"] for name in NAMES} == {mixed[f"test/{name}"] for name in NAMES}


def test_bits_need_an_estimator_that_takes_them(miniature: Path) -> None:
    with pytest.raises(TypeError, match=r"continuous posterior, got Bernoulli.* use DisARM or LeaveOneOut"):
        trainer(InferenceGaps()).fit(hashing(), newsgroups(miniature))
    run = trainer(InferenceGaps(per_batch=2, steps=2, num_samples=20, estimator=LeaveOneOut(2)))
    (found,) = run.test(hashing(), newsgroups(miniature), verbose=False)
    assert found["test/amortisation_gap"] >= -0.1


def test_bad_input() -> None:
    for name in ("per_batch", "steps", "num_samples", "every_n_epochs"):
        with pytest.raises(ValueError, match=f"InferenceGaps needs {name} >= 1, got 0"):
            InferenceGaps(**{name: 0})
    with pytest.raises(TypeError, match=r"InferenceGaps needs a model with encoder.* BoringModel has none"):
        trainer(InferenceGaps()).fit(BoringModel())
