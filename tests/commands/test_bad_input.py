"""What a user gets wrong is said in one line, before there is a file; what is there stays as it is."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from support.command import left_with
from support.kinds import trained

import vae_lightning as vl
from vae_lightning.commands.outputs import Plain, Target


def refused(capsys: pytest.CaptureFixture[str], *arguments: str | Path) -> str:
    """The one line that a command ends with."""
    assert left_with([str(argument) for argument in arguments]) == 1
    (line,) = capsys.readouterr().err.splitlines()
    return line


def _written(text: str, name: str) -> Callable[[Path], Path]:
    def write(folder: Path) -> Path:
        (folder / name).write_text(text)
        return folder / name

    return write


def _folder(folder: Path) -> Path:
    (folder / "empty").mkdir()
    return folder / "empty"


def _bytes(folder: Path) -> Path:
    (folder / "t.csv").write_bytes(bytes(range(256)))
    return folder / "t.csv"


def _array(folder: Path) -> Path:
    np.save(folder / "wide.npy", np.ones((3, 7)))
    return folder / "wide.npy"


DATA = {
    "an empty corpus": ("HashingVAE", _folder, "has no files .*txt: expected a folder of texts"),
    "a table without texts": ("HashingVAE", _written("text\n", "t.csv"), "there are no texts in .*t.csv"),
    "binary files": ("HashingVAE", _bytes, "t.csv"),
    "no known word": ("HashingVAE", _written("text\nquite unheard of\n", "t.csv"), "none of 3 words in 1 texts is in"),
    "a table without a column": (
        "GaussianVAE",
        _written("age,dose\n1,2\n", "t.csv"),
        "has no column 'steps', only age",
    ),
    "mixed columns": (
        "GaussianVAE",
        _written("age,dose,steps\n1,2,many\n", "t.csv"),
        "'steps': expected numbers, got 'many'",
    ),
    "an array of the wrong width": ("GaussianVAE", _array, r"takes rows of shape \(3,\), got \(7,\)"),
    "missing numbers": (
        "GaussianVAE",
        _written("age,dose,steps\n1,,3\n", "t.csv"),
        "missing, the first in row '0', co",
    ),
    "no pictures": ("VAE", _folder, "there are no images in"),
    "a file that is not there": ("GaussianVAE", lambda folder: folder / "none.csv", "cannot read .*none.csv: No such"),
}


@pytest.mark.parametrize("what", DATA)
def test_data_that_the_model_cannot_read(what: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    name, make, expected = DATA[what]
    data = make(tmp_path)
    before = sorted(tmp_path.rglob("*"))
    line = refused(capsys, "encode", "--ckpt", trained(name).checkpoint, "--data", data, "--out", tmp_path / "out.csv")
    assert re.search(expected, line), line
    assert sorted(tmp_path.rglob("*")) == before


def test_codes_of_the_wrong_width(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    given = ("decode", "--ckpt", trained("GaussianVAE").checkpoint, "--out", tmp_path / "x.csv", "--data")
    assert "the model decodes codes (N, 2), got float64 of shape (3, 7)" in refused(capsys, *given, _array(tmp_path))
    (tmp_path / "codes.csv").write_text("name,z0\na,1\n")
    assert "has no column 'z1', only name, z0" in refused(capsys, *given, tmp_path / "codes.csv")
    assert not (tmp_path / "x.csv").exists()


@pytest.mark.parametrize(
    ("out", "expected"),
    [
        ("codes.xlsx", "codes.xlsx: expected one of .csv, .tsv, .jsonl, .npz, .parquet"),
        ("codes.png", "codes.png: expected one of .csv"),
        ("there.csv", "there.csv exists: give another name, or --overwrite to replace it"),
        ("folder.csv", "folder.csv is a folder: name a file in it"),
    ],
)
def test_a_file_that_cannot_be_written_is_said_before_any_work(
    out: str, expected: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "there.csv").write_text("mine")
    (tmp_path / "folder.csv").mkdir()
    line = refused(capsys, "encode", "--ckpt", "no.ckpt", "--data", "no.csv", "--out", tmp_path / out)
    assert expected in line
    assert (tmp_path / "there.csv").read_text() == "mine"


def test_pictures_are_refused_of_data_that_are_none(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    given = ("sample", "--ckpt", trained("GaussianVAE").checkpoint, "--out")
    assert "the model's data are no pictures (channels, height, width), but rows of shape (3,)" in refused(
        capsys, *given, tmp_path / "x.png"
    )
    assert "the model's data are no pictures" in refused(capsys, *given, tmp_path / "x")
    pictures = ("sample", "--ckpt", trained("VAE").checkpoint, "--out", tmp_path / "x.png", "--n")
    assert "a grid has at most 4,096 pictures, got 5,000: name a folder" in refused(capsys, *pictures, "5000")
    for n in ("0", "1" + 26 * "0"):
        assert f"must be a whole number from 1 to 2^63 - 1; got {n}" in refused(capsys, *pictures, n)
    assert not list(tmp_path.iterdir())


def test_checkpoints_that_answer_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert "there is no checkpoint no.ckpt" in refused(capsys, "sample", "--ckpt", "no.ckpt")
    many = trained("an Ensemble's member").checkpoint.with_name("ensemble.ckpt")
    assert "is of an Ensemble, which is many models: load one of them" in refused(capsys, "sample", "--ckpt", many)
    assert "--device tpu7" in refused(capsys, "sample", "--ckpt", trained("GaussianVAE").checkpoint, "--device", "tpu7")


def test_overwriting_replaces_a_file_and_leaves_other_pictures_of_a_folder(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "made").mkdir()
    (tmp_path / "made" / "mine.png").write_text("mine")
    given = [*("sample", "--ckpt", trained("VAE").checkpoint, "--n", "2", "--out"), tmp_path / "made"]
    assert "made exists" in refused(capsys, *given)
    assert left_with([*map(str, given), "--overwrite"]) == 0
    assert sorted(path.name for path in (tmp_path / "made").iterdir()) == ["0.png", "1.png", "mine.png"]


@pytest.mark.parametrize("name", ["x.csv", "x.jsonl", "x.npz", "x.parquet", "x.png", "x"])
def test_a_writer_that_ends_early_leaves_nothing(name: str, tmp_path: Path) -> None:
    def stop() -> None:
        with Target(tmp_path / name, False, True).writer(Plain()) as write:
            write(vl.answers.Decoded(["a", "b"], np.zeros((2, 1, 8, 8), np.float32)))
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        stop()
    assert not list(tmp_path.iterdir())


def test_a_name_of_a_picture_stays_within_the_folder(tmp_path: Path) -> None:
    x = np.zeros((3, 1, 2, 2), np.float32)
    with Target(tmp_path / "out", False, True).writer(Plain()) as write:
        write(vl.answers.Decoded(["../../up.jpg", "/root/b.png", "/root/b.jpg"], x))
    found = sorted(path.relative_to(tmp_path).as_posix() for path in tmp_path.rglob("*.png"))
    assert found == ["out/root/b.jpg.png", "out/root/b.png", "out/up.png"]


TYPOS = {
    "encode --ckp x": "--ckpt",
    "decode --ckpt x --dta y": "--data",
    "reconstruct --ckpt x --data y --overwite": "--overwrite",
    "interpolate --ckpt x --data y --step 3": "--steps",
    "sample --ckpt x --man": "--mean",
    "score --ckpt x --data y --sed 3": "--seed",
    "impute --ckpt x --data y --ot z": "--out",
    "index --cpkt x": "--ckpt",
    "search --quary x": "--query",
    "report x --titel y": "--title",
    "card x --ot y": "--out",
    "export --chkpt x": "--ckpt",
    "compare x --bye val/nelbo": "--by",
}


@pytest.mark.parametrize("typed", TYPOS)
def test_a_typo_in_an_option_is_a_line_with_the_one_that_was_meant(
    typed: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert left_with(typed.split()) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert f", did you mean {TYPOS[typed]}?; see vae-lightning {typed.split(maxsplit=1)[0]} --help" in line


def test_an_option_of_a_sweep_is_not_taken_for_one_of_its_runs(capsys: pytest.CaptureFixture[str]) -> None:
    given = ("sweep", "--config", "table", "--grid.seed_everything", "0,1")
    assert "there is no option --job, did you mean --jobs?" in refused(capsys, *given, "--job", "2")


def test_a_place_without_a_checkpoint_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A file that is not there, and a folder without a run, of every command that takes one."""
    commands = {name: ["--data", tmp_path] for name in ("encode", "decode", "reconstruct", "interpolate", "score")}
    commands |= {"impute": ["--data", tmp_path], "sample": [], "index": [], "search": ["--query", "x"]}
    commands |= {"export": ["--to", tmp_path / "x.ckpt"]}
    for name, more in commands.items():
        assert "there is no checkpoint" in refused(capsys, name, "--ckpt", tmp_path / "none", *more)
        assert "it is no run's folder" in refused(capsys, name, "--ckpt", tmp_path, *more)
    for name in ("report", "card"):
        assert "there is no folder" in refused(capsys, name, tmp_path / "none", "--out", tmp_path / "out")
        assert "holds no run" in refused(capsys, name, tmp_path, "--out", tmp_path / "out")
    assert "is no folder" in refused(capsys, "compare", tmp_path / "none")
    assert "holds no run" in refused(capsys, "compare", tmp_path)
    assert not list(tmp_path.iterdir())


@pytest.mark.skipif(not Path("/proc/self").is_dir(), reason="this system has no folder that nobody can write to")
def test_a_folder_that_cannot_be_written_to_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    kind, nowhere = trained("HashingVAE"), Path("/proc/nowhere")
    for given in (
        ("encode", "--ckpt", kind.checkpoint, "--data", kind.data, "--out", nowhere.with_suffix(".csv")),
        ("index", "--ckpt", kind.checkpoint, "--data", kind.data, "--out", nowhere.with_suffix(".index")),
        ("report", kind.run, "--out", nowhere.with_suffix(".html")),
        ("card", kind.run, "--out", nowhere.with_suffix(".md")),
        ("export", "--ckpt", kind.checkpoint, "--to", nowhere.with_suffix(".ckpt")),
    ):
        assert left_with([str(each) for each in given]) == 1
        line = capsys.readouterr().err.splitlines()[-1]
        assert re.search(r"No such file or directory: '/proc(/nowhere\.\w+)?' ", line), line


def test_a_file_in_the_place_of_a_folder_and_a_folder_in_that_of_a_file(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    kind = trained("HashingVAE")
    (tmp_path / "there").write_text("mine")
    grid = ("sweep", "--config", "table", "--grid.seed_everything", "0,1", "--out", tmp_path / "there")
    assert "there is a file: name a folder for the runs" in refused(capsys, *grid)
    assert (tmp_path / "there").read_text() == "mine"
    given = ("index", "--ckpt", kind.checkpoint, "--data", kind.data, "--out", tmp_path)
    assert "is a folder: name the file of the index" in refused(capsys, *given)


def test_a_text_that_is_the_name_of_a_file_is_answered_with_what_reads_it() -> None:
    kind = trained("HashingVAE")
    with pytest.raises(ValueError, match=r"was read as a text; for what is in it give Path\('"):
        vl.load(kind.checkpoint).encode(str(kind.data))
