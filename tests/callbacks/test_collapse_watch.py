"""CollapseWatch: models that do collapse are reported, once, and one that does not is left in peace."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
from support.evaluation import codes, posterior
from support.models import digits, events, gaussian_vae, hashing, newsgroups, trainer
from torch import Tensor, nn

from vae_lightning.callbacks import CollapseWatch
from vae_lightning.callbacks.collapse_watch import Course, Symptoms
from vae_lightning.estimators import Reparameterised
from vae_lightning.families import Bernoulli, Normal
from vae_lightning.metrics.functional import elbo_surgery
from vae_lightning.models import GaussianVAE
from vae_lightning.models.hierarchical import HVAE
from vae_lightning.nn import MLP
from vae_lightning.objectives import Adversarial, AnalyticELBO

FAST = {"latent_dim": 4, "optimizer": partial(torch.optim.Adam, lr=0.01)}


class Deaf(nn.Module):
    """A decoder's network that does not listen to z."""

    def __init__(self, context_shape: Sequence[int], num_outputs: int) -> None:
        super().__init__()
        self.bias = nn.Parameter(torch.zeros(num_outputs))

    def forward(self, z: Tensor) -> Tensor:
        return self.bias.expand(*z.shape[:-1], -1)


def told(run: Any, *arguments: Any, **keywords: Any) -> list[str]:
    """The warnings of collapse that a run gives."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        run(*arguments, **keywords)
    return [str(each.message) for each in caught if "collapse" in str(each.message)]


@pytest.mark.parametrize(
    "changes", [{"objective": AnalyticELBO(Reparameterised(), beta=1000.0)}, {"decoder": Deaf}], ids=["beta", "deaf"]
)
def test_a_model_that_collapses_is_reported_once(changes: dict[str, Any], tmp_path: Path) -> None:
    module = gaussian_vae(**FAST | changes)
    run = trainer(CollapseWatch(every_n_epochs=2), folder=tmp_path, max_epochs=20)
    lines = told(run.fit, module, datamodule=digits())
    assert len(lines) == 1
    assert "val: posterior collapse" in lines[0]
    assert "mutual information" in lines[0]
    assert "beta < 1" in lines[0]
    assert "\n" not in lines[0]
    assert run.logged_metrics["val/collapsed"] == 1
    assert run.logged_metrics["val/inactive_units_fraction"] == 1
    seen = events(Path(run.log_dir))
    assert len(seen.Tensors("val/collapse/text_summary")) == 1
    assert len(seen.Scalars("val/collapsed")) == 10


def test_a_healthy_model_is_left_in_peace() -> None:
    """Trained to tell more than a nat of the digit; watched where it has learned to."""
    module = gaussian_vae(**FAST, objective=AnalyticELBO(Reparameterised(), beta=0.2))
    run = trainer(CollapseWatch(every_n_epochs=10), max_epochs=10)
    assert told(run.fit, module, datamodule=digits()) == []
    assert run.logged_metrics["val/collapsed"] == 0
    assert run.logged_metrics["val/inactive_units_fraction"] <= 0.5


def with_active(units: int) -> GaussianVAE:
    """Eight units, the first so many of which tell much; the others are the prior's noise."""
    module = gaussian_vae(latent_dim=8)
    output = module.model.encoder.network.output
    with torch.no_grad():
        output.weight.zero_()
        output.bias.zero_()
        output.weight[:units] = 5 * torch.randn(units, output.weight.shape[1])
        output.bias[8 : 8 + units] = -1.0
    return module


def test_each_onset_is_told_and_what_ends_is_written(tmp_path: Path) -> None:
    """Full health, part of the units, none, none still, health for three reports, none again."""
    watch = CollapseWatch()
    run = trainer(watch, folder=tmp_path)
    active = (8, 3, 0, 0, 8, 8, 8, 0)
    lines = [told(run.validate, with_active(units), datamodule=digits(), verbose=False) for units in active]
    kinds = [[line.split(": ")[1] for line in each] for each in lines]
    collapse = ["posterior collapse"]
    assert kinds == [[], ["partial posterior collapse"], collapse, [], [], [], [], collapse]
    assert "3 of 8 latent units active" in lines[1][0]
    assert "rate 0.000 +- 0.000 nats (near 0: below 0.1)" in lines[2][0]
    assert "0 of 8 latent units active" in lines[2][0]
    assert lines[2][0].startswith("val: posterior collapse")  # of an epoch nothing is known outside `fit`
    assert run.logged_metrics["val/collapsed"] == 1
    written = sorted(events(Path(run.log_dir)).Tensors("val/collapse/text_summary"), key=lambda each: each.wall_time)
    texts = [each.tensor_proto.string_val[0].decode() for each in written]
    assert len(texts) == 4
    assert "no collapse" in texts[2]


H, P, C = 0, 1, 2  # healthy, partial collapse, collapse


@pytest.mark.parametrize(
    ("reports", "changes", "warnings"),
    [
        ([H, P, H, P, H, H, P, P, H, P], [1], [1]),  # about the threshold: one partial collapse
        ([P, H, H, H, P, H, H, H, P], [0, 3, 4, 7, 8], [0]),  # one that comes again is written, but told once
        ([C, H, H, C, H, H, H, C], [0, 6, 7], [0, 7]),  # a collapse that was over is told when it comes again
        ([C, P, P, P, C], [0, 3, 4], [0, 4]),
        ([C, C, H, H, H, P, P, C], [0, 4, 5, 7], [0, 5, 7]),  # not learned yet, learned, units lost, all lost
    ],
)
def test_what_wavers_is_told_once(reports: list[int], changes: list[int], warnings: list[int]) -> None:
    course = Course()
    seen = [course.follow(each) for each in reports]
    assert [n for n, (changed, _) in enumerate(seen) if changed] == changes
    assert [n for n, (_, begun) in enumerate(seen) if begun] == warnings


def test_a_rate_without_information_is_named() -> None:
    """Q(z | x) = N(3, 1) for every x: a rate of 4.5 nats a unit that tells nothing."""
    module = with_active(0)
    with torch.no_grad():
        module.model.encoder.network.output.bias[:8] = 3.0
    (line,) = told(trainer(CollapseWatch()).validate, module, datamodule=digits(), verbose=False)
    rate, information = line.split("rate ")[1].split(", ")[:2]
    assert "near 0" not in rate
    assert "near 0" in information
    assert float(rate.split(" ")[0]) == pytest.approx(36, abs=4)


def test_symptoms_are_those_of_the_functions() -> None:
    module, data, watch = with_active(3), digits(), CollapseWatch(limit=37)
    trainer(watch).test(module, datamodule=data, verbose=False)
    symptoms, q = watch.symptoms(), module.model.encoder(data.test.x[:37])
    surgery = elbo_surgery(q, module.model.prior(), codes(module, data, "test")[:, :37])
    for name in ("rate", "rate_error", "mutual_information", "mutual_information_error"):
        assert getattr(symptoms, name) == pytest.approx(float(getattr(surgery, name)), rel=1e-4)
    assert symptoms.active == (posterior(module, data, "test").mean.var(0) > 0.01).sum() == 3


def symptoms(rate: float, information: float, active: int) -> Symptoms:
    return Symptoms(rate, 0.01, information, 0.01, active, units=8, nats=0.1, share=0.5)


@pytest.mark.parametrize(
    ("case", "whole", "partial"),
    [
        (symptoms(5.0, 3.0, 8), False, False),
        (symptoms(5.0, 3.0, 4), False, False),
        (symptoms(5.0, 3.0, 3), False, True),
        (symptoms(0.05, 0.04, 8), True, False),
        (symptoms(5.0, -0.02, 8), True, False),  # an estimate may be negative: it is near 0 all the same
        (symptoms(5.0, 3.0, 0), True, False),
    ],
)
def test_what_counts_as_collapse(case: Symptoms, whole: bool, partial: bool) -> None:
    assert (case.whole, case.partial) == (whole, partial)


def test_bits_can_be_watched(miniature: Path) -> None:
    run = trainer(CollapseWatch())
    lines = told(run.validate, hashing(), datamodule=newsgroups(miniature), verbose=False)
    assert len(lines) == run.logged_metrics["val/collapsed"]
    assert run.logged_metrics["val/inactive_units_fraction"] in [n / 3 for n in range(4)]


def test_bad_input_is_one_line() -> None:
    with pytest.raises(TypeError, match="CollapseWatch accumulates independent Gaussian or Bernoulli posteriors"):
        trainer(CollapseWatch()).fit(HVAE((2, 2), Bernoulli((1, 8, 8))), datamodule=digits())
    with pytest.raises(ValueError, match="nats > 0"):
        CollapseWatch(nats=0.0)
    with pytest.raises(ValueError, match="0 <= inactive_share <= 1, a share of units; got 2"):
        CollapseWatch(inactive_share=2.0)


def test_it_watches_codes_again_after_a_model_whose_encoder_rests() -> None:
    watch = CollapseWatch()
    gan = GaussianVAE(2, Normal(3, 0.1), objective=Adversarial(MLP))
    watch.setup(trainer(), gan, "fit")
    assert watch.of_samples is not None
    watch.setup(trainer(), GaussianVAE(2, Normal(3, 0.1)), "fit")
    assert watch.of_samples is None
