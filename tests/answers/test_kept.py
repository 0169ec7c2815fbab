"""What a model knows of its data is in its checkpoint as it was trained by, however it was trained and is read."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from support.crafted import spec, written
from support.models import trainer

import vae_lightning as vl
from vae_lightning.answers.kept import kept_preparation

X = np.random.default_rng(0).normal([1000, 0], [100, 1], (60, 2)).astype(np.float32)
ROWS = "vae_lightning.data.arrays.preparation.RowPreparation"


def model() -> vl.GaussianVAE:
    return vl.GaussianVAE(2, vl.Normal(2, scale=1.0))


def scaled(seed: int = 0) -> vl.Arrays:
    return vl.Arrays(X, standardise=True, split_seed=seed, val_size=0.4)


def trained(folder: Path, module: Any, data: Any, epochs: int = 1, **options: Any) -> Path:
    """The checkpoint of a fit."""
    fit = trainer(max_epochs=epochs, default_root_dir=folder)
    fit.fit(module, data, **options)
    fit.save_checkpoint(folder / f"{epochs}.ckpt")
    return folder / f"{epochs}.ckpt"


def mean(path: Path) -> torch.Tensor:
    """What rows are standardised by."""
    return torch.tensor(torch.load(path, weights_only=True)["preparation"]["init_args"]["mean"])


def test_load_from_checkpoint_gives_the_model_that_load_gives(tmp_path: Path) -> None:
    path = trained(tmp_path, model(), scaled())
    ours, theirs = vl.GaussianVAE.load_from_checkpoint(path, weights_only=True), vl.load(path)
    np.testing.assert_array_equal(ours.encode(X).mean, theirs.encode(X).mean)


def test_a_run_that_goes_on_with_other_rows_keeps_the_scaling_that_it_trains_by(tmp_path: Path) -> None:
    first, data = trained(tmp_path, model(), scaled()), scaled(seed=7)
    second = trained(tmp_path, model(), data, epochs=2, ckpt_path=first, weights_only=True)
    assert torch.equal(mean(second), data.scaling[0])
    assert torch.equal(mean(second), mean(first))


def test_data_within_data_are_known_too(tmp_path: Path) -> None:
    data = vl.FullBatch(scaled(), steps=2)
    assert torch.equal(mean(trained(tmp_path, model(), data)), data.data.scaling[0])


def test_members_of_an_ensemble_that_goes_on_know_their_data(tmp_path: Path) -> None:
    """It was started before, in a run whose weights it begins with."""
    data = vl.data.Stacked([vl.FullBatch(scaled(seed), steps=2) for seed in (0, 1)])
    ensemble = vl.Ensemble(member=model, seeds=2)
    ensemble.started = True
    trainer(max_epochs=1, default_root_dir=tmp_path).fit(ensemble, data)
    for number, its_data in enumerate(data.members):
        said = ensemble.checkpoint(number)["preparation"]["init_args"]["mean"]
        assert torch.equal(torch.tensor(said), its_data.data.scaling[0])


def test_a_test_draws_in_the_units_of_its_data_and_leaves_a_loaded_model_as_it_is(tmp_path: Path) -> None:
    path, other = trained(tmp_path, model(), scaled()), scaled(seed=7)
    run, new, loaded = trainer(default_root_dir=tmp_path), model(), vl.load(path)
    for each in (new, loaded):
        run.test(each, other, verbose=False)
    assert torch.equal(new.read_by.mean, other.scaling[0])
    assert torch.equal(loaded.read_by.mean, mean(path))


@pytest.mark.parametrize(
    "said",
    [
        {"class_path": ROWS, "init_args": None},
        {"class_path": ROWS, "init_args": {"shape": {"a": 1}}},
        {"class_path": "vae_lightning.data.preparation.Preparation"},
        spec(ROWS, shape=[2], mean=[1.0, 2.0, 3.0]),
        {"init_args": {}},
    ],
)
def test_what_cannot_be_built_is_said_in_one_line(said: dict[str, Any], tmp_path: Path) -> None:
    path = written(tmp_path / "odd.ckpt", preparation=said)
    with pytest.raises(ValueError, match=r"odd.ckpt is no checkpoint to use: [^\n]*$"):
        kept_preparation(torch.load(path, weights_only=True), path)
