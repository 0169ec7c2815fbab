"""about.json says what no option of a run says: its data's sizes, its parameters, its versions and machines."""

from __future__ import annotations

import json
from pathlib import Path

import torch
from support.models import digits, gaussian_vae, hashing, newsgroups, trainer

import vae_lightning
from vae_lightning.callbacks import AboutFile, LastCheckpoint


def test_it_says_what_is_in_the_data_and_the_model(miniature: Path, tmp_path: Path) -> None:
    run = trainer(AboutFile(), folder=tmp_path, max_epochs=1, limit_train_batches=1)
    run.fit(model := hashing(), newsgroups(miniature))
    about = json.loads((tmp_path / "version_0" / "about.json").read_text())
    assert about["observations"] == {"train": 100, "val": 20, "test": 61}
    assert about["words"] == 80
    assert (about["epochs"], about["steps"]) == (1, 1)
    assert about["parameters"] == sum(parameter.numel() for parameter in model.parameters())
    (environment,) = about["environments"]
    assert environment["version"] == vae_lightning.__version__
    assert environment["torch"] == torch.__version__
    assert environment["device"] == "cpu, 1 process"


def test_a_run_that_goes_on_elsewhere_has_both_places(tmp_path: Path) -> None:
    file = tmp_path / "version_0" / "about.json"
    run = trainer(AboutFile(), LastCheckpoint(), folder=tmp_path, enable_checkpointing=True)
    run.fit(gaussian_vae(), digits())
    about = json.loads(file.read_text())
    elsewhere = about["environments"][0] | {"machine": "another"}
    for kept, expected in (([elsewhere], [elsewhere, *about["environments"]]), ("damaged", about["environments"])):
        file.write_text(json.dumps(about | {"environments": kept}))
        again = trainer(AboutFile(), folder=tmp_path, max_epochs=2)
        again.logger._version = "version_0"
        again.fit(gaussian_vae(), digits(), ckpt_path=tmp_path / "version_0" / "checkpoints" / "last.ckpt")
        assert json.loads(file.read_text())["environments"] == expected


def test_a_dry_run_leaves_none(tmp_path: Path) -> None:
    trainer(AboutFile(), folder=tmp_path, fast_dev_run=True).fit(gaussian_vae(), digits())
    assert not list(tmp_path.rglob("*"))
