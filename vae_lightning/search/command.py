"""`vae-lightning search`: texts or a document's name -> a table of the documents with the nearest hashes."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rich.console import Console

from vae_lightning.data.reading import text_lines
from vae_lightning.files import expanded
from vae_lightning.messages import printable
from vae_lightning.search.beside import batches, open_index, own_data
from vae_lightning.search.code_index import CodeIndex
from vae_lightning.search.encoder import Encoder
from vae_lightning.search.hits import Hits
from vae_lightning.search.progress import counted, told
from vae_lightning.search.table import as_json, console, show


def search(
    ckpt: Path | None = None,
    query: str | None = None,
    document: str | None = None,
    k: int = 10,
    data: Path | None = None,
    *,
    index: Path | None = None,
    queries: Path | None = None,
    json: bool = False,
    exact: bool = False,
) -> None:
    """Print the documents whose hashes are nearest to that of a text or of a document.

    They are those of an index that `vae-lightning index` wrote, or the training documents of a checkpoint: the first
    search with one encodes them, which takes the data it was trained on, and saves their index beside it (CKPT.index);
    later ones read the index, and a text then needs no data. It is built again when the checkpoint has changed. Nearest
    is by Hamming distance, ties in the order of the documents (of 20 Newsgroups, by their number).
    """
    if sum(asked is not None for asked in (query, queries, document)) != 1:
        raise ValueError('say what to search for: either --query "some text", --queries FILE or --document NAME')
    if k < 1:
        raise ValueError(f"k, how many documents to show, must be at least 1; got {k}")
    place, moved = (None if path is None else Path(expanded(str(path))) for path in (index, data))
    source = _OfIndex(place, ckpt) if place is not None else _OfCheckpoint(_needed(ckpt), moved)
    out = console()
    if document is not None:
        hits, heading = source.near_document(document, k)
        _print(hits, 0, {"document": document}, heading, json, out)
        return
    texts = [query] if query is not None else _lines(Path(expanded(str(queries))))
    hits = source.near_texts([str(text) for text in texts], k, exact)
    for number, text in enumerate(texts):
        _print(hits, number, {"query": text}, None if query is not None else f"{number + 1}: {text}", json, out)


class _OfIndex:
    """Documents of an index."""

    def __init__(self, path: Path, ckpt: Path | None) -> None:
        self._index = CodeIndex.open(path, ckpt)

    def near_texts(self, texts: Sequence[str], k: int, exact: bool) -> Hits:
        return self._index.nearest(list(texts), k, exact=exact)

    def near_document(self, name: str, k: int) -> tuple[Hits, str]:
        return near_own(self._index, name, k)


class _OfCheckpoint:
    """Training documents of a checkpoint."""

    def __init__(self, ckpt: Path, moved: Path | None) -> None:
        self._encoder, self._moved = Encoder.read(ckpt), moved

    def near_texts(self, texts: Sequence[str], k: int, exact: bool) -> Hits:
        codes, unknown = self._encoder.queries(texts)  # before an index is built, since it may not be of use
        index = self._open()
        return index.hits(index.finder(exact).nearest(codes, k), unknown)

    def near_document(self, name: str, k: int) -> tuple[Hits, str]:
        """By its code in the index; any other of 20 Newsgroups is read from the archive and encoded."""
        if self._encoder.trained_on != "Newsgroups":
            return near_own(self._open(), name, k)
        match = re.fullmatch(r"(train|test)/0*(\d+)", name)
        if match is None:
            raise ValueError(
                f"a document is train/NUMBER or test/NUMBER, as the archive counts them from 1; got {name!r}"
            )
        index = self._open()
        if match[1] == "train" and index.documents.row(f"train/{match[2]}") is not None:
            return near_own(index, f"train/{match[2]}", k, shown_as=name)
        batch = self._of_archive(match[1], int(match[2]))
        words = [self._encoder.vocabulary[word] for word in batch.words[0] if word >= 0]
        hits = index.hits(index.finder().nearest(batch.codes, k), [[]])
        return hits, f"nearest to {name} ({batch.labels[0]}: {', '.join(words)})"

    def _open(self) -> CodeIndex:
        return open_index(self._encoder, self._moved, counted("encoding the training documents"), told)

    def _of_archive(self, part: str, number: int) -> Any:
        data = own_data(self._encoder, self._moved)
        splits = [data.test] if part == "test" else [data.train, data.val]
        for split in splits:
            rows = (split.ids == number).nonzero()[:, 0]
            if len(rows):
                return next(batches(self._encoder, data, split.select(rows)))
        raise ValueError(f"there is no document {part}/{number}: {part} has 1 to {sum(map(len, splits))}")


def near_own(index: CodeIndex, name: str, k: int, shown_as: str | None = None) -> tuple[Hits, str]:
    """The documents nearest to one of an index, and a line that says what this is."""
    hits, documents = index.nearest_to(name, k), index.documents
    row = index.row(name)
    about = ": ".join(filter(None, [documents.label(row), ", ".join(documents.words(row))]))
    return hits, f"nearest to {shown_as or name} ({about})" if about else f"nearest to {shown_as or name}"


def _print(hits: Hits, number: int, asked: dict[str, str], heading: str | None, json: bool, out: Console) -> None:
    if json:
        print(as_json(hits, number, asked))
        return
    if heading is not None:
        out.print(printable(heading), soft_wrap=True, markup=False)
    if hits.unknown[number]:
        out.print(f"not in the vocabulary: {', '.join(hits.unknown[number])}", soft_wrap=True, markup=False)
    show(hits, number, out)


def _needed(ckpt: Path | None) -> Path:
    if ckpt is None:
        raise ValueError("say where to search: either --index FILE or --ckpt CHECKPOINT")
    return ckpt


def _lines(path: Path) -> list[str]:
    """One query a line."""
    if not path.is_file():
        raise ValueError(f"there is no file of queries {path}")
    lines = text_lines(path.read_bytes(), str(path))
    if not lines:
        raise ValueError(f"{path} has no queries, which stand one a line")
    return lines
