"""`vae-lightning search`: a text or a document id -> a table of the training documents with the nearest hashes."""

from __future__ import annotations

import math
import re
from pathlib import Path

import torch
from jaxtyping import Bool
from rich import box
from rich.console import Console
from rich.progress import track
from rich.table import Table
from torch import Tensor

from vae_lightning.counts import Counts
from vae_lightning.data import Newsgroups, Observations
from vae_lightning.data.texts.bag_of_words import bag_of_words
from vae_lightning.files import expanded
from vae_lightning.models.codes import CHUNK_DOCUMENTS, encode_all
from vae_lightning.search.checkpoint import HashingCheckpoint
from vae_lightning.search.index import CodeIndex, Document, Neighbours, paths
from vae_lightning.search.words import inverse_document_frequency, top_words

PLAIN_WIDTH = 160  # columns of the table where there is no terminal to ask


def search(
    ckpt: Path, query: str | None = None, document: str | None = None, k: int = 10, data: Path | None = None
) -> None:
    """Print the training documents whose hashes are nearest to that of a text or of a document.

    The first search with a checkpoint encodes its training documents, which takes the archive, and saves their index
    beside it (CKPT.faiss, CKPT.documents.json); later ones read the index, and a text then needs no archive. The index
    is built again when the checkpoint has changed. Nearest is by Hamming distance, ties by document id.

    Args:
        ckpt: Checkpoint of a HashingVAE trained on Newsgroups, as `vae-lightning fit` writes it.
        query: Text to search by; words outside the model's vocabulary are named and left out.
        document: Document to search by, as train/123 or test/45: its part of the archive and its number there.
        k: How many documents to print.
        data: The archive, or the folder that holds it, if it has moved since training. Default: where training read it.
    """
    if (query is None) == (document is None):
        raise ValueError('say what to search for: either --query "some text" or --document train/123')
    if k < 1:
        raise ValueError(f"k, how many documents to show, must be at least 1; got {k}")
    checkpoint = HashingCheckpoint.read(Path(expanded(str(ckpt))))
    data = None if data is None else Path(expanded(str(data)))
    console = Console(highlight=False)
    if not console.is_terminal:
        console.width = PLAIN_WIDTH
    if query is not None:
        x, unknown = bag_of_words(query, checkpoint.words)
        if unknown:
            console.print(f"not in the vocabulary: {', '.join(unknown)}", soft_wrap=True)
        near = open_index(checkpoint, data).nearest(_encode(checkpoint, x), k)
    else:
        near = _near_document(checkpoint, str(document), k, data, console)
    _show(near, console)


def open_index(checkpoint: HashingCheckpoint, data: Path | None) -> CodeIndex:
    """The index beside a checkpoint, built first where there is none of this very checkpoint."""
    notice = Console(stderr=True, highlight=False, soft_wrap=True)
    if all(path.exists() for path in paths(checkpoint.path)):
        try:
            index = CodeIndex.load(checkpoint.path)
        except ValueError as error:
            notice.print(f"building the index again: {error}", markup=False)
        else:
            if (index.checkpoint, index.vocabulary_hash) == (checkpoint.sha256, checkpoint.vocabulary_hash):
                return index
            notice.print("building the index again: the checkpoint has changed since it was built")
    index = _build(checkpoint, checkpoint.data(data))
    try:
        index.save(checkpoint.path)
        notice.print(f"index of {len(index.documents):,} training documents: {paths(checkpoint.path)[0]}", markup=False)
    except OSError as error:  # a folder that only root may write to
        notice.print(f"the index is not saved and will be built again next time: {error}", markup=False)
    return index


def _build(checkpoint: HashingCheckpoint, data: Newsgroups) -> CodeIndex:
    x = _counts(data.train)
    chunks = track(
        encode_all(checkpoint.model, x),
        "encoding the training documents",
        total=math.ceil(len(x) / CHUNK_DOCUMENTS),
        console=Console(stderr=True),
    )
    documents = _describe(data, data.train)
    return CodeIndex.build(torch.cat(list(chunks)), documents, checkpoint.sha256, data.vocabulary_hash)


def _near_document(checkpoint: HashingCheckpoint, name: str, k: int, data: Path | None, console: Console) -> Neighbours:
    """The documents nearest to one of the index, by its code there; any other is read from the archive and encoded."""
    match = re.fullmatch(r"(train|test)/(\d+)", name)
    if match is None:
        raise ValueError(f"a document is train/NUMBER or test/NUMBER, as the archive counts them from 1; got {name!r}")
    part, number = match[1], int(match[2])
    index = open_index(checkpoint, data)
    if part == "train" and number in index.documents:
        shown, near = index.documents[number], index.nearest_to(number, k)
    else:
        archive = checkpoint.data(data)
        observation = _find(archive, part, number)
        (shown,) = _describe(archive, observation)
        near = index.nearest(_encode(checkpoint, _counts(observation)), k)
    console.print(f"nearest to {name} ({shown.label}: {', '.join(shown.words)})", soft_wrap=True, markup=False)
    return near


def _find(data: Newsgroups, part: str, number: int) -> Observations:
    splits = [data.test] if part == "test" else [data.train, data.val]
    for split in splits:
        rows = (split.ids == number).nonzero()[:, 0]
        if len(rows):
            return split.select(rows)
    raise ValueError(f"there is no document {part}/{number}: {part} has 1 to {sum(map(len, splits))}")


def _encode(checkpoint: HashingCheckpoint, x: Counts) -> Bool[Tensor, " m"]:
    return checkpoint.model.hashes(x)[0]


def _describe(data: Newsgroups, documents: Observations) -> list[Document]:
    idf = inverse_document_frequency(_counts(data.train), len(data.words))
    words = top_words(_counts(documents), idf, data.words)
    labels = [data.label_names[label] for label in documents.y.tolist()]
    return [Document(*entry) for entry in zip(documents.ids.tolist(), labels, words, strict=True)]


def _counts(documents: Observations) -> Counts:
    assert isinstance(documents.x, Counts), "documents are sparse"
    return documents.x


def _show(near: Neighbours, console: Console) -> None:
    """A table, without lines where the output is not a terminal."""
    terminal = console.is_terminal
    table = Table(box=box.ROUNDED if terminal else None, pad_edge=terminal)
    table.add_column("distance", justify="right", min_width=len("distance"))
    table.add_column("document", no_wrap=True)
    table.add_column("label")
    table.add_column("top words")
    for distance, document in near.found:
        table.add_row(str(distance), f"train/{document.id}", document.label, " ".join(document.words))
    console.print(table)
    if near.tied:
        console.print(f"{near.tied:,} more at distance {near.found[-1][0]}")
