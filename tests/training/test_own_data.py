"""`--config text|table|images --data.path P` in an empty folder: what the model leaves out is what the data say."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import yaml
from PIL import Image
from support.command import command, figures, forked
from support.short_run import saved

import vae_lightning as vl
from vae_lightning.training import shipped

QUICK = ("--trainer.max_epochs", "2", "--trainer.accelerator", "cpu", "--trainer.enable_progress_bar", "false")
TOPICS = {"water": "der Fluß führt zur See", "land": "поле лежит у леса", "sky": "the clouds pass over"}
WORDS = 14  # those of the topics, and `again`, which each document has twice


def write_texts(folder: Path) -> Path:
    for topic, words in TOPICS.items():
        (folder / topic).mkdir(parents=True)
        for number in range(10):
            (folder / topic / f"{number}.txt").write_text(f"{words} again again", encoding="utf-8")
    return folder


def write_rows(path: Path) -> Path:
    rows = np.random.default_rng(0).normal(size=(60, 3)) * [1, 10, 100]
    np.savetxt(path, rows, delimiter=",", header="a,b,c", comments="")
    return path


def write_photos(folder: Path) -> Path:
    folder.mkdir()
    for number, pixels in enumerate(np.random.default_rng(0).integers(0, 256, (40, 20, 18, 3), np.uint8)):
        Image.fromarray(pixels).save(folder / f"{number:02}.png")
    return folder


def halved(channels: str) -> tuple[str, ...]:
    return ("--model.encoder.channels", channels, "--model.decoder.network.channels", channels)


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with `docs`, `rows.csv` and `photos`, and a run of each configuration: version_0, 1 and 2."""
    folder = tmp_path_factory.mktemp("place")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        command("fit", "--config", "text", "--data.path", write_texts(Path("docs")), *QUICK)
        command("fit", "--config", "table", "--data.path", write_rows(Path("rows.csv")), *QUICK)
        smaller = (
            "--data.size",
            "32",
            "--model.encoder.channels",
            "[4, 4]",
            "--model.decoder.network.channels",
            "[4, 4]",
        )
        command("fit", "--config", "images", "--data.path", write_photos(Path("photos")), *smaller, *QUICK)
    return folder


@pytest.fixture
def here(place: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of it, which the test may write into."""
    monkeypatch.chdir(shutil.copytree(place, tmp_path / "place"))
    return Path.cwd()


@pytest.fixture
def refused(capsys: pytest.CaptureFixture[str]) -> Callable[..., str]:
    """The one line that a command ends in."""

    def line(*arguments: str | Path) -> str:
        with pytest.raises(SystemExit):
            command(*arguments)
        return capsys.readouterr().err.strip().splitlines()[-1]

    return line


def described(run: Path) -> dict[str, Any]:
    return yaml.safe_load((run / "config.yaml").read_text())["model"]["init_args"]


SHAPES: dict[str, tuple[int, Callable[[dict[str, Any]], object], object]] = {
    "text": (0, lambda model: model["num_words"], WORDS),
    "table": (1, lambda model: model["observed"]["init_args"]["family"]["init_args"]["event_shape"], 3),
    "images": (2, lambda model: model["observed"]["init_args"]["event_shape"], [3, 32, 32]),
}


@pytest.mark.parametrize("config", SHAPES)
def test_shapes_of_the_data_are_in_the_configuration_and_in_the_checkpoint(config: str, place: Path) -> None:
    version, told, expected = SHAPES[config]
    run = place / "runs" / f"version_{version}"
    assert told(described(run)) == expected
    assert told(saved(run / "checkpoints/best.ckpt")["hyper_parameters"]) == expected
    assert np.isfinite(figures(run)["val/nelbo"])


@pytest.mark.parametrize("config", SHAPES)
def test_a_model_is_loaded_without_its_data(config: str, here: Path) -> None:
    for name in ("docs", "photos"):
        shutil.rmtree(here / name)
    (here / "rows.csv").unlink()
    model = vl.load(here / "runs" / f"version_{SHAPES[config][0]}")
    assert len(model.sample(3)) == 3


@pytest.mark.parametrize("config", ["text"])
def test_what_goes_on_and_what_evaluates_needs_nothing_said(config: str, here: Path) -> None:
    run = here / "runs" / f"version_{SHAPES[config][0]}"
    command("fit", "--ckpt_path", run, "--trainer.max_epochs", "3")
    assert saved(run / "checkpoints/last.ckpt")["global_step"] == 3
    command("test", "--config", config, "--ckpt_path", run)  # its configuration again leaves out what the model has
    assert np.isfinite(figures(run)["test/nelbo"])
    assert SHAPES[config][1](described(run)) == SHAPES[config][2]


def test_a_stated_number_of_words_stays_and_is_held_against_the_data(here: Path, refused: Callable[..., str]) -> None:
    line = refused("fit", "--config", "text", "--data.path", "docs", "--model.num_words", "9", *QUICK)
    assert f"the model has 9 words but the data {WORDS}" in line
    line = refused(
        "fit", "--config", "table", "--data.path", "rows.csv", "--model.observed.family.event_shape", "4", *QUICK
    )
    assert "(4,)" in line
    assert "(3,)" in line
    assert not (here / "runs/version_3").exists()


@pytest.mark.parametrize("subcommand", ["fit", "test"])
def test_data_of_another_width_beside_a_checkpoint_need_a_model_of_their_own(
    subcommand: str, here: Path, refused: Callable[..., str]
) -> None:
    np.savetxt("wide.csv", np.eye(60, 5), delimiter=",", header="a,b,c,d,e", comments="")
    line = refused(subcommand, "--ckpt_path", "runs/version_1", "--data.path", "wide.csv")
    assert "the model observes (3,) but the data are (5,)" in line
    assert "ckpt fit data as theirs alone: for these train a model anew" in line


def test_stating_the_shapes_changes_no_bit(here: Path) -> None:
    command("fit", "--config", "table", "--data.path", "rows.csv", "--model.observed.family.event_shape", "3", *QUICK)
    left_out, stated = (saved(here / f"runs/version_{n}/checkpoints/last.ckpt") for n in (1, 3))
    assert all(torch.equal(value, stated["state_dict"][name]) for name, value in left_out["state_dict"].items())
    assert left_out["hyper_parameters"] == stated["hyper_parameters"]
    assert left_out["datamodule_hyper_parameters"] == stated["datamodule_hyper_parameters"]


def test_data_are_built_and_read_once(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    read, built = [], []
    load, init = vl.Texts.load, vl.Texts.__init__
    monkeypatch.setattr(vl.Texts, "load", lambda data: (read.append(data), load(data))[1])
    monkeypatch.setattr(vl.Texts, "__init__", lambda data, *a, **k: (built.append(data), init(data, *a, **k))[1])
    command("fit", "--config", "text", "--data.path", "docs", *QUICK)
    assert len(read) == len(built) == 1


def test_an_rbm_leaves_out_its_visible_side_and_not_its_hidden_one(here: Path, refused: Callable[..., str]) -> None:
    options = ["fit", "--model", "vae_lightning.models.RBM", "--model.visible", "vae_lightning.families.Normal"]
    options += ["--model.visible.scale", "1", "--model.hidden", "vae_lightning.families.Bernoulli"]
    options += ["--data", "vae_lightning.data.Arrays", "--data.path", "rows.csv", "--data.standardise", "true"]
    assert "Bernoulli needs the shape of an event" in refused(*options, *QUICK)
    command(*options, "--model.hidden.event_shape", "2", "--best.monitor", "val/free_energy", *QUICK)
    assert described(here / "runs/version_3")["visible"]["init_args"]["event_shape"] == 3


def test_a_family_within_a_family_is_one_of_observations(here: Path) -> None:
    model = ("--model.observed", "vae_lightning.families.PartlyObserved", "--model.observed.family")
    command("fit", "--config", "table", "--data.path", "rows.csv", *model, "vae_lightning.families.Normal", *QUICK)
    inner = described(here / "runs/version_3")["observed"]["init_args"]["family"]
    assert inner["init_args"]["event_shape"] == 3


def test_data_that_do_not_tell(here: Path, refused: Callable[..., str]) -> None:
    data = ("--data", "vae_lightning.data.Arrays", "--data.path", "rows.csv", "--data.standardise", "true")
    model = ("--model", "vae_lightning.models.HashingVAE")
    line = refused("fit", *model, *data, *QUICK)
    assert "Arrays does not say how many words they have: give it by --model.num_words" in line


def test_pictures_of_one_size_need_none_given(here: Path) -> None:
    """It is read off the files."""
    command("fit", "--config", "images", "--data.path", "photos", "--data.size", "null", *halved("[4]"), *QUICK)
    assert described(here / "runs/version_3")["observed"]["init_args"]["event_shape"] == [3, 20, 18]


def test_an_image_shape_that_disagrees_is_refused(here: Path, refused: Callable[..., str]) -> None:
    other = ("--data.size", "32", "--model.decoder.network.image_shape", "[1, 8, 8]")
    line = refused("fit", "--config", "images", "--data.path", "photos", *other, *QUICK)
    assert "image_shape is (1, 8, 8), but the observations are (3, 32, 32): leave image_shape out" in line


def test_a_folder_of_three_pictures_is_predicted(here: Path) -> None:
    few = here / "few"
    few.mkdir()
    for name in ("07.png", "30.png", "11.png"):
        shutil.copy(here / "photos" / name, few)
    run = here / "runs/version_2"
    every = ("--data.predict_split", "all", "--data.val_size", "100")  # which are not there to be set apart
    command("predict", "--ckpt_path", run, "--data.path", few, *every)
    found = np.load(run / "codes.npz")
    assert found["ids"].tolist() == [0, 1, 2]
    data = vl.ImageFolder(few, size=32, val_size=100, predict_split="all")
    data.setup("predict")
    assert data.names == ["07.png", "11.png", "30.png"]
    encoder = vl.load(run).eval().model.encoder
    np.testing.assert_allclose(found["codes"], encoder(data.split("all").x).mean.detach(), atol=1e-5)


# --- names of configurations -----------------------------------------------------------------------------------------


def test_every_shipped_name_is_found_and_a_file_of_ones_own_comes_first(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert {"text", "table", "images", "images/faces", "digits/vae", "trainer/cpu"} <= set(shipped.names())
    for name in shipped.names():
        for typed in (["--config", name], ["-c", name], [f"--config={name}"]):
            (file,) = (word for word in shipped.with_files(typed)[-1].split("=") if word.endswith(".yaml"))
            assert Path(file).is_file()
    Path("text").write_text("seed_everything: 1")
    assert shipped.with_files(["--config", "text", "--data.path", "table"]) == [
        "--config", "text", "--data.path", "table",
    ]  # fmt: skip


def test_an_unknown_name_is_answered_with_the_nearest(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, refused: Callable[..., str]
) -> None:
    monkeypatch.chdir(tmp_path)
    line = refused("fit", "--config", "digits/veä")
    assert (
        "--config digits/veä is neither a file nor one of the shipped configurations, did you mean digits/vae?" in line
    )
    assert "text, trainer/cpu" in line


def test_names_and_files_come_in_any_order(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    Path("mine.yaml").write_text(json.dumps({"trainer": {"max_epochs": 7}}))
    with pytest.raises(SystemExit):
        command("fit", "--config", "table", "--config", "trainer/cpu", "--config", "mine.yaml", "--print_config")
    printed = yaml.safe_load(capsys.readouterr().out)
    assert (printed["trainer"]["accelerator"], printed["trainer"]["max_epochs"]) == ("cpu", 7)
    assert (
        printed["model"]["init_args"]["observed"]["init_args"]["family"]["init_args"]["event_shape"] is None
    )  # nothing was read


def test_a_sweep_takes_names_and_keeps_what_it_has(here: Path) -> None:
    """Though its runs have shapes that its configuration leaves out."""
    options = ("sweep", "--config", "table", "--data.path", "rows.csv", "--grid.model.latent_dim", "2", *QUICK)
    for expected in ("compare:", "1 of 1 runs are in runs/sweep and are kept"):
        done = forked(*options)
        assert done.returncode == 0, done.stderr
        assert expected in done.stderr
