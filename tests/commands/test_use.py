"""Commands on a checkpoint alone: the figures of Python, bit for bit, in every format, with names and units kept."""

from __future__ import annotations

import hashlib
import json
import os
import signal
import time
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
import yaml
from PIL import Image
from support.command import command, left_with
from support.kinds import KINDS, Trained, trained
from support.report_folders import Page

import vae_lightning as vl
from vae_lightning.answers import Answer, Decoded
from vae_lightning.commands.outputs import Plain, Target


@pytest.fixture(params=KINDS)
def kind(request: pytest.FixtureRequest) -> Trained:
    return trained(request.param)


def use(name: str, kind: Trained, out: Path, *more: str | Path, data: Path | None = None) -> Path:
    """`vae-lightning NAME` on this checkpoint and its data; the file."""
    given = () if name == "sample" else ("--data", data or kind.data)
    command(name, "--ckpt", kind.checkpoint, *given, "--out", out, *more)
    return out


def check_arrays(path: Path, answer: Answer) -> None:
    """A .npz has the names and all arrays of an answer, of the same bits."""
    with np.load(path) as found:
        assert found["names"].tolist() == list(answer.names)
        for name, values in answer.arrays.items():
            assert found[name].dtype.kind == values.dtype.kind
            np.testing.assert_array_equal(found[name], values)


def check_table(found: pd.DataFrame, answer: Answer) -> None:
    """A table has the columns of `to_frame`, its numbers of the same bits."""
    expected = answer.to_frame()
    assert list(found.columns) == list(expected.columns)
    for name in expected:
        assert found[name].astype(expected[name].dtype).tolist() == expected[name].tolist()


def test_every_kind_answers_by_a_command_as_in_python(kind: Trained, tmp_path: Path) -> None:
    model = vl.load(kind.checkpoint)
    codes = model.encode(kind.data, samples=3)
    check_arrays(use("encode", kind, tmp_path / "codes.npz", "--samples", "3"), codes)
    check_arrays(use("decode", kind, tmp_path / "back.npz", data=tmp_path / "codes.npz"), model.decode(codes))
    check_arrays(use("reconstruct", kind, tmp_path / "made.npz"), model.reconstruct(kind.data))
    check_arrays(use("sample", kind, tmp_path / "new.npz", "--n", "5"), model.generate(5))
    check_arrays(use("sample", kind, tmp_path / "means.npz", "--n", "5", "--mean"), model.generate(5, mean=True))
    check_arrays(use("score", kind, tmp_path / "scores.npz", "--K", "9"), model.log_likelihood(kind.data, K=9))


def test_every_kind_is_reported_and_has_a_card_by_a_command_as_in_python(kind: Trained, tmp_path: Path) -> None:
    command("report", kind.run, "--out", tmp_path / "page.html")
    command("card", kind.run, "--out", tmp_path / "card.md")
    assert (tmp_path / "page.html").read_bytes() == vl.report([kind.run], tmp_path / "again.html").read_bytes()
    assert (tmp_path / "card.md").read_bytes() == vl.card(kind.run, tmp_path / "again.md").read_bytes()
    assert f"model = vl.load('{kind.run}')" in Page((tmp_path / "page.html").read_text()).text
    assert hashlib.sha256(kind.checkpoint.read_bytes()).hexdigest() in (tmp_path / "card.md").read_text()


@pytest.mark.parametrize("name", [name for name in KINDS if name not in ("LiBI", "an Ensemble's member")])
def test_every_kind_is_trained_by_a_command_as_in_python(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By a configuration of the class paths that its checkpoint says, as all but those with data of objects do."""
    monkeypatch.chdir(tmp_path)
    kind = trained(name)
    content = torch.load(kind.checkpoint, weights_only=True)
    config = {"model": described(content, ""), "data": described(content, "datamodule_")}
    (tmp_path / "kind.yaml").write_text(yaml.safe_dump(config))
    figure = "val/free_energy" if "RBM" in config["model"]["class_path"] else "val/nelbo"
    options = ("--trainer.max_epochs", "1", "--trainer.accelerator", "cpu", "--best.monitor", figure)
    command("fit", "--config", "kind.yaml", *options, "--trainer.enable_progress_bar", "false")
    theirs, ours = content["state_dict"], torch.load("runs/version_0/checkpoints/last.ckpt", weights_only=True)
    assert all(torch.equal(ours["state_dict"][name], value) for name, value in theirs.items())
    scores = [vl.load(path).log_likelihood(kind.data, K=5) for path in (kind.run, tmp_path / "runs/version_0")]
    np.testing.assert_array_equal(scores[0].log_likelihood, scores[1].log_likelihood)


def described(content: dict[str, Any], part: str) -> dict[str, Any]:
    """A model, or data, as a configuration has it."""
    said = {**content[f"{part}hyper_parameters"], **(content.get("specified", {}) if not part else {})}
    arguments = {name: value for name, value in said.items() if not name.startswith("_")}
    return {"class_path": said["_class_path"], "init_args": arguments}


@pytest.mark.parametrize("name", ["GaussianVAE", "HashingVAE"])
def test_tables_have_the_columns_of_a_frame_and_its_bits(name: str, tmp_path: Path) -> None:
    kind = trained(name)
    expected = vl.load(kind.checkpoint).encode(kind.data, samples=2)
    check_table(pd.read_csv(use("encode", kind, tmp_path / "c.csv", "--samples", "2")), expected)
    check_table(pd.read_csv(use("encode", kind, tmp_path / "c.tsv", "--samples", "2"), sep="\t"), expected)
    check_table(pd.read_parquet(use("encode", kind, tmp_path / "c.parquet", "--samples", "2")), expected)
    lines = use("encode", kind, tmp_path / "c.jsonl", "--samples", "2").read_text().splitlines()
    check_table(pd.DataFrame([json.loads(line) for line in lines]), expected)


def test_a_table_of_codes_is_decoded_as_the_codes_are(tmp_path: Path) -> None:
    for name in ("GaussianVAE", "HashingVAE"):
        kind = trained(name)
        codes = use("encode", kind, tmp_path / f"{name}.csv")
        found = use("decode", kind, tmp_path / f"{name}.npz", data=codes)
        check_arrays(found, vl.load(kind.checkpoint).reconstruct(kind.data))


def test_rows_and_columns_keep_their_names_and_units(tmp_path: Path) -> None:
    found = pd.read_csv(use("reconstruct", trained("GaussianVAE"), tmp_path / "made.csv"), index_col="name")
    assert list(found.columns) == ["age", "dose", "steps"]
    assert list(found.index) == [f"r{number}" for number in range(60, 66)]
    assert found["steps"].between(4000, 6000).all()  # not standard deviations
    texts = pd.read_csv(use("encode", trained("HashingVAE"), tmp_path / "codes.csv"), index_col="name")
    assert list(texts.index) == ["a.txt", "b.txt", "d.txt", "part/c.txt"]


def test_scores_are_a_row_each_and_missing_entries_are_filled_in(tmp_path: Path) -> None:
    kind = trained("GaussianVAE")
    found = pd.read_csv(use("score", kind, tmp_path / "scores.csv"))
    assert list(found.columns) == ["name", "log_likelihood", "stderr", "effective_sample_size"]
    assert len(found) == 6
    data = tmp_path / "holes.csv"
    data.write_text("id,steps,age,dose\na,5000.25,,1.5\nb,4900,0.1,-2\n")
    whole = pd.read_csv(use("impute", kind, tmp_path / "whole.csv", "--K", "50", data=data), index_col="name")
    assert list(whole.columns[:3]) == ["age", "dose", "steps"]
    assert whole.loc["a", ["dose", "steps", "dose_sd"]].tolist() == [1.5, 5000.25, 0]
    assert whole.loc["b", "age"] == 0.1
    assert 0 < whole.loc["a", "age_stderr"] < whole.loc["a", "age_sd"]
    check_arrays(
        use("impute", kind, tmp_path / "w.npz", "--K", "50", data=data), vl.load(kind.checkpoint).impute(data, 50)
    )


def test_a_sampled_text_is_a_text_of_the_words_drawn(tmp_path: Path) -> None:
    kind = trained("HashingVAE")
    path = use("sample", kind, tmp_path / "new.csv", "--n", "6")
    model = vl.load(kind.checkpoint)
    read = model.read_by.read(path)  # as somebody's own texts
    np.testing.assert_array_equal(read.observations.x.dense(5).numpy(), model.generate(6).x)


def test_a_seed_of_the_command_is_another_draw(tmp_path: Path) -> None:
    kind = trained("GaussianVAE")
    found = [np.load(use("sample", kind, tmp_path / f"{seed}.npz", "--seed", seed))["x"] for seed in ("1", "2")]
    assert not np.array_equal(*found)
    model = vl.load(kind.checkpoint)
    model.seed = 2
    np.testing.assert_array_equal(model.generate(64).x, found[1])


def test_interpolation_goes_from_row_to_row_or_to_others(tmp_path: Path) -> None:
    kind = trained("VAE")
    model = vl.load(kind.checkpoint)
    files = sorted(kind.data.iterdir())
    line = use("interpolate", kind, tmp_path / "line.npz", "--steps", "3")
    check_arrays(line, model.answer(vl.answers.Decode(), _between(model, files)))
    to = use("interpolate", kind, tmp_path / "to.npz", "--to", kind.data, "--steps", "2")
    check_arrays(to, model.interpolate(kind.data, kind.data, 2))


def _between(model: vl.VAE, files: list[Path]) -> vl.data.preparation.Prepared:
    codes = model.encode(files[0].parent)
    return vl.answers.codes.between(
        *(
            vl.answers.Encoded(codes.names[rows], codes.mean[rows], codes.sd[rows])
            for rows in (slice(0, -1), slice(1, None))
        ),
        3,
    )


@pytest.mark.parametrize("ending", ["csv", "jsonl", "parquet"])
def test_a_name_in_bytes_of_another_encoding_is_written(ending: str, tmp_path: Path) -> None:
    """The name of a file can be any; the error was of a codec, and quoted the row."""
    with Target(tmp_path / f"out.{ending}", overwrite=False, pictures=False).writer(Plain()) as write:
        write(Decoded([os.fsdecode(b"caf\xe9.png")], np.zeros((1, 2), np.float32)))
    assert rb"caf\udce9.png" in (tmp_path / f"out.{ending}").read_bytes().replace(rb"\\", b"\\")


# -- pictures --------------------------------------------------------------------------------------------------------


def test_pictures_come_out_as_one_grid_or_each(tmp_path: Path) -> None:
    kind = trained("VAE")
    with Image.open(use("sample", kind, tmp_path / "grid.png", "--n", "9")) as grid:
        assert grid.size == (3 * 48 + 4 * 2, 3 * 48 + 4 * 2)  # small ones are shown larger
    use("reconstruct", kind, tmp_path / "made")
    assert sorted(path.name for path in (tmp_path / "made").iterdir()) == [f"{number}.png" for number in range(5)]
    x = vl.load(kind.checkpoint).reconstruct(kind.data).x
    with Image.open(tmp_path / "made" / "3.png") as picture:
        np.testing.assert_array_equal(np.asarray(picture), (x[3, 0] * 255).astype(np.uint8))


def test_rows_of_one_name_have_a_picture_each(tmp_path: Path) -> None:
    """The last of them was written over the others."""
    with Target(tmp_path / "made", overwrite=False, pictures=True).writer(Plain()) as write:
        write(Decoded(["a", "b.png", "a", "b.jpg", "a"], np.zeros((5, 1, 4, 4), np.float32)))
    made = sorted(path.name for path in (tmp_path / "made").iterdir())
    assert made == ["a-2.png", "a-3.png", "a.png", "b.jpg.png", "b.png"]


def test_a_name_may_be_that_of_the_folder_of_another(tmp_path: Path) -> None:
    """It was a bare FileExistsError."""
    with Target(tmp_path / "made", overwrite=False, pictures=True).writer(Plain()) as write:
        write(Decoded(["a.png", "a.png/c", "a.png/c", "b.png/c", "b.png"], np.zeros((5, 1, 4, 4), np.float32)))
    made = sorted(path.relative_to(tmp_path / "made").as_posix() for path in tmp_path.rglob("*.png") if path.is_file())
    assert made == ["a.png", "a.png-2/c-2.png", "a.png-2/c.png", "b.png.png", "b.png/c.png"]


def test_pictures_may_be_written_into_this_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """`.` has no name, as an error said."""
    monkeypatch.chdir(tmp_path)
    with Target(Path(), overwrite=True, pictures=True).writer(Plain()) as write:
        write(Decoded(["a"], np.zeros((1, 1, 4, 4), np.float32)))
    assert [path.name for path in tmp_path.iterdir()] == ["a.png"]


def test_a_link_stays_and_what_it_points_to_is_written(tmp_path: Path) -> None:
    """The table took the place of the link."""
    (tmp_path / "real.csv").write_text("old")
    (tmp_path / "link.csv").symlink_to("real.csv")
    with Target(tmp_path / "link.csv", overwrite=True, pictures=False).writer(Plain()) as write:
        write(Decoded(["a"], np.zeros((1, 2), np.float32)))
    assert (tmp_path / "link.csv").is_symlink()
    assert (tmp_path / "real.csv").read_text() != "old"


def test_pictures_are_means_unless_their_noise_is_asked_for(tmp_path: Path) -> None:
    """A learned sigma would hide them."""
    kind = trained("VAE")
    grids = [use("sample", kind, tmp_path / f"{n}.png", "--n", "4", *given) for n, given in enumerate(MEANS)]
    drawn, means, default = (path.read_bytes() for path in grids)
    assert default == means != drawn


MEANS: list[tuple[str, ...]] = [("--no-mean",), ("--mean",), ()]


def test_a_grid_has_originals_above_what_is_made_of_them(tmp_path: Path) -> None:
    kind = trained("VAE")
    with Image.open(use("reconstruct", kind, tmp_path / "grid.png")) as picture:
        grid = np.asarray(picture)[..., 0]
    assert grid.shape == (2 * 50 + 2, 5 * 50 + 2)
    original = vl.load(kind.checkpoint).read_by.read(kind.data).observations.x[2, 0].numpy()
    np.testing.assert_array_equal(grid[2:50:6, 102:150:6] > 128, original > 0.5)


# -- without a file --------------------------------------------------------------------------------------------------


def test_without_a_file_the_first_rows_are_printed(capsys: pytest.CaptureFixture[str]) -> None:
    kind = trained("GaussianVAE")
    command("sample", "--ckpt", kind.checkpoint, "--n", "300")
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].split() == ["name", "age", "dose", "steps"]
    assert len(lines) == 12
    assert lines[-1] == "... 290 more rows"


def test_what_is_odd_of_the_data_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    use("encode", trained("HashingVAE"), tmp_path / "codes.csv")
    told = capsys.readouterr()
    assert "1 of 4 texts have no word of the vocabulary" in told.err
    assert told.out == f"{tmp_path / 'codes.csv'}: 4 rows\n"


# -- a command that is stopped ---------------------------------------------------------------------------------------


def test_a_command_that_is_terminated_leaves_nothing(tmp_path: Path) -> None:
    kind = trained("VAE")
    out = tmp_path / "new.csv"
    given = ["sample", "--ckpt", str(kind.checkpoint), "--n", "1000000000", "--out", str(out)]  # takes hours
    child = os.fork()
    if not child:
        os._exit(left_with(given))
    deadline = time.monotonic() + 60
    while not list(tmp_path.iterdir()) and time.monotonic() < deadline:
        time.sleep(0.01)
    os.kill(child, signal.SIGTERM)
    _, status = os.waitpid(child, 0)
    assert os.waitstatus_to_exitcode(status) == 128 + signal.SIGTERM
    assert not list(tmp_path.iterdir())
