"""Sources: documents and the preparation of a model -> blocks of them as it sees them, with their names."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path
from typing import Any

from torch import Tensor

from vae_lightning.answers.hashing import CHUNK_DOCUMENTS
from vae_lightning.counts import Counts
from vae_lightning.data.preparation import Preparation
from vae_lightning.data.reading import user_path
from vae_lightning.data.texts.bag_of_words import WordCounter
from vae_lightning.data.texts.corpus import Text
from vae_lightning.data.texts.formats import reader_of
from vae_lightning.data.texts.preparation import TextPreparation
from vae_lightning.data.texts.readers import TextReader
from vae_lightning.search.writing import first_line


@dataclass(frozen=True, eq=False)
class Block:
    """Documents as a model sees them, and what is shown of them."""

    x: Tensor | Counts
    names: Sequence[str]
    titles: Sequence[str]
    labels: Sequence[str | None]


def blocks(preparation: Preparation, data: Any, names: Sequence[Any] | None = None) -> Iterator[Block]:
    """The documents of a `Path`, texts, or whatever else the preparation reads, some at a time.

    Files of texts are read while they are asked for. `names` take the place of those that the data have. ValueError for
    data that the model is not of, and for more names than documents, or fewer.
    """
    found = _blocks(preparation, data)
    return found if names is None else _named(found, [names] if isinstance(names, str) else names)


def _named(found: Iterator[Block], names: Sequence[Any]) -> Iterator[Block]:
    """The same documents by other names."""
    documents = 0
    for block in found:
        begin, documents = documents, documents + len(block.names)
        if documents <= len(names):
            yield replace(block, names=[str(name) for name in names[begin:documents]])
    if documents != len(names):
        raise ValueError(f"{documents:,} documents have {len(names):,} names: give each one of its own")


def _blocks(preparation: Preparation, data: Any) -> Iterator[Block]:
    if isinstance(preparation, TextPreparation) and (texts := _texts(preparation, data)) is not None:
        counter = WordCounter(preparation.words, preparation.tokenizer)
        remaining = iter(texts)
        while chunk := list(islice(remaining, CHUNK_DOCUMENTS)):
            shown = [text.name for text in chunk], [first_line(text.text) for text in chunk]
            yield Block(counter.counts([text.text for text in chunk]), *shown, [text.label for text in chunk])
        return
    prepared = preparation.read(data)
    for block in prepared.blocks(CHUNK_DOCUMENTS):
        yield Block(block.x, block.names, [""] * len(block.names), [None] * len(block.names))


def _texts(preparation: TextPreparation, data: Any) -> Iterable[Text] | None:
    """Texts one by one; None for data that are counts already."""
    if isinstance(data, Path):
        reader = preparation.reader or reader_of(path := user_path(data))
        return reader.texts(path) if isinstance(reader, TextReader) else None
    if isinstance(data, str):
        data = [data]
    if isinstance(data, Sequence) and all(isinstance(text, str) for text in data):
        return (Text(str(number), text) for number, text in enumerate(data))
    return None
