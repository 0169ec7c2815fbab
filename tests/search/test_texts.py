"""One's own texts, in four languages: indexed and searched by the command and in Python."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import scipy.sparse
from support.command import command, forked
from support.documents import DOCUMENTS

import vae_lightning as vl
from vae_lightning.search import CodeIndex


@pytest.fixture
def folder(trained_on_texts: Path, tmp_path: Path) -> Path:
    """`docs` and `model.ckpt`, alone."""
    return Path(shutil.copytree(trained_on_texts, tmp_path / "work", ignore=shutil.ignore_patterns("*.index")))


@pytest.fixture
def index(folder: Path) -> CodeIndex:
    return CodeIndex.of(folder / "model.ckpt", folder / "docs", out=folder / "docs.index")


def test_by_the_command_a_document_is_nearest_to_its_own_text(folder: Path, monkeypatch, capsys):
    monkeypatch.chdir(folder)
    command("index", "--ckpt", "model.ckpt", "--data", "docs")
    assert "docs.index: 8 documents of 9 bits" in capsys.readouterr().err
    for name, text in DOCUMENTS.items():
        command("search", "--index", "docs.index", "--query", text, "--json", "--k", "8")
        found = json.loads(capsys.readouterr().out)
        (own,) = [hit for hit in found["hits"] if hit["name"] == name]
        assert own["distance"] == 0
        assert own["label"] == (name.partition("/")[0] if "/" in name else "")
        assert found["query"] == text
        assert found["unknown"] == []


def test_the_table_shows_first_lines_labels_and_top_words(index: CodeIndex, capsys):
    command("search", "--index", index.path, "--query", "Straße, quagga; река", "--k", "8")
    unknown, heading, *rows = capsys.readouterr().out.splitlines()
    assert unknown == "not in the vocabulary: quagga"
    assert heading.split() == ["distance", "document", "label", "title", "top", "words"]
    (one,) = [row.split() for row in rows if "eins" in row]
    assert one[1:] == ["de/eins.txt", "de", "Größe", "der", "Straße", *one[6:]]
    assert "größe" in one[6:]


def test_many_queries_one_a_line(index: CodeIndex, folder: Path, capsys):
    (folder / "asked.txt").write_text("the river\nДом и quagga\n河边\n")
    command("search", "--index", index.path, "--queries", folder / "asked.txt", "--k", "2", "--json")
    answers = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [answer["query"] for answer in answers] == ["the river", "Дом и quagga", "河边"]
    assert answers[1]["unknown"] == ["и", "quagga"]
    assert all(len(answer["hits"]) == 2 for answer in answers)
    one_by_one = [index.nearest(answer["query"], 2).of(0) for answer in answers]
    assert [answer["hits"] for answer in answers] == one_by_one
    command("search", "--index", index.path, "--queries", folder / "asked.txt", "--k", "2")
    assert "3: 河边" in capsys.readouterr().out


def test_a_document_by_its_name(index: CodeIndex, capsys):
    command("search", "--index", index.path, "--document", "ru/один.txt", "--k", "7")
    printed = capsys.readouterr().out
    assert printed.startswith("nearest to ru/один.txt (ru: ")
    assert sum("один" in line for line in printed.splitlines()) == 1


def test_codes_are_those_of_the_model(index: CodeIndex, folder: Path):
    model = vl.load(folder / "model.ckpt")
    prepared = model.read_by.read(folder / "docs")
    bits = np.unpackbits(index.codes, axis=1, bitorder="little")[:, :9]
    assert (bits == model.hashes(prepared.observations.x).numpy()).all()
    assert list(prepared.names) == [index.documents.name(row) for row in range(len(index))]
    assert list(prepared.names) == sorted(DOCUMENTS)


@pytest.mark.parametrize("exact", [False, True])
def test_in_python_a_text_codes_and_counts_find_the_same(index: CodeIndex, folder: Path, exact):
    opened = vl.CodeIndex.open(index.path)
    hits = opened.nearest(list(DOCUMENTS.values()), k=3, exact=exact)
    assert len(hits) == 24
    counts = vl.load(folder / "model.ckpt").read_by.read(list(DOCUMENTS.values())).observations.x
    codes = vl.load(folder / "model.ckpt").hashes(counts)
    for other in (opened.nearest(codes, 3), opened.nearest(counts, 3), opened.nearest(scipy.sparse.csr_array(
            counts.dense(len(vl.load(folder / "model.ckpt").read_by.columns)).numpy()), 3)):  # fmt: skip
        assert other.to_frame().equals(hits.to_frame())


def test_texts_in_memory_need_no_file(folder: Path):
    index = CodeIndex.of(folder / "model.ckpt", ["the river", "Река", "never known quagga"], ["a", "b", "c"])
    assert index.path is None
    assert next(iter(index.nearest("Река", 3).of(0)))["distance"] == 0
    assert len(index.add(["河边"], ["d"])) == 4
    assert sorted(path.name for path in folder.iterdir()) == ["docs", "model.ckpt"]


def test_a_table_of_texts_has_ids_and_labels(folder: Path):
    (folder / "t.csv").write_text("text,label,id\nthe river is wide,water,r1\nдом,дом,r2\n")
    index = CodeIndex.of(folder / "model.ckpt", folder / "t.csv")
    shown = [(index.documents.name(n), index.documents.label(n), index.documents.title(n)) for n in range(2)]
    assert shown == [("r1", "water", "the river is wide"), ("r2", "дом", "дом")]


def test_a_run_is_searched_by_its_checkpoint_alone(folder: Path, capsys, monkeypatch):
    """The training documents are indexed beside it; --data says where they are if they have moved."""
    shutil.move(folder / "docs", folder / "moved")
    command("search", "--ckpt", folder / "model.ckpt", "--query", "the river", "--data", folder / "moved", "--k", "8")
    first = capsys.readouterr()
    assert "index of 8 training documents" in first.err
    assert "House" not in first.out
    assert "The house is by the river" in first.out
    shutil.rmtree(folder / "moved")
    command("search", "--ckpt", folder / "model.ckpt", "--query", "the river", "--k", "8")
    assert capsys.readouterr().out == first.out
    command("search", "--ckpt", folder / "model.ckpt", "--document", "one.txt", "--k", "3")
    assert "nearest to one.txt (" in capsys.readouterr().out


def test_two_processes_read_one_index(index: CodeIndex):
    done = forked("search", "--index", str(index.path), "--query", "the river", "--json", processes=2)
    assert done.returncode == 0, done.stderr
    one, other = done.stdout.splitlines()
    assert json.loads(one) == json.loads(other)


def test_an_index_moves_with_its_checkpoint(index: CodeIndex, folder: Path, tmp_path: Path):
    (folder / "deep").mkdir()
    moved = shutil.move(folder, tmp_path / "elsewhere")
    hits = CodeIndex.open(moved / "docs.index").nearest("the river")
    (tmp_path / "flat").mkdir()
    for name in ("docs.index", "model.ckpt"):
        shutil.copy(moved / name, tmp_path / "flat")
    assert CodeIndex.open(tmp_path / "flat" / "docs.index").nearest("the river").to_frame().equals(hits.to_frame())
    (tmp_path / "flat" / "model.ckpt").unlink()
    alone = CodeIndex.open(tmp_path / "flat" / "docs.index")
    with pytest.raises(
        ValueError, match=r"docs.index needs the checkpoint that made it, and .*model.ckpt is not there"
    ):
        alone.nearest("the river")
    given = CodeIndex.open(tmp_path / "flat" / "docs.index", ckpt=moved / "model.ckpt")
    assert given.nearest("the river").to_frame().equals(hits.to_frame())


def test_names_and_lines_that_a_terminal_would_obey_are_shown_as_blanks(folder: Path, capsys):
    (folder / "docs" / "[bold]\x1b[31mred.txt").write_text("\x1b]0;title\x07 the [red]river[/]")
    index = CodeIndex.of(folder / "model.ckpt", folder / "docs", out=folder / "odd.index")
    command("search", "--index", index.path, "--query", "the river", "--k", "9")
    printed = capsys.readouterr().out
    assert "\x1b" not in printed
    assert "\x07" not in printed
    assert "[bold] [31mred.txt" in printed
    assert "the [red]river[/]" in printed
