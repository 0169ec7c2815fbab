"""What an index goes through: documents added and removed, mistakes, damage, readers meanwhile."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path

import numpy as np
import pytest
import scipy.sparse
from hypothesis import given
from hypothesis import strategies as st
from support.command import command
from support.documents import DOCUMENTS, write_documents
from support.models import gaussian_vae, trainer

from vae_lightning.data import Digits, StaticBinarisation
from vae_lightning.search import CodeIndex
from vae_lightning.search.hamming import scan


@pytest.fixture
def folder(trained_on_texts: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(trained_on_texts, tmp_path / "work", ignore=shutil.ignore_patterns("*.index")))


def made(folder: Path, names: list[str], out: str) -> bytes:
    """The file of an index of these documents alone."""
    write_documents(folder / out, names)
    CodeIndex.of(folder / "model.ckpt", folder / out, out=folder / f"{out}.index")
    return (folder / f"{out}.index").read_bytes()


def test_added_and_removed_is_as_built_anew(folder: Path, capsys):
    """Byte for byte, by the command."""
    names = sorted(DOCUMENTS)
    first, second = names[:5], names[5:]
    made(folder, first, "some")
    write_documents(folder / "more", second)
    command("index", "--out", folder / "some.index", "--add", folder / "more")
    assert "8 documents of 9 bits" in capsys.readouterr().err
    assert (folder / "some.index").read_bytes() == made(folder, names, "all")
    command("index", "--out", folder / "some.index", "--remove", *first)
    assert (folder / "some.index").read_bytes() == made(folder, second, "rest")
    command("index", "--out", folder / "some.index", "--remove", *second[:2], "--add", folder / "some")
    left = CodeIndex.open(folder / "some.index")
    assert [left.documents.name(row) for row in range(len(left))] == second[2:] + first


@given(
    rows=st.lists(st.booleans(), min_size=1, max_size=40).filter(any),
    more=st.integers(0, 20),
    many=st.booleans(),
    seed=st.integers(0, 99),
)
def test_codes_added_and_removed_are_as_built_anew(rows, more, many, seed):
    """With and without tables."""
    rng = np.random.default_rng(seed)
    num = len(rows) + more
    codes = rng.random((num, 19)) < 0.5
    names = [f"größe {n}" if n % 3 else f"n{n}" for n in range(num)]
    titles, labels = (
        [f"{n} 河" * (n % 4) for n in range(num)],
        [[None, "a", "b", f"own {n}"][n % 4] for n in range(num)],
    )

    def part(which: list[int]) -> dict[str, object]:
        return {
            "names": [names[n] for n in which],
            "titles": [titles[n] for n in which],
            "labels": [labels[n] for n in which],
        }

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(scan, "CODES", 3 if many else 1000)
        old, new = list(range(len(rows))), list(range(len(rows), num))
        index = CodeIndex.build(codes[old], **part(old))
        index = index.remove([names[n] for n in old if not rows[n]])
        index = index.add(codes[new], **part(new)) if more else index
        kept = [n for n in old if rows[n]] + new
        anew = CodeIndex.build(codes[kept], **part(kept))
        assert content(index) == content(anew)


def content(index: CodeIndex) -> bytes:
    with tempfile.TemporaryFile() as file:
        index.write(file)
        file.seek(0)
        return file.read()


def test_a_reader_keeps_what_it_opened(folder: Path):
    made(folder, sorted(DOCUMENTS), "all")
    reader = CodeIndex.open(folder / "all.index")
    before = reader.nearest("the river", 8).to_frame()
    CodeIndex.open(folder / "all.index").remove(["one.txt"]).add(["the river"], ["new"])
    assert reader.nearest("the river", 8).to_frame().equals(before)
    assert len(CodeIndex.open(folder / "all.index")) == 8
    assert CodeIndex.open(folder / "all.index").documents.row("new") == 7
    assert not list(folder.glob(".*"))


def test_a_link_to_an_index_stays_one(folder: Path, tmp_path: Path):
    """A change took the place of the link, and left what it points to as it was."""
    made(folder, sorted(DOCUMENTS), "all")
    (tmp_path / "link.index").symlink_to(folder / "all.index")
    CodeIndex.open(tmp_path / "link.index").remove(["one.txt"]).add(["the river"], ["new"])
    assert (tmp_path / "link.index").is_symlink()
    assert CodeIndex.open(folder / "all.index").documents.row("new") == 7
    before = (folder / "all.index").read_bytes()
    CodeIndex.of(folder / "model.ckpt", folder / "all", out=tmp_path / "link.index", overwrite=True).remove("one.txt")
    assert (tmp_path / "link.index").is_symlink()
    assert (folder / "all.index").read_bytes() != before
    for path in (tmp_path / "link.index", folder / "all.index"):
        assert len(CodeIndex.open(path).nearest("the river", 8).to_frame()) == 7


def mistaken(capsys: pytest.CaptureFixture[str], *arguments: str | Path) -> str:
    """The one line that a command ends with."""
    capsys.readouterr()
    with pytest.raises(SystemExit):
        command(*arguments)
    *_, line = capsys.readouterr().err.strip().splitlines()
    assert line.startswith("vae-lightning: ")
    return line


def test_mistakes_are_one_clear_line_and_leave_no_file(folder: Path, capsys):
    (folder / "empty").mkdir()
    (folder / "binary").mkdir()
    (folder / "binary" / "a.txt").write_bytes(b"\xff\xfe\x00the river")
    (folder / "unknown.csv").write_text("text\nquagga zebra\n")
    (folder / "nothing.csv").write_text("text\n")
    (folder / "twice.csv").write_text("text,id\nthe river,a\nthe sea,a\n")
    there = sorted(folder.iterdir())
    ckpt, out = ("--ckpt", folder / "model.ckpt"), ("--out", folder / "new.index")
    for data, complaint in {
        "empty": "empty has no files **/*.txt",
        "binary": "a.txt: expected UTF-8 text, got other bytes",
        "unknown.csv": "none of the words of 1 documents is in the model's vocabulary",
        "nothing.csv": "there are no documents",
        "twice.csv": "1 documents have names that others have, such as 'a'",
        "none": "there is no",
    }.items():
        assert complaint in mistaken(capsys, "index", *ckpt, "--data", folder / data, *out)
        assert sorted(folder.iterdir()) == there
    assert "--ckpt RUN" in mistaken(capsys, "index", "--data", folder / "docs")
    assert "which index to change: --out FILE" in mistaken(capsys, "index", "--add", folder / "docs")


def test_mistakes_with_an_index_leave_it_as_it_was(folder: Path, capsys):
    before, place = made(folder, sorted(DOCUMENTS), "all"), folder / "all.index"
    ckpt, data = ("--ckpt", folder / "model.ckpt"), ("--data", folder / "docs")
    assert f"{place} exists: give --overwrite" in mistaken(capsys, "index", *ckpt, *data, "--out", place)
    assert "has no document 'nobody'" in mistaken(capsys, "index", "--out", place, "--remove", "one.txt", "nobody")
    line = mistaken(capsys, "index", "--out", place, "--add", folder / "docs")
    assert "8 documents have names that others have" in line
    assert "or give others: by a column `id` of the table, without which rows are numbered" in line
    assert "needs at least one" in mistaken(capsys, "index", "--out", place, "--remove", *DOCUMENTS)
    query = ("search", "--index", place, "--query")
    assert "none of the query's words is in the vocabulary of" in mistaken(capsys, *query, "quagga")
    assert "a query needs at least one word, got '42'" in mistaken(capsys, *query, "42")
    assert "must be at least 1; got 0" in mistaken(capsys, *query, "the river", "--k", "0")
    assert "has no document 'x'" in mistaken(capsys, "search", "--index", place, "--document", "x")
    assert "either --query" in mistaken(capsys, "search", "--index", place)
    assert "either --index FILE or --ckpt" in mistaken(capsys, "search", "--query", "the river")
    assert "there is no file of queries" in mistaken(capsys, "search", "--index", place, "--queries", folder / "none")
    assert "is no index of" in mistaken(capsys, "search", "--index", folder / "model.ckpt", "--query", "the river")
    assert place.read_bytes() == before
    command("index", *ckpt, *data, "--out", place, "--overwrite")
    assert place.read_bytes() == before


def test_an_index_of_another_model_says_so(folder: Path, capsys):
    made(folder, sorted(DOCUMENTS), "all")
    other = Path(shutil.copy(folder / "model.ckpt", folder / "other.ckpt"))
    other.write_bytes(other.read_bytes() + b"\0")
    query = ("search", "--index", folder / "all.index", "--query", "the river")
    line = mistaken(capsys, *query, "--ckpt", other)
    assert f"was made by another model than {other}: by a HashingVAE whose checkpoint has sha256" in line
    assert "another model" in mistaken(
        capsys, "index", "--out", folder / "all.index", "--add", folder / "docs", "--ckpt", other
    )
    other.rename(folder / "model.ckpt")
    assert "has changed since it made" in mistaken(capsys, *query)
    codes = CodeIndex.build(np.ones((2, 3), bool), ["a", "b"])
    with pytest.raises(ValueError, match="was made of codes, by no model: search it by codes"):
        codes.nearest("the river")
    for wrong in (np.ones(4, bool), np.ones((1, 1, 3), bool)):
        with pytest.raises(ValueError, match="the index has codes of 3 bits, the query has"):
            codes.nearest(wrong)
    with pytest.raises(ValueError, match="need as many names"):
        codes.add(np.ones((2, 3), bool))
    with pytest.raises(ValueError, match=r"codes are \(N, m\) of 3 bits"):
        codes.add(np.ones((2, 4), bool), ["c", "d"])
    with pytest.raises(ValueError, match="2 codes have 1, 1, 1 names, titles and labels"):
        CodeIndex.build(np.ones((2, 3), bool), ["a"])


def test_a_model_without_bits_says_what_to_do(tmp_path: Path, capsys):
    run = trainer(max_steps=1)
    run.fit(gaussian_vae(), Digits(StaticBinarisation()))
    run.save_checkpoint(tmp_path / "gaussian.ckpt")
    line = mistaken(capsys, "search", "--ckpt", tmp_path / "gaussian.ckpt", "--query", "a")
    assert "is of GaussianVAE, whose codes are no bits: search needs a HashingVAE" in line


@pytest.mark.parametrize("name", ["12", 12, np.int64(12)])
def test_one_name_is_a_document_and_not_its_letters(name: object):
    codes = np.random.default_rng(0).random((13, 6)) < 0.5
    left = CodeIndex.build(codes, range(13)).remove(name).documents
    assert [left.name(row) for row in range(len(left))] == [str(number) for number in range(12)]


def test_names_that_are_given_count_whatever_the_documents_are(folder: Path):
    """They did for texts alone."""
    ckpt = folder / "model.ckpt"
    words = CodeIndex.of(ckpt, folder / "docs").encoder.vocabulary
    counts = scipy.sparse.csr_array(np.eye(3, len(words)))
    for data, names in ((counts, ["x", "y", "z"]), (folder / "docs" / "de", ["x", "y"]), ("a wide river", "x")):
        found = CodeIndex.of(ckpt, data, names).documents
        assert [found.name(row) for row in range(len(found))] == list(names)
        with pytest.raises(ValueError, match=rf"^{len(names)} documents have {len(names) + 1} names: give each one"):
            CodeIndex.of(ckpt, data, [*names, "one more"])
    with pytest.raises(ValueError, match=r"^2 documents have 1 names"):
        CodeIndex.of(ckpt, folder / "docs" / "de", ["x"])


@pytest.mark.parametrize("what", ["titles", "labels"])
def test_titles_and_labels_of_texts_are_not_lost_without_a_word(folder: Path, what: str):
    index = CodeIndex.of(folder / "model.ckpt", ["a wide river"], ["a"])
    with pytest.raises(ValueError, match=r"^titles and labels are given with codes"):
        index.add(["the sea"], ["b"], **{what: ["water"]})


def test_a_change_of_an_index_that_has_changed_meanwhile_is_refused(tmp_path: Path):
    """It used to take the other's place, and its documents were lost without a word."""
    codes, place = np.eye(4, dtype=bool), tmp_path / "x.index"
    old = CodeIndex.build(codes[:2], ["a", "b"], out=place)
    old.add(codes[2:3], ["c"])
    with pytest.raises(ValueError, match=r"x\.index has changed since it was opened: open it again, and change that"):
        old.add(codes[3:], ["d"])
    assert len(CodeIndex.open(place).add(codes[3:], ["d"])) == 4


def test_names_and_labels_may_be_numbers(tmp_path: Path):
    """Labels that are numbers used to make a file that could not be read again."""
    codes = np.eye(3, dtype=bool)
    labels = [7, np.nan, 0]
    index = CodeIndex.build(codes, range(3), labels=labels, out=tmp_path / "x")
    index = CodeIndex.open(tmp_path / "x").remove([1]).add(codes[1:2], [3], labels=[7])
    assert [(index.documents.name(row), index.documents.label(row)) for row in range(3)] == [
        ("0", "7"),
        ("2", "0"),
        ("3", "7"),
    ]
    assert index.nearest_to(3, 1).names == ["0"]
    with pytest.raises(ValueError, match="the index has codes of 3 bits, the query has the shape"):
        index.nearest(codes[:0])
