"""ActiveUnits inside a real fit, against the variance of the posterior means by torch."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from lightning.pytorch.demos.boring_classes import BoringModel
from support.evaluation import posterior
from support.models import digits, events, gaussian_vae, hashing, newsgroups, trainer
from torch import Tensor

from vae_lightning.callbacks import ActiveUnits, CollapseWatch, Diagnostic, Traversals
from vae_lightning.callbacks.active_units import bar_chart
from vae_lightning.data import Synthetic
from vae_lightning.data.processes import GaussianMixture
from vae_lightning.families import Bernoulli, Normal
from vae_lightning.models import GaussianVAE
from vae_lightning.models.hierarchical import HVAE


def four_units() -> GaussianVAE:
    """The means of the last two units hardly vary."""
    module = gaussian_vae(latent_dim=4)
    with torch.no_grad():
        module.model.encoder.network.output.weight[:4] *= torch.tensor([10, 10, 0.01, 0.01])[:, None]
    return module


def test_logs_the_count_and_draws_the_variances(tmp_path: Path) -> None:
    module, data = four_units(), digits()
    run = trainer(ActiveUnits(threshold=0.02, every_n_epochs=1), folder=tmp_path)
    run.fit(module, datamodule=data)
    variances = posterior(module, data, "val").mean.double().var(0)
    assert (variances > 0.02).tolist() == [True, True, False, False]
    assert run.logged_metrics["val/active_units"] == 2
    assert run.logged_metrics["val/active_units_fraction"] == 0.5
    (logged,) = run.test(module, datamodule=data, verbose=False)
    assert logged["test/active_units"] == (posterior(module, data, "test").mean.var(0) > 0.02).sum()
    seen = events(Path(run.log_dir))
    assert {"val/active_units", "test/active_units"} <= set(seen.Tags()["images"])
    (vector,) = seen.Tensors("val/active_unit_variances")
    written = np.frombuffer(vector.tensor_proto.tensor_content or b"", dtype=np.float64)
    if not len(written):
        written = np.array(vector.tensor_proto.double_val)
    assert written == pytest.approx(variances.numpy(), rel=1e-5)


def test_bits_are_active_where_their_probability_varies(miniature: Path) -> None:
    module, data, run = hashing(), newsgroups(miniature), trainer(ActiveUnits())
    with torch.no_grad():
        module.model.encoder.network.weight.normal_(0, 0.3)
        module.model.encoder.network.bias[0] = -1000.0  # dead
    (logged,) = run.test(module, datamodule=data, verbose=False)
    variances = posterior(module, data, "test").mean.var(0)
    assert variances[0] == 0
    assert logged["test/active_units"] == (variances > 0.01).sum() == 2


@pytest.mark.parametrize("variances", [[0.0, 0.5, 0.02, 1e-12], [0.0] * 100, [3.0]])
def test_the_chart_has_a_bar_for_every_unit_also_a_dead_one(variances: list[float]) -> None:
    axes = bar_chart(torch.tensor(variances, dtype=torch.float64), 0.01).axes[0]
    heights = [bar.get_y() + bar.get_height() for bar in axes.patches]
    assert heights == pytest.approx(sorted((max(v, 1e-3) for v in variances), reverse=True))
    assert axes.get_yscale() == "log"
    low, high = axes.get_ylim()
    assert 0.01 / 100 < low < 0.01 < high  # a decade below the threshold is shown, and not six
    active = [v for v in variances if v > 0.01]
    assert f"{len(active)} of {len(variances)}" in axes.get_title()


def test_says_before_training_what_it_cannot_watch() -> None:
    with pytest.raises(TypeError, match=r"mean in closed form.*q\(z \| x\) is Chain: leave"):
        trainer(ActiveUnits()).fit(HVAE((2, 2), Bernoulli((1, 8, 8))), datamodule=digits())
    with pytest.raises(TypeError, match="BoringModel has none"):
        trainer(ActiveUnits()).fit(BoringModel())
    with pytest.raises(ValueError, match="threshold >= 0"):
        ActiveUnits(threshold=-1.0)


def test_posteriors_that_say_their_mean_is_not_a_number(monkeypatch: pytest.MonkeyPatch) -> None:
    """As torch's Categorical does, whose values have no order."""
    module = gaussian_vae()
    classes = torch.distributions.Categorical(torch.ones(1, 3))
    monkeypatch.setattr(module.model.encoder, "prototype", lambda: classes)
    with pytest.raises(TypeError, match="is Categorical"):
        trainer(ActiveUnits()).fit(module, datamodule=digits())
    assert isinstance(classes.mean, Tensor)


@pytest.mark.parametrize("callback", [ActiveUnits, CollapseWatch, Traversals])
def test_a_code_of_one_unit_is_watched_as_well(callback: Callable[..., Diagnostic], tmp_path: Path) -> None:
    data = Synthetic(GaussianMixture(), (40, 20, 20))
    run = trainer(callback(every_n_epochs=1), folder=tmp_path)
    run.fit(GaussianVAE(1, Normal(2, 0.5)), data)
    assert run.logged_metrics.get("val/active_units_fraction", torch.zeros(())) in (0, 1)
