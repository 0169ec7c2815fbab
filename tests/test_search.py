"""Search from a fit to a printed table: against brute force, over changed checkpoints and vocabularies."""

import hashlib
import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import faiss
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from support.archive import TRAIN, WORDS
from support.crafted import written
from support.models import trainer

from vae_lightning.counts import Counts
from vae_lightning.data import Newsgroups
from vae_lightning.data.texts.vocabulary import vocabulary_hash
from vae_lightning.models import HashingVAE
from vae_lightning.search import CodeIndex, Document, search
from vae_lightning.search.index import paths
from vae_lightning.search.words import inverse_document_frequency, top_words

NUM_WORDS, NUM_BITS = 70, 11


def fit(miniature: Path, folder: Path, num_bits: int = NUM_BITS, num_words: int = NUM_WORDS) -> Path:
    """A checkpoint of two epochs."""
    torch.manual_seed(0)
    run = trainer(max_epochs=2)
    data = Newsgroups(miniature, num_words=num_words, val_size=20, hashes=None, eval_batch_size=50)
    run.fit(HashingVAE(num_bits=num_bits, num_words=num_words), datamodule=data)
    run.save_checkpoint(folder / "model.ckpt")
    return folder / "model.ckpt"


@pytest.fixture(scope="module")
def trained(miniature: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return fit(miniature, tmp_path_factory.mktemp("trained"))


@pytest.fixture
def ckpt(trained: Path, tmp_path: Path) -> Path:
    """A checkpoint in a folder of its own, without an index."""
    return shutil.copy(trained, tmp_path / "model.ckpt")


def rows(printed: str) -> list[tuple[int, str, str]]:
    """(distance, document, label) of each row of the printed table."""
    cells = [line.split() for line in printed.splitlines()]
    return [(int(c[0]), c[1], c[2]) for c in cells if len(c) > 3 and c[0].isdigit() and c[1].startswith("train/")]


def brute_force(ckpt: Path, split: str, document: int) -> list[tuple[int, str, str]]:
    """Every training document by (distance, id), for one document of the archive."""
    data = Newsgroups.load_from_checkpoint(ckpt, weights_only=True)
    model = HashingVAE.load_from_checkpoint(ckpt, weights_only=True)
    queries = data.split(split)
    code = model.hashes(queries.x)[queries.ids == document]
    distances = (model.hashes(data.train.x) ^ code).sum(1).tolist()
    found = zip(distances, data.train.ids.tolist(), data.train.y.tolist(), strict=True)
    return [(d, f"train/{n}", data.label_names[y]) for d, n, y in sorted(found)]


# -- the index -------------------------------------------------------------------------------------------------------


@settings(max_examples=60, deadline=None)
@given(num_bits=st.integers(1, 20), documents=st.integers(1, 30), k=st.integers(1, 40), seed=st.integers(0, 1000))
def test_index_against_brute_force(num_bits, documents, k, seed):
    generator = torch.Generator().manual_seed(seed)
    codes = torch.rand(documents, num_bits, generator=generator) < 0.5
    query = torch.rand(num_bits, generator=generator) < 0.5
    ids = (torch.randperm(documents, generator=generator) + 1).tolist()
    index = CodeIndex.build(codes, [Document(n, "", []) for n in ids], "", "")
    near = index.nearest(query, k)
    expected = sorted(zip((codes ^ query).sum(1).tolist(), ids, strict=True))
    assert [(distance, document.id) for distance, document in near.found] == expected[:k]
    assert near.tied == sum(distance == expected[:k][-1][0] for distance, _ in expected[k:])


def test_a_document_is_not_its_own_neighbour():
    codes = torch.zeros(4, 3, dtype=torch.bool)
    index = CodeIndex.build(codes, [Document(n, "", []) for n in (4, 3, 2, 1)], "", "")
    near = index.nearest_to(2, k=2)
    assert [document.id for _, document in near.found] == [1, 3]
    assert near.tied == 1
    assert CodeIndex.build(codes[:1], [Document(9, "", [])], "", "").nearest_to(9, k=2).found == []


def test_the_saved_codes_are_a_plain_faiss_index(tmp_path: Path):
    codes = torch.rand(20, 13, generator=torch.Generator().manual_seed(0)) < 0.5
    index = CodeIndex.build(codes, [Document(n + 100, "x", ["a"]) for n in range(20)], "checkpoint", "words")
    index.save(tmp_path / "m.ckpt")
    stored = faiss.read_index_binary(str(tmp_path / "m.ckpt.faiss"))
    _, ids = stored.search(np.packbits(codes.numpy(), axis=1, bitorder="little"), 1)
    assert torch.equal(codes[ids[:, 0] - 100], codes)
    assert CodeIndex.load(tmp_path / "m.ckpt").documents == index.documents


@pytest.mark.parametrize("k", [0, -3])
def test_k_counts_documents(k):
    index = CodeIndex.build(torch.ones(2, 8) > 0, [Document(1, "", []), Document(2, "", [])], "", "")
    with pytest.raises(ValueError, match="must be at least 1"):
        index.nearest(torch.ones(8) > 0, k)


def test_top_words_leave_out_what_all_documents_have():
    x = Counts.from_dense(torch.tensor([[9.0, 1.0, 0.0, 2.0], [9.0, 1.0, 3.0, 0.0], [9.0, 0.0, 0.0, 0.0]]))
    idf = inverse_document_frequency(x, 4)
    words = top_words(x, idf, ["the", "of", "sun", "moon"])
    assert words == [["moon", "of", "the"], ["sun", "of", "the"], ["the"]]


# -- the command -----------------------------------------------------------------------------------------------------


def test_a_test_document_against_brute_force(ckpt: Path, capsys: pytest.CaptureFixture[str]):
    search(ckpt, document="test/45", k=7)
    expected = brute_force(ckpt, "test", 45)
    printed = capsys.readouterr().out
    assert rows(printed) == expected[:7]
    more = sum(distance == expected[6][0] for distance, *_ in expected[7:])
    assert (f"{more} more at distance {expected[6][0]}" in printed) == (more > 0)
    assert "nearest to test/45 (" in printed


def test_a_training_document_by_the_index_alone(ckpt: Path, capsys: pytest.CaptureFixture[str], monkeypatch):
    search(ckpt, query=WORDS[0], k=1)
    capsys.readouterr()
    data = Newsgroups.load_from_checkpoint(ckpt, weights_only=True)
    in_index, held_out = int(data.train.ids[5]), int(data.val.ids[5])
    monkeypatch.setattr(Newsgroups, "setup", lambda *_: pytest.fail("the archive was read"))
    search(ckpt, document=f"train/{in_index}", k=200)
    others = [row for row in brute_force_rows(ckpt, data, in_index) if row[1] != f"train/{in_index}"]
    assert rows(capsys.readouterr().out) == others
    monkeypatch.undo()
    search(ckpt, document=f"train/{held_out}", k=4)
    assert rows(capsys.readouterr().out) == brute_force(ckpt, "val", held_out)[:4]


def brute_force_rows(ckpt: Path, data: Newsgroups, document: int) -> list[tuple[int, str, str]]:
    model = HashingVAE.load_from_checkpoint(ckpt, weights_only=True)
    codes = model.hashes(data.train.x)
    distances = (codes ^ codes[data.train.ids == document]).sum(1).tolist()
    found = zip(distances, data.train.ids.tolist(), data.train.y.tolist(), strict=True)
    return [(d, f"train/{n}", data.label_names[y]) for d, n, y in sorted(found)]


def test_a_text_needs_only_checkpoint_and_index(ckpt: Path, capsys: pytest.CaptureFixture[str], monkeypatch):
    search(ckpt, query=f"{WORDS[0]} {WORDS[1]}", k=3)
    first = capsys.readouterr()
    assert "index of 100 training documents" in first.err
    written = [path.stat().st_mtime_ns for path in paths(ckpt)]
    monkeypatch.setattr(Newsgroups, "setup", lambda *_: pytest.fail("the archive was read"))
    search(ckpt, query=f"{WORDS[0].upper()}, {WORDS[1]}! Zebra; quagga zebra", k=3)
    second = capsys.readouterr()
    assert rows(second.out) == rows(first.out)
    assert len(rows(second.out)) == 3
    assert "not in the vocabulary: zebra, quagga" in second.out
    assert "index of" not in second.err
    assert [path.stat().st_mtime_ns for path in paths(ckpt)] == written


def test_a_changed_checkpoint_gets_a_new_index(ckpt: Path, miniature: Path, tmp_path: Path, capsys):
    search(ckpt, query=WORDS[0], k=1)
    fit(miniature, tmp_path, num_bits=5)
    capsys.readouterr()
    search(ckpt, document="test/1", k=3)
    printed = capsys.readouterr()
    assert "the checkpoint has changed" in printed.err
    assert rows(printed.out) == brute_force(ckpt, "test", 1)[:3]
    assert CodeIndex.load(ckpt).num_bits == 5


def relabelled(record: dict[str, Any]) -> dict[str, Any]:
    """Every document with another label, and all else as it was."""
    return record | {"documents": [entry | {"label": "sci.lies"} for entry in record["documents"]]}


DAMAGES: dict[str, Callable[[Path, Path], object]] = {
    "codes cut off": lambda codes, _: codes.write_bytes(codes.read_bytes()[:-50]),
    "one bit of the codes": lambda codes, _: codes.write_bytes(flipped(codes.read_bytes(), 100)),
    "record cut off": lambda _, record: record.write_bytes(record.read_bytes()[:-50]),
    "other labels": lambda _, record: record.write_text(json.dumps(relabelled(json.loads(record.read_text())))),
    "other words": lambda _, record: record.write_text(
        json.dumps(json.loads(record.read_text()) | {"vocabulary_hash": vocabulary_hash(["aardvark"])})
    ),
    "a list": lambda _, record: record.write_text("[1, 2]"),
    "nested without end": lambda _, record: record.write_text("[" * 100_000),
    "of an older version": lambda _, record: record.write_text(
        json.dumps({name: part for name, part in json.loads(record.read_text()).items() if name != "record"})
    ),
}


def flipped(content: bytes, place: int) -> bytes:
    return content[:place] + bytes([content[place] ^ 4]) + content[place + 1 :]


@pytest.mark.parametrize("damage", DAMAGES.values(), ids=DAMAGES)
def test_a_damaged_index_is_built_again(ckpt: Path, damage, capsys):
    search(ckpt, query=WORDS[0], k=5)
    whole = capsys.readouterr().out
    damage(*paths(ckpt))
    search(ckpt, query=WORDS[0], k=5)
    printed = capsys.readouterr()
    assert "building the index again" in printed.err
    assert printed.out == whole
    assert CodeIndex.load(ckpt)


@pytest.mark.parametrize("content", [b"IBM2" + b"\xff" * 200, b"", b"IBM2" + bytes(500)], ids=["huge", "none", "zeros"])
def test_codes_that_no_faiss_wrote_are_not_given_to_it(content: bytes, tmp_path: Path):
    """A record can be made to fit any codes: what faiss would do with such bytes is not up to whoever made them."""
    codes = torch.rand(20, 13, generator=torch.Generator().manual_seed(0)) < 0.5
    CodeIndex.build(codes, [Document(n, "x", ["a"]) for n in range(20)], "checkpoint", "w").save(tmp_path / "m.ckpt")
    stored, described = paths(tmp_path / "m.ckpt")
    record = json.loads(described.read_text()) | {"codes": hashlib.sha256(content).hexdigest()}
    del record["record"]
    record["record"] = hashlib.sha256(json.dumps(record).encode()).hexdigest()
    stored.write_bytes(content)
    described.write_text(json.dumps(record))
    with pytest.raises(ValueError, match=re.escape(f"{stored} holds no codes of the documents of {described}")):
        CodeIndex.load(tmp_path / "m.ckpt")


def test_vocabularies_are_never_mixed(ckpt: Path, tmp_path: Path, miniature: Path):
    other = tmp_path / "other"
    shutil.copytree(miniature, other)
    vocabulary = other / "20news-vocabulary.txt"
    vocabulary.write_text(vocabulary.read_text().replace(WORDS[0], "aardvark"))
    with pytest.raises(ValueError, match=r"checkpoint's vocabulary \w{12} \(70 words\) is not this data's"):
        search(ckpt, query=WORDS[1], data=other)
    assert not any(path.exists() for path in paths(ckpt))

    content = torch.load(ckpt, weights_only=True)
    content["Newsgroups"]["words"][0] = "aardvark"
    torch.save(content, ckpt)
    with pytest.raises(ValueError, match="its words are not those of its vocabulary hash"):
        search(ckpt, query=WORDS[1])


def test_the_archive_may_have_moved(miniature: Path, tmp_path: Path, capsys):
    archive = tmp_path / "archive"
    shutil.copytree(miniature, archive)
    ckpt = fit(archive, tmp_path)
    archive.rename(tmp_path / "moved")
    with pytest.raises(ValueError, match="there is no 20news-bydate-matlab"):
        search(ckpt, query=WORDS[0])
    search(ckpt, query=WORDS[0], data=tmp_path / "moved", k=2)
    assert len(rows(capsys.readouterr().out)) == 2


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({}, "either --query"),
        ({"query": "a", "document": "test/1"}, "either --query"),
        ({"query": "zebra quagga"}, "none of the query's words is in the vocabulary of 70 words: zebra, quagga"),
        ({"query": "42 !"}, "at least one word"),
        ({"document": "45"}, "train/NUMBER or test/NUMBER"),
        ({"document": "test/62"}, "no document test/62: test has 1 to 61"),
        ({"document": "train/0"}, f"no document train/0: train has 1 to {TRAIN}"),
        ({"query": WORDS[0], "k": 0}, "at least 1; got 0"),
    ],
)
def test_a_mistake_is_one_clear_line(trained: Path, arguments, message):
    with pytest.raises(ValueError, match=message) as raised:
        search(trained, **arguments)
    assert "\n" not in str(raised.value)


def test_a_file_that_is_no_hashing_checkpoint(tmp_path: Path):
    with pytest.raises(ValueError, match="there is no checkpoint"):
        search(tmp_path / "none.ckpt", query="word")
    written(tmp_path / "model")
    torch.save(torch.zeros(1), tmp_path / "tensor")
    for name, complaint in {"model": "holds no vocabulary", "tensor": "it holds a Tensor"}.items():
        with pytest.raises(ValueError, match=f"{name} .*{complaint}"):
            search(tmp_path / name, query="word")
    words = {"words": ["word"], "vocabulary_hash": vocabulary_hash(["word"])}
    written(tmp_path / "rbm", Newsgroups=words, hyper_parameters={"_class_path": "vae_lightning.models.RBM"})
    with pytest.raises(ValueError, match="is of RBM: search needs a checkpoint of a HashingVAE"):
        search(tmp_path / "rbm", query="word")
    torch.save({"Newsgroups": Document(1, "", [])}, tmp_path / "object")
    (tmp_path / "text").write_text("hello")
    for name in ("object", "text"):
        with pytest.raises(ValueError, match="is not a whole checkpoint"):
            search(tmp_path / name, query="word")
