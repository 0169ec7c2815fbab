"""Matrices: files of word counts that somebody else made, with their vocabulary -> a Corpus."""

from __future__ import annotations

import abc
import gzip
import re
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import scipy.sparse
from numpy.typing import NDArray

from vae_lightning.construction.arguments import check_kinds
from vae_lightning.data.reading import Bounded, check_file, check_unpacked, read_bytes, said, text_lines, user_path
from vae_lightning.data.texts.archive import CHUNK
from vae_lightning.data.texts.corpus import Corpus, from_matrix
from vae_lightning.data.texts.readers import Reader
from vae_lightning.data.texts.tokenizers import Tokenizer

LARGEST_MATRIX = 1 << 34  # bytes, unpacked
LARGEST_VOCABULARY = 1 << 28  # bytes
VOCABULARIES = ("{stem}.vocab", "{stem}.vocab.txt", "vocab.{rest}", "vocabulary.txt", "vocab.txt")

_COORDINATES = re.compile(rb"%%matrixmarket matrix coordinate (integer|real) general")

Labelled = tuple[scipy.sparse.sparray, list[str | None] | None]


class MatrixReader(Reader):
    """A format of counts, documents x words; no tokeniser is asked, the words are those of a vocabulary, one a line.

    Args:
        vocabulary: its file; by default STEM.vocab, STEM.vocab.txt, vocab.REST of docword.REST, vocabulary.txt or
            vocab.txt beside the matrix.
    """

    def __init__(self, vocabulary: str | Path | None = None) -> None:
        check_kinds(type(self), locals())
        self.vocabulary = None if vocabulary is None else str(vocabulary)

    @abc.abstractmethod
    def matrix(self, path: Path, num_words: int) -> Labelled:
        """The counts, and labels where the format has some."""

    def read(self, path: Path, tokenizer: Tokenizer) -> Corpus:
        """The matrix over its vocabulary."""
        place = self._place(path)
        words = text_lines(read_bytes(place, LARGEST_VOCABULARY), str(place))
        check_file(path, LARGEST_MATRIX)
        try:
            check_unpacked(path)
            matrix, labels = self.matrix(path, len(words))
            return from_matrix(matrix, words, labels)
        except Exception as error:  # scipy, NumPy and zipfile raise all kinds, by what the bytes happen to look like
            raise ValueError(f"{path} with {place.name}: {said(error)}") from error

    def sources(self, path: Path) -> list[Path]:
        """The matrix and its vocabulary."""
        return [path, self._place(path)]

    def _place(self, path: Path) -> Path:
        if self.vocabulary is not None:
            return user_path(self.vocabulary)
        rest = path.name.removesuffix(".gz").partition(".")[2]
        names = [name.format(stem=path.stem, rest=rest) for name in VOCABULARIES]
        for name in names:
            if (path.parent / name).is_file():
                return path.parent / name
        raise ValueError(
            f"{path} is a matrix, which has no words: put its vocabulary, one word a line, beside it as {names[0]}, or "
            "name it by data.reader.vocabulary"
        )


class SparseArrays(MatrixReader):
    """A .npz of scipy.sparse.save_npz."""

    def matrix(self, path: Path, num_words: int) -> Labelled:
        """No pickled objects."""
        return scipy.sparse.load_npz(path), None


class MatrixMarket(MatrixReader):
    """A .mtx of scipy.io.mmwrite or .mtx.gz, documents x words, `matrix coordinate`, of whole or real numbers."""

    def matrix(self, path: Path, num_words: int) -> Labelled:
        """All of it; not by scipy's own reader, which ends the process on some damaged numbers."""
        head, *lines = _unpacked(path).splitlines() or [b""]
        if not _COORDINATES.fullmatch(b" ".join(head.lower().split())):
            raise ValueError(f"expected '%%MatrixMarket matrix coordinate integer general', got {head[:60]!r}")
        return _from_triples([field for line in lines if not line.startswith(b"%") for field in line.split()]), None


class BagOfWordsTriples(MatrixReader):
    """UCI's docword.NAME.txt or .txt.gz: three lines of how many, then `docID wordID count`, both from 1.

    Source: D. Newman, Bag of Words, UCI Machine Learning Repository (2008).
    """

    def matrix(self, path: Path, num_words: int) -> Labelled:
        """All of it."""
        return _from_triples(_unpacked(path).split()), None


class LdaC(MatrixReader):
    """Blei's lda-c: a document a line, `n id:count id:count ...`, ids from 0."""

    def matrix(self, path: Path, num_words: int) -> Labelled:
        """All of it."""
        lines = _unpacked(path).splitlines()
        pairs = [line.replace(b":", b" ").split() for line in lines if line.strip()]
        for number, (pair, line) in enumerate(zip(pairs, lines, strict=False), start=1):
            if len(pair) != 1 + 2 * int(pair[0]) if pair[0].isdigit() else True:
                raise ValueError(f"line {number}: expected 'n id:count ...' with n pairs, got {line[:60]!r}")
        numbers = _whole_numbers([field for pair in pairs for field in pair[1:]], "whole numbers")
        words, counts = numbers.reshape(-1, 2).T
        offsets = np.cumsum([0] + [len(pair) // 2 for pair in pairs])
        if len(words) and words.max() >= num_words:
            raise ValueError(f"word {words.max()} is beyond the vocabulary of {num_words} words")
        return scipy.sparse.csr_array((counts, words, offsets), shape=(len(pairs), num_words)), None


class SvmLight(MatrixReader):
    """A .svmlight or .libsvm file, `label id:count ...`; whether ids begin at 0 or 1 is seen.

    Args:
        vocabulary: its file, as for the others.
        zero_based: whether ids begin at 0; by default they do if one is 0.
    """

    def __init__(self, vocabulary: str | Path | None = None, zero_based: bool | None = None) -> None:
        super().__init__(vocabulary)
        self.zero_based = zero_based

    def matrix(self, path: Path, num_words: int) -> Labelled:
        """With the numbers that it has as labels."""
        begins = "auto" if self.zero_based is None else self.zero_based
        datasets: Any = import_module("sklearn.datasets")  # which takes half a second to import
        matrix, labels = datasets.load_svmlight_file(str(path), n_features=num_words, zero_based=begins)
        kinds: list[str | None] = [str(int(label) if label.is_integer() else label) for label in labels.tolist()]
        return scipy.sparse.csr_array(matrix), kinds


def _from_triples(fields: list[bytes]) -> scipy.sparse.csr_array:
    """The numbers D, W and N, then N triples of a document from 1 to D, a word from 1 to W, and a count."""
    try:
        numbers = np.array(fields, dtype=np.float64)
    except ValueError as error:
        raise ValueError(f"expected three numbers and triples, got something else: {said(error)}") from error
    num, width, entries = numbers[:3] if len(numbers) >= 3 else (0, 0, -1)
    triples = numbers[3:]
    if len(triples) != 3 * entries:
        raise ValueError(
            f"expected the numbers D, W and N, then N triples; got {len(triples)} numbers, N = {entries:g}"
        )
    documents, words, counts = triples.reshape(-1, 3).T
    for name, ids, most in (("document", documents, num), ("word", words, width)):
        if len(ids) and not (1 <= ids.min() <= ids.max() <= most < 2**31 and (ids == np.rint(ids)).all()):
            raise ValueError(f"every {name} of a triple is from 1 to {most:g}, got {ids.min():g} to {ids.max():g}")
    places = (documents.astype(np.int64) - 1, words.astype(np.int64) - 1)
    return scipy.sparse.csr_array((counts, places), shape=(int(num), int(width)))


def _unpacked(path: Path) -> bytes:
    if path.suffix != ".gz":
        return read_bytes(path, LARGEST_MATRIX)
    with gzip.open(path) as packed:
        stream = Bounded(packed, LARGEST_MATRIX, str(path))
        return b"".join(iter(lambda: stream.read(CHUNK), b""))  # gzip makes room for all that it is asked for


def _whole_numbers(fields: list[bytes], expected: str) -> NDArray[np.int64]:
    try:
        return np.array(fields, dtype=np.int64) if fields else np.empty(0, np.int64)
    except (ValueError, OverflowError) as error:
        raise ValueError(f"expected {expected}, got something else: {error}") from error
