"""Encoder: a checkpoint of a model whose codes are bits -> the codes of documents and of queries."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import numpy as np
import torch

import vae_lightning as vl
from vae_lightning.answers.hashing import Encodes, Hashing
from vae_lightning.counts import Counts
from vae_lightning.data.preparation import Preparation
from vae_lightning.data.texts.bag_of_words import WordCounter
from vae_lightning.data.texts.preparation import TextPreparation
from vae_lightning.data.texts.vocabulary import vocabulary_hash
from vae_lightning.files import find
from vae_lightning.search.hamming.ranking import Packed
from vae_lightning.search.sources import Block, blocks
from vae_lightning.search.words import NUM_TOP_WORDS, rarity, top_words
from vae_lightning.search.writing import Batch, pack
from vae_lightning.trust import check_classes, read_unbuilt

OF_TEXTS = ("Newsgroups", "Texts")
"""The classes of `data` by whose names checkpoints keep a vocabulary."""


@runtime_checkable
class Hashes(Encodes, Protocol):
    """Gives what its preparation has read a code of bits."""

    @property
    def read_by(self) -> Preparation:
        """How data become what it sees."""

    @property
    def observed_shape(self) -> Sequence[int]:
        """(*X) of an observation; () of a bag of words."""


@dataclass(frozen=True, eq=False)
class Encoder:
    """A checkpoint of a model that hashes: a `HashingVAE`, or an `RBM` with hidden bits.

    ValueError, in one line that names the file, for one that is none, or contradicts itself.
    """

    path: Path
    sha256: str
    model: Hashes = field(repr=False)
    trained_on: str | None  # one of OF_TEXTS

    @classmethod
    def read(cls, path: Path) -> Encoder:
        """Read a checkpoint, or that of a run's folder."""
        file = find(str(path), "ckpt", "best", Path("runs"))
        content = read_unbuilt(file)
        model: object = Hashing.of(content, file)
        if model is None:
            check_classes(content, file)
        trained_on = next((kind for kind in OF_TEXTS if kind in content), None)
        if trained_on is not None:
            _check_vocabulary(file, trained_on, content[trained_on])
        if model is None:
            model = _model(file, content)
        if not isinstance(model, Hashes):
            raise ValueError(
                f"{file} is of {type(model).__name__}, whose codes are no bits: search needs a HashingVAE, or an RBM "
                "with hidden bits; `vae-lightning encode` writes the codes of any model"
            )
        return cls(file, sha256_of(file), model, trained_on)

    @property
    def kind(self) -> str:
        """The name of the model's class."""
        return "HashingVAE" if isinstance(self.model, Hashing) else type(self.model).__name__

    @property
    def preparation(self) -> Preparation:
        """How data become what the model sees."""
        return self.model.read_by

    @property
    def vocabulary(self) -> Sequence[str]:
        """The words of a model of texts; none of any other."""
        return self.preparation.words if isinstance(self.preparation, TextPreparation) else ()

    @cached_property
    def num_bits(self) -> int:
        """The length of a code."""
        nothing = Counts.from_dense(torch.zeros(1, 1)) if self.model.observed_shape == () else None
        x = torch.zeros(1, *self.model.observed_shape) if nothing is None else nothing
        return self.model.hashes(x).shape[1]  # type: ignore[arg-type]  # an RBM hashes dense rows, too

    def batches(self, data: Any, names: Sequence[Any] | None = None) -> Iterator[Batch]:
        """Documents with their codes, some at a time; ValueError where the model knows no word of any."""
        found = documents = 0
        for block in blocks(self.preparation, data, names):
            documents += len(block.names)
            found += len(block.x.indices) if isinstance(block.x, Counts) else 1
            yield self.coded(block)
        if documents and not found:
            raise ValueError(
                f"none of the words of {documents:,} documents is in the model's vocabulary of {len(self.vocabulary):,}"
            )

    def coded(self, block: Block, weight: torch.Tensor | None = None) -> Batch:
        """Some documents with their codes; top words by `weight`, by default by how rare words are in the training."""
        if isinstance(block.x, Counts) and self.vocabulary:
            words = top_words(block.x, rarity(len(self.vocabulary)) if weight is None else weight).numpy()
        else:
            words = np.empty((len(block.names), 0 if not self.vocabulary else NUM_TOP_WORDS), np.int64)
        return Batch(self._packed(block.x), block.names, block.titles, block.labels, words)

    def queries(self, texts: Sequence[str]) -> tuple[Packed, list[list[str]]]:
        """The code of each text, and its words that the model does not know; ValueError for one without known words."""
        if not isinstance(self.preparation, TextPreparation):
            raise ValueError(f"{self.path} is of a model that reads no texts: query by what it was trained on")
        counter = WordCounter(self.preparation.words, self.preparation.tokenizer)
        rows, unknown = zip(*map(counter.query, texts), strict=True)
        return np.concatenate([self._packed(row) for row in rows]), list(unknown)

    def codes(self, data: Any) -> Packed:
        """The code of each row of data of any other kind."""
        codes = [self._packed(block.x) for block in blocks(self.preparation, data)]
        if not codes:
            raise ValueError("there are no rows to search for")
        return np.concatenate(codes)

    def _packed(self, x: Any) -> Packed:
        with torch.no_grad():
            return pack(self.model.hashes(x).cpu())


def sha256_of(path: Path) -> str:
    """The checkpoint of a file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _model(path: Path, content: Mapping[str, Any]) -> object:
    """The model of a checkpoint; one of texts that names no class is a HashingVAE. Both doors import Lightning."""
    if "_class_path" in content.get("hyper_parameters", {}) or content.get("specified"):
        return vl.load(path)
    if not any(kind in content for kind in OF_TEXTS):
        raise ValueError(f"{path} holds no vocabulary: search needs a checkpoint of a model of texts that hashes them")
    model: object = vl.HashingVAE.load_from_checkpoint(path, map_location="cpu").eval()
    return model


def _check_vocabulary(path: Path, name: str, record: object) -> None:
    """ValueError unless the record of the data has words and their hash."""
    found = record if isinstance(record, dict) else {}
    words, told = found.get("words"), found.get("vocabulary_hash")
    if not (isinstance(words, list) and all(isinstance(word, str) for word in words) and isinstance(told, str)):
        raise ValueError(f"{path}: its record of {name} is no vocabulary with its hash")
    if vocabulary_hash(words) != told:
        raise ValueError(f"{path}: its words are not those of its vocabulary hash {told[:12]}")
