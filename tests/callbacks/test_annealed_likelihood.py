"""AnnealedLikelihood and Chains: exact where it can be, within its error where it is not; documents; pictures."""

from __future__ import annotations

import math
from functools import partial
from pathlib import Path

import pytest
import torch
from support.models import NUM_WORDS, digits, events, gaussian_vae, newsgroups, trainer

from vae_lightning.callbacks import AnnealedLikelihood, Chains
from vae_lightning.families import Bernoulli, Multinomial
from vae_lightning.models import RBM
from vae_lightning.objectives import PersistentContrastiveDivergence


@pytest.fixture(scope="module")
def module() -> RBM:
    """A little training, so that log Z is no trivial matter."""
    torch.manual_seed(0)
    optimizer = partial(torch.optim.SGD, lr=0.3)
    model = RBM(
        Bernoulli((1, 8, 8)), Bernoulli(16), PersistentContrastiveDivergence(chains=20), optimizer=optimizer
    )  # fmt: skip
    trainer(max_epochs=20, limit_val_batches=0).fit(model, digits())
    return model


def judged(module: RBM, watcher: AnnealedLikelihood) -> dict[str, float]:
    return trainer(watcher).test(module, digits(), verbose=False)[0]


def test_annealed_is_within_its_error_of_exact(module: RBM) -> None:
    """16 hidden bits, 100 chains of 300 steps: log Z within 3 of its standard errors, which are below 0.2 nats."""
    exact, annealed = judged(module, AnnealedLikelihood(exact_bits=16)), judged(module, AnnealedLikelihood(steps=300))
    data = digits()
    data.setup()
    with torch.no_grad():
        log_p = module.model.log_prob(data.test.x).double()
        log_z = module.model.log_partition().item()
    assert exact["test/log_likelihood"] == pytest.approx(log_p.mean().item(), abs=1e-3)
    assert exact["test/nelbo"] == pytest.approx(-log_p.mean().item(), abs=1e-3)
    assert exact["test/log_likelihood_error"] == pytest.approx((log_p.var() / len(log_p)).sqrt().item(), rel=1e-4)
    assert exact["test/log_partition"] == pytest.approx(log_z, abs=1e-3)
    assert exact["test/log_partition_error"] == 0
    error = annealed["test/log_partition_error"]
    assert 0 < error < 0.2
    assert abs(annealed["test/log_partition"] - log_z) < 3 * error
    assert annealed["test/log_likelihood"] == pytest.approx(
        exact["test/log_likelihood"] + log_z - annealed["test/log_partition"], abs=1e-3
    )
    assert annealed["test/log_likelihood_error"] > exact["test/log_likelihood_error"]
    assert 10 < annealed["test/effective_sample_size"] <= 100


@pytest.mark.parametrize("exact_bits", [14, 0], ids=["exact", "annealed"])
def test_documents_have_a_log_z_for_each_length(exact_bits: int, miniature: Path) -> None:
    torch.manual_seed(0)
    model = RBM(Multinomial(NUM_WORDS), Bernoulli(3), PersistentContrastiveDivergence(chains=20))
    data = newsgroups(miniature)
    watcher = AnnealedLikelihood(exact_bits=exact_bits, steps=50, chains=30)
    trainer(max_epochs=2, limit_val_batches=0).fit(model, datamodule=data)
    found = trainer(watcher).test(model, datamodule=data, verbose=False)[0]
    with torch.no_grad():
        expected = model.model.log_prob(data.test.x).mean().item()
    tolerance = 1e-3 + 4 * found["test/log_partition_error"]
    assert found["test/log_likelihood"] == pytest.approx(expected, abs=tolerance)


@pytest.mark.parametrize("exact_bits", [16, 0], ids=["exact", "annealed"])
def test_a_single_observation(exact_bits: int, module: RBM) -> None:
    """Has a likelihood; its error over the data is not known."""
    data, watcher = digits(eval_batch_size=1), AnnealedLikelihood(exact_bits=exact_bits, steps=300)
    (found,) = trainer(watcher, limit_test_batches=1).test(module, data, verbose=False)
    with torch.no_grad():
        expected = module.model.log_prob(data.test.x[:1]).item()
    assert found["test/log_likelihood"] == pytest.approx(expected, abs=1e-3 + 4 * found["test/log_partition_error"])
    assert math.isnan(found["test/log_likelihood_error"])


def test_pictures_and_figures_of_a_fit(module: RBM, tmp_path: Path) -> None:
    watchers = [AnnealedLikelihood(fit_steps=10, exact_bits=0), Chains(n=3, steps=(0, 2, 5), every_n_epochs=1)]
    trainer(*watchers, folder=tmp_path).validate(module, digits(), verbose=False)
    seen = events(tmp_path / "version_0").Tags()
    assert "val/chains" in seen["images"]
    assert {"val/log_likelihood", "val/log_likelihood_error", "val/free_energy_gap"} <= set(seen["scalars"])


def test_the_first_frame_is_the_chains(module: RBM) -> None:
    """And the picture is a row for each chain, a column for each number of steps."""
    watcher = Chains(n=2, steps=(0, 1, 3))
    watcher.setup(trainer(), module, "test")
    seen = []
    paint = watcher.paint
    watcher.paint = lambda strips, data: (seen.append(strips), paint(strips, data))[1]
    watcher.draw(module)
    (strips,) = seen
    assert [row.shape for row in strips.rows] == [(3, 1, 8, 8)] * 2
    expected = module.model.visible_given(module.algorithm.starts(module.model, 2)).mean
    torch.testing.assert_close(torch.stack([row[0] for row in strips.rows]), expected)


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (lambda: AnnealedLikelihood(chains=1), "needs chains >= 2, got 1"),
        (lambda: AnnealedLikelihood(steps=0), "needs steps >= 1, got 0"),
        (lambda: AnnealedLikelihood(exact_bits=21), "at most 20 bits, got exact_bits=21"),
        (lambda: Chains(n=0), "needs n >= 1, got 0"),
        (lambda: Chains(steps=(0, 0)), r"ascending steps from 0 or more, got \[0, 0\]"),
    ],
)
def test_what_they_refuse(build, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        build()


def test_they_need_a_harmonium(miniature: Path) -> None:
    with pytest.raises(TypeError, match="AnnealedLikelihood needs a harmonium"):
        trainer(AnnealedLikelihood()).test(gaussian_vae(), digits(), verbose=False)
    words = RBM(Multinomial(NUM_WORDS), Bernoulli(3))
    with pytest.raises(TypeError, match="bags of words"):
        trainer(Chains()).test(words, datamodule=newsgroups(miniature), verbose=False)
