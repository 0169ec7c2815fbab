"""LogLikelihood inside real runs: the exact log-likelihood of a linear decoder, on any number of processes."""

from __future__ import annotations

import csv
import json
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.distributions as td
from lightning.pytorch.demos.boring_classes import BoringModel
from lightning.pytorch.loggers import CSVLogger
from support.command import HASHING, ROOT, command, figures, forked, on_miniature
from support.models import hashing, newsgroups, trainer
from torch import Tensor

from vae_lightning.callbacks import LogLikelihood
from vae_lightning.data import Synthetic
from vae_lightning.data.processes import LinearJTEx
from vae_lightning.estimators import Reparameterised
from vae_lightning.families import Normal
from vae_lightning.models import HVAE, VAE
from vae_lightning.nn import MLP
from vae_lightning.objectives import ELBO, AnalyticELBO, Inflated

SCALE = 0.3
NAMES = {"log_likelihood", "elbo", "log_likelihood_k3", "log_likelihood_k9", "jackknife", "effective_sample_size"}
NAMES |= {f"{name}_error" for name in NAMES} | {"log_likelihood_sampling_error", "effective_sample_fraction"}


def vae() -> VAE:
    """A linear decoder with noise of 0.3, so that its own log p(x) is a normal density."""
    torch.manual_seed(0)
    adam = partial(torch.optim.Adam, lr=0.02)
    return VAE(Normal(2), Normal(2, SCALE), MLP, MLP, AnalyticELBO(Reparameterised()), optimizer=adam)


def data(**changes: Any) -> Synthetic:
    """61 observations for validation and 101 for the test, in batches of 16."""
    return Synthetic(LinearJTEx(), (2_000, 61, 101), **{"batch_size": 100, "eval_batch_size": 16} | changes)


def exact(module: VAE, x: Tensor) -> Tensor:
    output = module.model.decoder.network.output
    covariance = output.weight @ output.weight.T + SCALE**2 * torch.eye(2)
    return td.MultivariateNormal(output.bias, covariance).log_prob(x).detach()


def logged(found: dict[str, Any], split: str) -> dict[str, float]:
    """What the callback logged of a split, by name."""
    own = {name.removeprefix(f"{split}/"): float(value) for name, value in found.items() if name.startswith(split)}
    return {name: own[name] for name in own if name not in ("nelbo", "reconstruction", "kl")}


def test_the_exact_log_likelihood_of_the_trained_model() -> None:
    """5,000 samples come within 4 standard errors of the samples; the ELBO is the one in closed form."""
    module, world = vae(), data()
    run = trainer(LogLikelihood([1, 50, 5000]), max_epochs=3)
    run.fit(module, world)
    found = logged(run.test(module, world, verbose=False)[0], "test")
    truth = float(exact(module, world.test.x).mean())
    assert abs(found["log_likelihood"] - truth) < 4 * found["log_likelihood_sampling_error"] + 1e-5
    assert abs(found["jackknife"] - truth) < 4 * found["log_likelihood_sampling_error"] + 1e-5
    assert found["log_likelihood_sampling_error"] < 0.01
    assert found["elbo"] < found["log_likelihood_k50"] < found["log_likelihood_k5000"] == found["log_likelihood"]
    assert 100 < found["effective_sample_size"] < 5000
    assert found["log_likelihood_error"] == pytest.approx(float(exact(module, world.test.x).std()) / 101**0.5, rel=0.02)
    q = module.model.encoder(world.test.x)
    draws = module.evaluate((world.test.x, None), 0)
    elbo = -module.figures(draws)["reconstruction"] - td.kl_divergence(q, module.model.prior().expand([101]))
    assert found["elbo"] == pytest.approx(float(elbo.mean()), abs=4 * float(elbo.std()) / 10)


def test_names_and_numbers_of_samples_in_fit_and_test(tmp_path: Path) -> None:
    module, logger = vae(), CSVLogger(tmp_path)
    run = trainer(LogLikelihood([5, 1], fit_Ks=[9, 3, 1], every_n_epochs=2), max_epochs=5, logger=logger)
    run.fit(module, data())
    assert logged(run.logged_metrics, "val").keys() == NAMES
    with (Path(logger.log_dir) / "metrics.csv").open() as file:
        assert [int(row["epoch"]) for row in csv.DictReader(file) if row["val/log_likelihood"]] == [1, 3, 4]
    (validated,) = run.validate(module, data(), verbose=False)
    assert {name for name in logged(validated, "val") if "_k" in name} == {
        "log_likelihood_k5",
        "log_likelihood_k5_error",
    }


def test_an_inflated_proposal_has_no_elbo() -> None:
    module, world = vae(), data()
    trainer(max_epochs=3).fit(module, world)
    (found,) = trainer(LogLikelihood([1, 1000], proposal=Inflated(2.0))).test(module, world, verbose=False)
    assert "test/elbo" not in found
    assert found["test/log_likelihood_k1"] < -found["test/nelbo"]  # the wider proposal's own bound is looser
    error = found["test/log_likelihood_sampling_error"]
    assert abs(found["test/log_likelihood"] - float(exact(module, world.test.x).mean())) < 4 * error + 1e-5


def test_documents_and_bits(miniature: Path) -> None:
    """With 3 bits: the 5,000 samples of each sparse document meet the sum over 8 codes."""
    module, documents = hashing(), newsgroups(miniature)
    (found,) = trainer(LogLikelihood([1, 5000])).test(module, documents, verbose=False)
    x = documents.test.x
    codes = torch.cartesian_prod(*[torch.tensor([0.0, 1.0])] * 3)[:, None].expand(-1, len(x), -1)
    truth = (module.model.decoder(codes).log_prob(x) - torch.tensor(8.0).log()).logsumexp(0).detach().mean()
    assert abs(found["test/log_likelihood"] - truth) < 4 * found["test/log_likelihood_sampling_error"] + 1e-4
    assert found["test/elbo"] == pytest.approx(-found["test/nelbo"], abs=4 * found["test/elbo_error"])


def test_codes_of_two_levels() -> None:
    """A posterior that is neither Gaussians nor bits but samples and knows its density."""
    torch.manual_seed(0)
    module, world = HVAE([1, 2], Normal(2, SCALE), objective=ELBO(Reparameterised())), data()
    (found,) = trainer(LogLikelihood([1, 500])).test(module, world, verbose=False)
    assert found["test/elbo"] == pytest.approx(-found["test/nelbo"], abs=4 * found["test/elbo_error"])
    assert found["test/log_likelihood"] > found["test/elbo"] + found["test/elbo_error"]


def test_mixed_precision_leaves_the_figures_as_they_are() -> None:
    full, mixed = (
        trainer(LogLikelihood([1, 50]), precision=precision).test(vae(), data(), verbose=False)[0]
        for precision in ("32-true", "bf16-mixed")
    )
    assert logged(full, "test") == logged(mixed, "test")


def test_leaves_the_mode_of_the_model_alone() -> None:
    module = vae().train()
    trainer(LogLikelihood([1])).validate(module, data(), verbose=False)
    assert module.training


def test_two_processes(miniature: Path, tmp_path: Path) -> None:
    """61 documents in 8 batches, the last of 5, and the same two diagnostics on one process and on two."""
    gaps = {"per_batch": 3, "steps": 3, "num_samples": 7, "estimator": {
        "class_path": "vae_lightning.estimators.LeaveOneOut", "init_args": {"num_samples": 2}}}  # fmt: skip
    watchers = [
        {"class_path": "vae_lightning.callbacks.LogLikelihood", "init_args": {"Ks": [1, 4, 20], "chunk": 33}},
        {"class_path": "vae_lightning.callbacks.InferenceGaps", "init_args": gaps},
    ]
    options = [*on_miniature(miniature, tmp_path / "fit"), "--trainer.callbacks", json.dumps(watchers)]
    command("fit", "--config", HASHING, *on_miniature(miniature, tmp_path / "fit"))
    saved = ("--ckpt_path", tmp_path / "fit" / "version_0" / "checkpoints" / "last.ckpt")
    command("test", "--config", HASHING, *options, *saved, "--trainer.logger.save_dir", tmp_path / "one")
    at = options.index("--trainer.accelerator")
    options = options[:at] + options[at + 2 :]
    overlay = ROOT / "configs" / "trainer" / "ddp.yaml"
    two = ("--config", overlay, *options, *saved, "--trainer.logger.save_dir", tmp_path / "two")
    done = forked("test", "--config", HASHING, *two, processes=2)
    assert done.returncode == 0, done.stderr
    one, two = (logged(figures(tmp_path / name / "version_0"), "test") for name in ("one", "two"))
    assert {"elbo", "log_likelihood_k4", "approximation_gap", "amortisation_gap_error"} <= one.keys()
    assert two == pytest.approx(one, rel=1e-6)


def test_bad_input() -> None:
    for settings, message in [
        ({"Ks": []}, r"such as \[1, 50, 1000\]; got \[\]"),
        ({"Ks": [0, 5]}, r">= 1, .* got \[0, 5\]"),
        ({"fit_Ks": [-1]}, r">= 1, .* got \[-1\]"),
        ({"chunk": 0}, "chunk >= 1 rows of the decoder at once, got 0"),
        ({"every_n_epochs": 0}, "every_n_epochs >= 1, got 0"),
    ]:
        with pytest.raises(ValueError, match=message):
            LogLikelihood(**settings)


def test_says_what_it_needs_before_training(miniature: Path) -> None:
    with pytest.raises(TypeError, match=r"encoder, decoder and prior.* as VAE; BoringModel has none"):
        trainer(LogLikelihood()).fit(BoringModel())
    with pytest.raises(TypeError, match=r"independent Gaussians, got Bernoulli: use Posterior\(\)"):
        trainer(LogLikelihood(proposal=Inflated())).fit(hashing(), newsgroups(miniature))
