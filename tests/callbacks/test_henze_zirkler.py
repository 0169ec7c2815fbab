"""HenzeZirkler inside a real fit, against the function on the evaluation's own codes."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from support.evaluation import codes
from support.models import digits, gaussian_vae, hashing, newsgroups, trainer

from vae_lightning.callbacks import HenzeZirkler
from vae_lightning.metrics.functional import henze_zirkler, henze_zirkler_null
from vae_lightning.models import GaussianVAE


def test_logs_the_statistic_of_one_code_for_each_observation_beside_its_null() -> None:
    module, data = gaussian_vae(evaluation_samples=3), digits()
    run = trainer(HenzeZirkler(every_n_epochs=1))
    run.fit(module, datamodule=data)
    statistic, null = henze_zirkler(codes(module, data, "val")[0]).item(), henze_zirkler_null(61, 2)
    logged = {name: float(value) for name, value in run.logged_metrics.items() if "henze" in name}
    assert logged == pytest.approx(
        {
            "val/henze_zirkler": statistic,
            "val/henze_zirkler_null": null.mean,
            "val/henze_zirkler_critical": null.critical(0.05),
            "val/henze_zirkler_p": null.p_value(statistic),
        },
        rel=1e-4,
    )


def test_a_limit_takes_the_first_codes() -> None:
    module, data = gaussian_vae(), digits()
    (logged,) = trainer(HenzeZirkler(limit=37)).test(module, datamodule=data, verbose=False)
    first = henze_zirkler(codes(module, data, "test")[0, :37])
    assert logged["test/henze_zirkler"] == pytest.approx(first.item(), rel=1e-4)


def encoding(scale: float) -> GaussianVAE:
    """Means in two heaps, `scale` apart."""
    module = gaussian_vae()
    network = module.model.encoder.network
    with torch.no_grad():
        network.output.weight[:2] *= scale
    return module


def test_a_reader_can_judge() -> None:
    """Codes that are the prior's noise pass as Gaussian; codes that are sharp images of the digits do not."""
    noise, sharp = encoding(0.0), encoding(1.0)
    with torch.no_grad():
        sharp.model.encoder.network.output.bias[2:] = -7.0
    figures = [trainer(HenzeZirkler()).test(m, datamodule=digits(), verbose=False)[0] for m in (noise, sharp)]
    assert figures[0]["test/henze_zirkler"] < figures[0]["test/henze_zirkler_critical"]
    assert figures[0]["test/henze_zirkler_p"] > 0.05
    assert figures[1]["test/henze_zirkler"] > figures[1]["test/henze_zirkler_critical"]
    assert figures[1]["test/henze_zirkler_p"] < 0.01


def test_says_before_training_that_bits_are_not_gaussian(miniature: Path) -> None:
    with pytest.raises(TypeError, match="those of HashingVAE are discrete") as raised:
        trainer(HenzeZirkler()).fit(hashing(), datamodule=newsgroups(miniature))
    assert "\n" not in str(raised.value)
    with pytest.raises(ValueError, match="limit >= 1"):
        HenzeZirkler(limit=0)
