"""Texts: documents of one's own, in every format, against scikit-learn's counts of the same; and what is none."""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow
import pyarrow.parquet
import pytest
import scipy.io
import scipy.sparse
import torch
from sklearn.datasets import dump_svmlight_file
from sklearn.feature_extraction.text import CountVectorizer

from vae_lightning.counts import Counts
from vae_lightning.data import Texts
from vae_lightning.data.texts import (
    CSV,
    BagOfWordsTriples,
    ByDocuments,
    EnglishStopWords,
    Folder,
    JSONLines,
    LatinLetters,
    Parquet,
    UnicodeWords,
)
from vae_lightning.data.texts.preparation import TextPreparation

DOCUMENTS = {
    "de/eins": "Größe, Straße und Größe: die Größe der Straße.",
    "de/zwei": "Die Straße führt zum Fluß, der Fluß zur See.",
    "ru/один": "Дом стоит у реки. Дом большой, река широкая.",
    "ru/два": "Река течёт к морю; море широкое!",
    "zh/一": "我们在河边。河边有房子。",
    "zh/二": "房子很大，河很宽。",
    "en/one": "The house is by the river, the river is wide.",
    "en/two": "A river runs to the sea; the sea is wide open.",
}
"""By name: the folder is the label."""
NAMES = sorted(DOCUMENTS)
LABELS = [name.partition("/")[0] for name in NAMES]

Writer = Callable[[Path], Path]


def expected() -> dict[str, dict[str, int]]:
    """The counts of each document by its words, of scikit-learn."""
    counter = CountVectorizer(tokenizer=UnicodeWords(), lowercase=False, token_pattern=None)
    matrix = counter.fit_transform(DOCUMENTS[name] for name in NAMES)
    words = counter.get_feature_names_out()
    return {
        name: {words[n]: int(row[n]) for n in row.nonzero()[0]}
        for name, row in zip(NAMES, matrix.toarray(), strict=True)
    }


def found(data: Texts) -> dict[str, dict[str, int]]:
    """The same, of the three splits together."""
    data.setup()
    rows = {}
    for split in (data.train, data.val, data.test):
        assert isinstance(split.x, Counts)
        for number, row in zip(split.ids.tolist(), split.x.dense(len(data.words)).tolist(), strict=True):
            rows[data.names[number]] = {data.words[n]: int(count) for n, count in enumerate(row) if count}
    return rows


def labels(data: Texts) -> dict[str, str]:
    splits = (data.train, data.val, data.test)
    pairs = [pair for split in splits for pair in zip(split.ids.tolist(), split.y.tolist(), strict=True)]
    return {data.names[number]: data.label_names[label] for number, label in pairs}


# -- one document a row or a file ------------------------------------------------------------------------------------


def folder(path: Path) -> Path:
    for name, text in DOCUMENTS.items():
        file = path / "texts" / f"{name}.txt"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text, encoding="utf-8")
    (path / "texts" / ".hidden.txt").write_text("hidden")
    return path / "texts"


def rows() -> list[dict[str, str]]:
    return [{"id": name, "text": DOCUMENTS[name], "label": label} for name, label in zip(NAMES, LABELS, strict=True)]


def csv(path: Path) -> Path:
    def quoted(text: str) -> str:
        return '"' + text.replace('"', '""') + '"'

    lines = [",".join(map(quoted, row.values())) for row in rows()]
    (path / "table.csv").write_text("\ufeff" + "\r\n".join(["id,text,label", *lines]), encoding="utf-8")
    return path / "table.csv"


def tsv(path: Path) -> Path:
    (path / "table.tsv").write_text("\n".join(["id\ttext\tlabel", *("\t".join(row.values()) for row in rows())]))
    return path / "table.tsv"


def jsonl(path: Path) -> Path:
    (path / "table.jsonl").write_text("\n\n".join(json.dumps(row, ensure_ascii=False) for row in rows()))
    return path / "table.jsonl"


def parquet(path: Path) -> Path:
    pyarrow.parquet.write_table(pyarrow.Table.from_pylist(rows()), path / "table.parquet")
    return path / "table.parquet"


@pytest.mark.parametrize("write", [folder, csv, tsv, jsonl, parquet])
def test_every_format_of_texts_is_counted_as_scikit_learn_does(write: Writer, tmp_path: Path) -> None:
    data = Texts(write(tmp_path), val_size=0.25, test_size=0.25)
    counts = {name.removesuffix(".txt"): row for name, row in found(data).items()}
    kept = set(data.words)  # those of the training documents
    assert counts == {name: {w: n for w, n in row.items() if w in kept} for name, row in expected().items()}
    assert sum(map(len, counts.values())) > 30
    assert {name.removesuffix(".txt"): label for name, label in labels(data).items()} == dict(
        zip(NAMES, LABELS, strict=True)
    )
    assert (len(data.train), len(data.val), len(data.test)) == (4, 2, 2)


# -- counts that somebody else made ----------------------------------------------------------------------------------

COUNTS = np.array([[3, 0, 1, 0], [0, 2, 0, 1], [1, 1, 1, 1], [0, 0, 0, 5], [2, 0, 0, 1]])
WORDS = ["river", "sea", "Straße", "河边"]


def vocabulary(path: Path, name: str) -> None:
    (path / name).write_text("\n".join(WORDS) + "\n", encoding="utf-8")


def npz(path: Path) -> Path:
    vocabulary(path, "counts.vocab")
    scipy.sparse.save_npz(path / "counts.npz", scipy.sparse.csr_array(COUNTS))
    return path / "counts.npz"


def mtx(path: Path) -> Path:
    vocabulary(path, "vocabulary.txt")
    scipy.io.mmwrite(path / "counts.mtx", scipy.sparse.coo_array(COUNTS))
    return path / "counts.mtx"


def uci(path: Path) -> Path:
    vocabulary(path, "vocab.some.txt")
    triples = [f"{d + 1} {w + 1} {COUNTS[d, w]}" for d, w in zip(*COUNTS.nonzero(), strict=True)]
    text = "\n".join(["5", "4", str(len(triples)), *triples]) + "\n"
    (path / "docword.some.txt.gz").write_bytes(gzip.compress(text.encode()))
    return path / "docword.some.txt.gz"


def lda_c(path: Path) -> Path:
    vocabulary(path, "vocab.txt")
    lines = [" ".join([str((row > 0).sum()), *(f"{w}:{row[w]}" for w in row.nonzero()[0])]) for row in COUNTS]
    (path / "counts.ldac").write_text("\n".join(lines))
    return path / "counts.ldac"


def svmlight(path: Path) -> Path:
    vocabulary(path, "counts.vocab.txt")
    dump_svmlight_file(COUNTS, [1, 2, 1, 2, 1], str(path / "counts.svmlight"))
    return path / "counts.svmlight"


@pytest.mark.parametrize("write", [npz, mtx, uci, lda_c, svmlight])
def test_every_format_of_counts_is_read_as_it_was_written(write: Writer, tmp_path: Path) -> None:
    data = Texts(write(tmp_path), val_size=1, test_size=1)
    expected = {str(n): {WORDS[w]: int(row[w]) for w in row.nonzero()[0]} for n, row in enumerate(COUNTS)}
    assert found(data) == expected
    assert data.label_names == (["1", "2"] if write is svmlight else [])


def test_labels_of_many_digits_stay_apart(tmp_path: Path) -> None:
    path = svmlight(tmp_path)
    dump_svmlight_file(COUNTS, [1234567, 1234568, 0.5, -1, 0], str(path))
    data = Texts(path, val_size=1, test_size=1)
    data.setup()
    assert data.label_names == ["-1", "0", "0.5", "1234567", "1234568"]


def test_a_label_that_is_no_number_is_no_label(tmp_path: Path) -> None:
    """NaN used to be a class of its own."""
    (tmp_path / "t.jsonl").write_text('{"text": "a b", "label": NaN}\n{"text": "b c", "label": 3}\n')
    data = Texts(tmp_path / "t.jsonl", val_size=0, test_size=0)
    data.setup()
    assert (data.label_names, data.train.y.tolist()) == (["3"], [-1, 0])


# -- words ---------------------------------------------------------------------------------------------------------


def test_words_of_any_script() -> None:
    words = UnicodeWords()
    assert words("Größe und Gro\u0308ße, 42 x_y") == ["größe", "und", "größe", "x", "y"]
    assert words("हिन्दी में") == ["हिन्दी", "में"]  # vowel signs are marks, no letters
    assert words("用Python写 汉") == ["用", "python", "写", "汉"]
    assert words("河边有房子") == ["河边", "边有", "有房", "房子"]
    assert UnicodeWords(ngram=3)("河边有房") == ["河边有", "边有房"]
    assert UnicodeWords(lowercase=False)("Haus und Hof") == ["Haus", "und", "Hof"]
    assert LatinLetters()("NASA's Größe") == ["nasa", "s", "gr", "e"]


def test_the_vocabulary_is_of_the_training_documents_alone(tmp_path: Path) -> None:
    data = Texts(csv(tmp_path), val_size=0, test_size=4, tokenizer=UnicodeWords())
    data.setup()
    seen = {word for number in data.train.ids.tolist() for word in UnicodeWords()(DOCUMENTS[data.names[number]])}
    assert set(data.words) == seen


def test_ranking_stop_words_and_documents_choose_the_words(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("text\na a a the\nb the\nb the\nb c the\nthe\n")
    every = {"val_size": 0, "test_size": 0}

    def words(**options: object) -> list[str]:
        data = Texts(tmp_path / "t.csv", **every, **options)
        data.setup()
        return data.words

    assert words() == ["the", "a", "b", "c"]  # ties by alphabet
    assert words(ranking=ByDocuments()) == ["the", "b", "a", "c"]
    assert words(stop_words=EnglishStopWords(), num_words=2) == ["b", "c"]
    assert words(min_documents=2) == ["the", "b"]


def test_columns_of_other_names(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("nr,body,kind\n7,one river,x\n9,two seas,\n")
    data = Texts(tmp_path / "t.csv", reader=CSV("body", "kind", "nr"), val_size=0, test_size=0)
    data.setup()
    assert data.names == ["7", "9"]
    assert data.train.y.tolist() == [0, -1]


def test_splits_are_a_function_of_the_seed(tmp_path: Path) -> None:
    path = csv(tmp_path)

    def ids_of_test(seed: int) -> list[int]:
        data = Texts(path, test_size=3, split_seed=seed)
        data.setup()
        return data.test.ids.tolist()

    assert ids_of_test(1) == ids_of_test(1)
    assert len({tuple(ids_of_test(seed)) for seed in range(6)}) > 1


# -- what is none ----------------------------------------------------------------------------------------------------


def written(name: str, content: bytes, *more: tuple[str, bytes]) -> Writer:
    def write(path: Path) -> Path:
        for other, text in more:
            (path / other).write_bytes(text)
        (path / name).write_bytes(content)
        return path / name

    return write


VOCABULARY = ("vocab.txt", b"a\nb\n")


@pytest.mark.parametrize(
    ("write", "message"),
    [
        (lambda path: path / "none.csv", "there is no .*none.csv: data.path names a folder of texts, or a file"),
        (lambda path: path, r"has no files \*\*/\*.txt: expected a folder of texts"),
        (written("t.doc", b"x"), "none of the known endings .csv, .tsv, .*or data.reader the class path"),
        (
            written("t.csv.gz", b""),
            "t.csv.gz is packed, and texts are read unpacked: give what `gunzip --keep",
        ),
        (written("t.csv", b"no,body\n1,x\n"), "row 0: expected a text in the column 'text', got the columns no, body"),
        (written("t.csv", b"text\n"), "t.csv has no documents"),
        (written("t.csv", b"text\n\xff\xfe\n"), "t.csv: expected UTF-8 text, got other bytes: save it as UTF-8"),
        (written("t.csv", b'text\n"open\n'), "t.csv is no table of text: unexpected end of data"),
        (written("t.csv", b"id,text\n1,a b\n1,b c\n"), "t.csv: two documents are named '1'"),
        (written("t.csv", b"text\n1 2 3\n"), "0 words are left of 0 in its 1 documents, and a vocabulary needs 2"),
        (written("t.jsonl", b'{"text": "a"}\n[1]\n'), r"t.jsonl, line 2: expected a JSON object, got b'\[1\]"),
        (written("t.jsonl", b'{"text": 3}\n'), "row 0: expected a text in the column 'text'"),
        (
            written("t.jsonl", b'{"text": null, "id": 1}\n'),
            "row 0: there is no text in the column 'text': leave it",
        ),
        (written("t.jsonl", b'{"text": "a b"}\n{"label": "c"}\n'), "row 1: expected a text in the column 'text', got"),
        (written("t.parquet", b"PAR1"), "t.parquet is no Parquet file"),
        (written("m.npz", b"PK"), "is a matrix, which has no words: put its vocabulary, one word a line, beside it as"),
        (written("m.npz", b"PK", VOCABULARY), "m.npz with vocab.txt: "),
        (written("m.mtx", b"text", VOCABULARY), "m.mtx with vocab.txt: "),
        (
            written("m.ldac", b"1 1:1\n", ("vocab.txt", b"a\nb\na\n")),
            "vocab.txt: the vocabulary has the word 'a' twice",
        ),
        (written("m.ldac", b"1 5:1\n", VOCABULARY), "word 5 is beyond the vocabulary of 2 words"),
        (written("m.ldac", b"2 0:1\n", VOCABULARY), "line 1: expected 'n id:count ...' with n pairs"),
        (written("docword.x.txt", b"1\n2\n1\n1 3 1\n", VOCABULARY), "every word of a triple is from 1 to 2, got 3"),
        (written("docword.x.txt", b"1\n2\n2\n1 1 1\n", VOCABULARY), "then N triples; got 3 numbers, N = 2"),
        (written("m.svmlight", b"1 1:0.5\n", VOCABULARY), "counts are whole numbers above 0, got 0.5"),
        (written("m.ldac", b"1 0:3000000000\n", VOCABULARY), "m.ldac with vocab.txt: counts above 16,777,216 are not"),
    ],
)
def test_what_is_no_corpus_is_said_in_one_line(write: Writer, message: str, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=message) as said:
        Texts(write(tmp_path), val_size=0, test_size=0).setup()
    assert "\n" not in str(said.value)


def test_counts_are_of_the_models_words() -> None:
    preparation = TextPreparation(["a", "b", "c"])
    counts = scipy.sparse.csr_array(np.array([[2, 0, 1], [0, 0, 0]]))
    for given in (counts, Counts.from_scipy(counts)):
        x = preparation.read(given).observations.x
        assert isinstance(x, Counts)
        assert x.dense(3).tolist() == counts.toarray().tolist()
    for columns in (2, 4):
        with pytest.raises(ValueError, match=f"takes counts of 3 words, a column each, got {columns} columns"):
            preparation.read(scipy.sparse.csr_array(np.ones((1, columns))))
    with pytest.raises(ValueError, match="word id 3 does not fit a vocabulary of 3 words"):
        preparation.read(Counts.from_dense(torch.ones(1, 4)))
    with pytest.raises(ValueError, match="counts are whole numbers above 0, got -2"):
        preparation.read(-counts)


def test_arguments_are_checked() -> None:
    with pytest.raises(ValueError, match="min_documents must be at least 1, got 0"):
        Texts("x", min_documents=0)
    with pytest.raises(ValueError, match="num_words must be at least 2"):
        Texts("x", num_words=1)
    with pytest.raises(ValueError, match="ngram is a number of characters"):
        UnicodeWords(ngram=0)


@pytest.mark.parametrize("reader", [Folder(), CSV(), JSONLines(), Parquet(), BagOfWordsTriples()])
def test_a_reader_is_said_in_the_configuration(reader: object) -> None:
    """A class path builds each without arguments."""
    assert type(reader).__module__.startswith("vae_lightning.data.texts")


def test_batches_train_a_model(tmp_path: Path) -> None:
    data = Texts(csv(tmp_path), val_size=2, test_size=2, batch_size=2)
    data.setup()
    x, y = next(iter(data.train_dataloader()))
    assert isinstance(x, Counts)
    assert x.dense(len(data.words)).sum(-1).tolist() == x.total.tolist()
    assert y.dtype == torch.int64
