"""From an empty folder with texts, a table and pictures: the first commands, and the same in six lines of Python."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image, ImageDraw
from support.command import command, figures

import vae_lightning as vl

QUICK = ("--trainer.max_epochs", "4", "--trainer.accelerator", "cpu", "--trainer.enable_progress_bar", "false")
SMALL = ("--model.encoder.channels", "[4, 4]", "--model.decoder.network.channels", "[4, 4]", "--data.size", "16")
TOPICS = {
    "küche": "die größe der küche ist für brot käse und süße äpfel über dem ofen genug",
    "sea": "the boat left harbour and crossed open water with wind in its sails",
    "лес": "в лесу растут высокие деревья и живут волки медведи лисы под снегом",
    "机器": "机器学习模型 数据训练结果 神经网络 概率分布",
}
COLUMNS = ["name", "log_likelihood", "stderr", "effective_sample_size"]


def write_docs(folder: Path) -> None:
    """Fifteen texts of some words of each topic, in as many languages as sub-folders."""
    rng = np.random.default_rng(0)
    for topic, words in TOPICS.items():
        (folder / topic).mkdir(parents=True)
        for number in range(15):
            text = " ".join(rng.choice(words.split(), 12))
            (folder / topic / f"{number:02}.txt").write_text(text, encoding="utf-8")


def table() -> pd.DataFrame:
    """Eighty rows of three columns in their own units, which one number explains, some of them missing."""
    rng = np.random.default_rng(0)
    x = rng.normal(size=(80, 1)) * [2, 10, 300] + rng.normal(size=(80, 3)) * [0.5, 2, 60] + [0, 50, 5000]
    frame = pd.DataFrame(x, columns=["dose", "age", "steps"])
    frame.loc[[3, 40], "age"] = np.nan
    return frame


def write_photos(folder: Path) -> None:
    """Forty pictures of a disc or a square, of three sizes and in every mode."""
    folder.mkdir()
    rng = np.random.default_rng(0)
    for number in range(40):
        mode, size = ("RGB", "RGBA", "L")[number % 3], 24 + 8 * (number % 3)
        picture = Image.new("RGB", (size, size), tuple(rng.integers(0, 256, 3).tolist()))
        draw, (x, y) = ImageDraw.Draw(picture), rng.integers(2, 10, 2).tolist()
        shape = draw.ellipse if number % 2 else draw.rectangle
        shape([x, y, x + 10, y + 10], fill=tuple(rng.integers(0, 256, 3).tolist()))
        picture.convert(mode).save(folder / f"{number:02}.png")


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of one's own data, and the runs of the three shipped configurations: version_0, 1 and 2."""
    folder = tmp_path_factory.mktemp("place")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        write_docs(Path("docs"))
        table().to_csv("rows.csv", index=False)
        table().assign(kind=["high", "low"] * 40).to_csv("labelled.csv", index_label="id")
        write_photos(Path("photos"))
        command("fit", "--config", "text", "--data.path", "docs/", *QUICK)
        command("fit", "--config", "table", "--data.path", "rows.csv", *QUICK)
        command("fit", "--config", "images", "--data.path", "photos/", *SMALL, *QUICK)
    return folder


@pytest.fixture
def here(place: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of it, which the test may write into."""
    monkeypatch.chdir(shutil.copytree(place, tmp_path / "place"))
    return Path.cwd()


@pytest.mark.parametrize("topic", TOPICS)
def test_texts_of_any_script_are_hashed_and_found(topic: str, here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    command("search", "--ckpt", "runs/version_0", "--query", TOPICS[topic], "--json", "--k", "5")
    (found,) = map(json.loads, capsys.readouterr().out.splitlines())
    labels = [hit["label"] for hit in found["hits"]]
    assert labels.count(topic) >= 3, labels


def test_a_table_is_scored_a_row_each(here: Path) -> None:
    command("score", "--ckpt", "runs/version_1", "--data", "rows.csv", "--out", "scores.csv")
    found = pd.read_csv("scores.csv")
    assert list(found.columns) == COLUMNS
    assert len(found) == 80
    assert np.isfinite(found.log_likelihood).all()
    assert (found.stderr > 0).all()
    assert (found.effective_sample_size >= 1).all()


def test_its_missing_fields_are_filled_in(here: Path) -> None:
    command("impute", "--ckpt", "runs/version_1", "--data", "rows.csv", "--out", "whole.csv")
    found, given = pd.read_csv("whole.csv"), table()
    assert found.age.notna().all()
    assert (found.age_sd[[3, 40]] > 0).all()
    np.testing.assert_array_equal(found.steps.astype(np.float32), given.steps.astype(np.float32))


def test_a_column_of_text_is_refused_with_the_option_that_helps(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        command("fit", "--config", "table", "--data.path", "labelled.csv", *QUICK)
    line = capsys.readouterr().err.splitlines()[-1]
    assert "column 'kind': expected numbers, got 'high': give data.label kind if it is a label" in line
    assert "data.columns [id, dose, age, steps] to leave it out" in line
    command(
        "fit", "--config", "table", "--data.path", "labelled.csv", "--data.label", "kind", "--data.id", "id", *QUICK
    )
    assert np.isfinite(figures(here / "runs/version_3")["val/nelbo"])
    command("score", "--ckpt", "runs/version_3", "--data", "labelled.csv", "--out", "scores.csv")
    assert list(pd.read_csv("scores.csv").columns) == COLUMNS


def test_pictures_are_encoded_and_sampled(here: Path) -> None:
    command("encode", "--ckpt", "runs/version_2", "--data", "photos/", "--out", "codes.npz")
    with np.load("codes.npz") as codes:
        assert codes["names"].tolist() == sorted(path.name for path in (here / "photos").iterdir())
        assert codes["mean"].shape == (40, 32)
    command("sample", "--ckpt", "runs/version_2", "--n", "64", "--out", "grid.png")
    with Image.open("grid.png") as grid:
        assert grid.mode == "RGB"
        assert grid.width == grid.height > 8 * 16


def test_all_of_it_goes_onto_one_page(here: Path) -> None:
    command("report", "runs", "--out", "report.html")
    page = (here / "report.html").read_text()
    assert all(f"trained on {data}" in page for data in ("Texts", "Arrays", "ImageFolder"))


PYTHON: dict[str, tuple[str, Callable[[dict[str, Any]], bool]]] = {
    "texts": (
        """
import vae_lightning as vl
data = vl.Texts("docs", batch_size=16)
model = vl.HashingVAE(num_bits=16, num_words=data.num_words)
vl.trainer(max_epochs=4, accelerator="cpu", enable_progress_bar=False).fit(model, data)
near = model.nearest(model.encode("волки под снегом в лесу"), model.encode(Path("docs")), k=3)
print(near)
""",
        lambda here: sum(name.startswith("лес/") for name in here["near"].neighbours[0]) >= 2,
    ),
    "a table": (
        """
import vae_lightning as vl
data = vl.Arrays(path="labelled.csv", label="kind", id="id", standardise=True, missing=True)
model = vl.GaussianVAE(2, vl.PartlyObserved(vl.Normal(3, scale=0.5)))
vl.trainer(max_epochs=4, accelerator="cpu", enable_progress_bar=False).fit(model, data)
scores = model.log_likelihood("labelled.csv").to_frame()
print(scores)
""",
        lambda here: list(here["scores"].columns) == COLUMNS and len(here["scores"]) == 80,
    ),
    "pictures": (
        """
import vae_lightning as vl
data = vl.ImageFolder("photos", size=16)
model = vl.GaussianVAE(8, vl.Normal((3, 16, 16), scale=0.3))
vl.trainer(max_epochs=4, accelerator="cpu", enable_progress_bar=False).fit(model, data)
codes, made = model.encode("photos"), model.generate(64)
print(codes, made)
""",
        lambda here: here["codes"].mean.shape == (40, 8) and here["made"].x.shape == (64, 3, 16, 16),
    ),
}


@pytest.mark.parametrize("what", PYTHON)
def test_the_same_in_six_lines_of_python(what: str, here: Path) -> None:
    program, holds = PYTHON[what]
    assert len(program.strip().splitlines()) <= 6
    names: dict[str, Any] = {"Path": Path}
    torch.manual_seed(0)
    exec(program, names)
    assert holds(names)


def test_a_model_is_loaded_from_its_runs_folder(here: Path) -> None:
    kinds = [type(vl.load(f"runs/version_{number}")).__name__ for number in range(3)]
    assert kinds == ["HashingVAE", "GaussianVAE", "GaussianVAE"]
