"""Beside: a checkpoint of a model of texts -> the index of its own training documents, in the file CKPT.index."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from vae_lightning import data as modules
from vae_lightning.answers.hashing import CHUNK_DOCUMENTS
from vae_lightning.data.loaders import Observations
from vae_lightning.data.reading import user_path
from vae_lightning.data.texts.bag_of_words import counts
from vae_lightning.data.texts.formats import reader_of
from vae_lightning.data.texts.readers import TextReader
from vae_lightning.files import atomic_write
from vae_lightning.search.building import build
from vae_lightning.search.code_index import CodeIndex, Watch
from vae_lightning.search.encoder import Encoder
from vae_lightning.search.maker import Maker
from vae_lightning.search.sources import Block
from vae_lightning.search.storage.container import Container
from vae_lightning.search.words import inverse_document_frequency
from vae_lightning.search.writing import Batch, first_line

if TYPE_CHECKING:
    from vae_lightning.data.texts.base import BagsOfWords

Tell = Callable[[str], object]


def place_beside(ckpt: Path) -> Path:
    """Where the index of a checkpoint's own documents is."""
    return Path(f"{ckpt}.index")


def own_data(encoder: Encoder, path: Path | None) -> BagsOfWords:
    """The data that a model was trained on, read from `path` or from where they were; ValueError for other words."""
    if encoder.trained_on is None:
        raise ValueError(
            f"{encoder.path} does not say which texts it was trained on: index some by `vae-lightning index --ckpt "
            f"{encoder.path} --data PATH`, and search that by --index"
        )
    moved = {} if path is None else {"path": str(path)}
    kinds: dict[str, type[BagsOfWords]] = {"Newsgroups": modules.Newsgroups, "Texts": modules.Texts}
    data: BagsOfWords = kinds[encoder.trained_on].load_from_checkpoint(encoder.path, map_location="cpu", **moved)
    data.setup()
    return data


def open_index(encoder: Encoder, path: Path | None, watch: Watch, tell: Tell) -> CodeIndex:
    """The index beside a checkpoint; where that is missing or of another checkpoint, build it, and `tell` so."""
    place = place_beside(encoder.path)
    if place.exists():
        try:
            container = Container.open(place)
            index = CodeIndex(container, place, encoder=encoder)
            if index.maker is not None and index.maker.checkpoint == encoder.sha256:
                container.check()
                return index
            tell("building the index again: the checkpoint has changed since it was built")
        except (ValueError, OSError) as error:
            tell(f"building the index again: {error}")
    return build_beside(encoder, path, watch, tell)


def build_beside(encoder: Encoder, path: Path | None, watch: Watch, tell: Tell) -> CodeIndex:
    """The index of the training documents, put beside the checkpoint where that folder can be written to."""
    place, data = place_beside(encoder.path), own_data(encoder, path)
    new = watch(batches(encoder, data, data.train))
    container = build(new, encoder.num_bits, encoder.vocabulary, None, Maker.of(encoder, place))
    try:
        with atomic_write(place) as file:
            container.write(file)
        tell(f"index of {len(data.train):,} training documents: {place}")
    except OSError as error:  # a folder that only root may write to
        tell(f"the index is not saved and will be built again next time: {error}")
    return CodeIndex(container, place, encoder=encoder)


def batches(encoder: Encoder, data: BagsOfWords, documents: Observations) -> Iterator[Batch]:
    """Documents of a data module with their codes; top words by their frequency in the training documents."""
    weight = inverse_document_frequency(counts(data.train), len(data.words))
    shown = _shown(data)
    for rows in torch.arange(len(documents)).split(CHUNK_DOCUMENTS):
        part = documents.select(rows)
        names, titles = zip(*map(shown, part.ids.tolist()), strict=True)
        labels = [data.label_names[label] if label >= 0 else None for label in part.y.tolist()]
        yield encoder.coded(Block(part.x, names, titles, labels), weight)


def _shown(data: BagsOfWords) -> Any:
    """A document's id -> its name and its title."""
    if isinstance(data, modules.Newsgroups):
        return lambda number: (f"train/{number}", "")
    assert isinstance(data, modules.Texts), "there are no others"
    path = user_path(data.path)
    reader = data.reader or reader_of(path)
    titles = [first_line(text.text) for text in reader.texts(path)] if isinstance(reader, TextReader) else None
    return lambda number: (data.names[number], titles[number] if titles else "")
