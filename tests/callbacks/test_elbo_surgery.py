"""ELBOSurgery inside a real fit: every prior, Gaussian codes and bits, against the function on the same draws."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from support.evaluation import codes, draws, posterior
from support.models import digits, events, gaussian_vae, hashing, newsgroups, trainer

from vae_lightning.callbacks import ELBOSurgery
from vae_lightning.callbacks.elbo_surgery import surgery_picture
from vae_lightning.estimators import Reparameterised
from vae_lightning.families import Bernoulli, Normal
from vae_lightning.metrics.functional import elbo_surgery
from vae_lightning.models.hierarchical import HVAE
from vae_lightning.objectives import ELBO
from vae_lightning.priors import AggregatedPosterior, FactorisedPrior, MixturePrior, Prior, VampPrior

IMAGE = (1, 8, 8)
PRIORS: dict[str, Callable[[], Prior]] = {
    "standard": lambda: FactorisedPrior(Normal(2)),
    "mixture": lambda: MixturePrior(Normal(2), 3),
    "VampPrior": lambda: VampPrior(2, IMAGE, 5),
    "aggregated": lambda: AggregatedPosterior(2, IMAGE, 50),
}


def expected(module: Any, data: Any, split: str) -> dict[str, float]:
    """The terms and errors by the function on all of the split, and the reconstruction's by its definition."""
    with torch.no_grad():
        surgery = elbo_surgery(posterior(module, data, split), module.model.prior(), codes(module, data, split))
    seen = draws(module, data, split)
    reconstruction = torch.cat([draw.log_likelihood.mean(0) for draw in seen]).double()
    energy = torch.cat([(draw.log_likelihood + draw.log_prior).double().mean(0) for draw in seen])
    entropy = -torch.cat([draw.log_posterior.double().mean(0) for draw in seen])
    terms = {name: float(value) for name, value in vars(surgery).items()}
    terms |= {"negative_energy": float(energy.mean()), "entropy": float(entropy.mean())}
    for name, values in (("reconstruction", reconstruction), ("negative_energy", energy), ("entropy", entropy)):
        terms[f"{name}_error"] = float(values.std()) / math.sqrt(len(values))
    return {f"{split}/{name}": value for name, value in terms.items()}


@pytest.mark.parametrize("prior", PRIORS)
def test_every_prior(prior: str) -> None:
    module, data = (
        gaussian_vae(prior=PRIORS[prior](), objective=ELBO(Reparameterised()), evaluation_samples=2),
        digits(),
    )
    run = trainer(ELBOSurgery(chunk=16, every_n_epochs=1))
    run.fit(module, datamodule=data)
    terms = expected(module, data, "val")
    logged = {name: float(run.logged_metrics[name]) for name in terms}
    assert logged == pytest.approx(terms, rel=1e-4, abs=1e-4)
    assert logged["val/rate"] == pytest.approx(logged["val/mutual_information"] + logged["val/marginal_kl"], abs=1e-5)
    # with one sample or more, the other reading of the same ELBO: its samples' mean
    nelbo = -torch.cat([draw.log_weight.mean(0) for draw in draws(module, data, "val")]).mean()
    assert -logged["val/negative_energy"] - logged["val/entropy"] == pytest.approx(nelbo.item(), rel=1e-5)
    # the model's own term, in closed form or by the same draws: within 4 standard errors
    assert abs(logged["val/rate"] - float(run.logged_metrics["val/kl"])) < 4 * logged["val/rate_error"]


def test_bits(miniature: Path) -> None:
    module, data = hashing(), newsgroups(miniature)
    with torch.no_grad():
        module.model.encoder.network.weight.normal_(0, 0.3)
    (logged,) = trainer(ELBOSurgery()).test(module, datamodule=data, verbose=False)
    terms = expected(module, data, "test")
    assert {name: logged[name] for name in terms} == pytest.approx(terms, rel=1e-4, abs=1e-5)


def test_a_limit_takes_the_first_observations() -> None:
    module, data = gaussian_vae(), digits()
    (logged,) = trainer(ELBOSurgery(limit=37)).test(module, datamodule=data, verbose=False)
    q = module.model.encoder(data.test.x[:37])
    first = elbo_surgery(q, module.model.prior(), codes(module, data, "test")[:, :37])
    assert logged["test/log_n"] == pytest.approx(math.log(37))
    assert logged["test/mutual_information"] == pytest.approx(float(first.mutual_information), rel=1e-4)


def test_says_once_that_the_mutual_information_is_saturated(tmp_path: Path) -> None:
    """Codes of standard deviation 1e-3 tell 61 observations apart; the warning names the cap."""
    module, run = gaussian_vae(), trainer(ELBOSurgery(every_n_epochs=1), folder=tmp_path, max_epochs=3)
    with torch.no_grad():
        module.model.encoder.network.output.bias[2:] = math.log(1e-3)
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        run.fit(module, datamodule=digits())
    lines = [str(each.message) for each in told if "at its cap" in str(each.message)]
    assert len(lines) == 1
    assert "epoch 0, val" in lines[0]
    assert f"log N = {math.log(61):.2f}" in lines[0]
    assert "\n" not in lines[0]
    run.test(module, datamodule=digits(), verbose=False)
    assert events(Path(run.log_dir)).Tags()["images"] == ["test/elbo_surgery"]  # in fit its figures are curves


def test_outside_fit_no_epoch_is_named() -> None:
    module = gaussian_vae()
    with torch.no_grad():
        module.model.encoder.network.output.bias[2:] = math.log(1e-3)
    with pytest.warns(UserWarning, match=r"^val: the mutual information, .* is at its cap"):
        trainer(ELBOSurgery()).validate(module, datamodule=digits(), verbose=False)


def test_says_nothing_of_codes_that_overlap() -> None:
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        trainer(ELBOSurgery(every_n_epochs=1)).fit(gaussian_vae(), datamodule=digits())
    assert not [each for each in told if "at its cap" in str(each.message)]


def test_the_picture_puts_the_terms_end_to_end() -> None:
    figures = {"rate": 5.0, "mutual_information": 3.0, "marginal_kl": 2.0, "log_n": 3.2}
    figures |= {f"{name}_error": 0.1 for name in ("rate", "mutual_information", "marginal_kl")}
    figure = surgery_picture(figures)
    spans = {(bar.get_x(), bar.get_x() + bar.get_width()) for bar in figure.axes[0].patches}
    assert spans == {(0, 3), (3, 5), (0, 5)}
    labels = [text.get_text() for text in figure.legends[0].get_texts()]
    assert "log N 3.20 (saturated)" in labels
    assert any(label.startswith("marginal kl 2.00") for label in labels)


def test_says_before_training_what_it_cannot_cut() -> None:
    with pytest.raises(TypeError, match=r"Gaussian or Bernoulli posteriors, got Chain") as raised:
        trainer(ELBOSurgery()).fit(HVAE((2, 2), Bernoulli(IMAGE)), datamodule=digits())
    assert "\n" not in str(raised.value)
    with pytest.raises(ValueError, match="chunk >= 1, got 0"):
        ELBOSurgery(chunk=0)
