"""Search of 20 Newsgroups from a fit to a printed table: against brute force, over changed checkpoints and words."""

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from support.archive import TRAIN, WORDS
from support.crafted import written
from support.models import trainer

from vae_lightning.data import Newsgroups
from vae_lightning.data.texts.vocabulary import vocabulary_hash
from vae_lightning.models import HashingVAE
from vae_lightning.search import CodeIndex, search
from vae_lightning.search.beside import place_beside

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
    written = place_beside(ckpt).stat().st_mtime_ns
    monkeypatch.setattr(Newsgroups, "setup", lambda *_: pytest.fail("the archive was read"))
    search(ckpt, query=f"{WORDS[0].upper()}, {WORDS[1]}! Zebra; quagga zebra", k=3)
    second = capsys.readouterr()
    assert rows(second.out) == rows(first.out)
    assert len(rows(second.out)) == 3
    assert "not in the vocabulary: zebra, quagga" in second.out
    assert "index of" not in second.err
    assert place_beside(ckpt).stat().st_mtime_ns == written


def test_a_changed_checkpoint_gets_a_new_index(ckpt: Path, miniature: Path, tmp_path: Path, capsys):
    search(ckpt, query=WORDS[0], k=1)
    fit(miniature, tmp_path, num_bits=5)
    capsys.readouterr()
    search(ckpt, document="test/1", k=3)
    printed = capsys.readouterr()
    assert "the checkpoint has changed" in printed.err
    assert rows(printed.out) == brute_force(ckpt, "test", 1)[:3]
    assert CodeIndex.open(place_beside(ckpt)).num_bits == 5


DAMAGES: dict[str, Callable[[bytes], bytes]] = {
    "cut off": lambda content: content[:-50],
    "one bit of the codes": lambda content: flipped(content, 64),
    "one bit of the record": lambda content: flipped(content, content.rindex(b"alt.stars")),
    "another file": lambda _: b"[1, 2]",
    "empty": lambda _: b"",
}


def flipped(content: bytes, place: int) -> bytes:
    return content[:place] + bytes([content[place] ^ 4]) + content[place + 1 :]


@pytest.mark.parametrize("damage", DAMAGES.values(), ids=DAMAGES)
def test_a_damaged_index_is_built_again(ckpt: Path, damage, capsys):
    search(ckpt, query=WORDS[0], k=5)
    whole = capsys.readouterr().out
    place = place_beside(ckpt)
    place.write_bytes(damage(place.read_bytes()))
    search(ckpt, query=WORDS[0], k=5)
    printed = capsys.readouterr()
    assert "building the index again" in printed.err
    assert printed.out == whole
    assert CodeIndex.open(place)


def test_vocabularies_are_never_mixed(ckpt: Path, tmp_path: Path, miniature: Path):
    other = tmp_path / "other"
    shutil.copytree(miniature, other)
    vocabulary = other / "20news-vocabulary.txt"
    vocabulary.write_text(vocabulary.read_text().replace(WORDS[0], "aardvark"))
    with pytest.raises(ValueError, match=r"checkpoint's vocabulary \w{12} \(70 words\) is not this data's"):
        search(ckpt, query=WORDS[1], data=other)
    assert not place_beside(ckpt).exists()

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
    written(tmp_path / "odd", Newsgroups=words | {"words": ["other"]})
    with pytest.raises(ValueError, match="its words are not those of its vocabulary hash"):
        search(tmp_path / "odd", query="word")
    torch.save({"Newsgroups": Path("word")}, tmp_path / "object")
    (tmp_path / "text").write_text("hello")
    for name in ("object", "text"):
        with pytest.raises(ValueError, match="is not a whole checkpoint"):
            search(tmp_path / name, query="word")
