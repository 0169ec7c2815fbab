"""Newsgroups: the by-date archive of 20 Newsgroups -> sparse batches (Counts, labels) over its most frequent words."""

from __future__ import annotations

from collections.abc import Mapping
from hashlib import sha256
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from vae_lightning.construction.arguments import check_kinds
from vae_lightning.construction.hyperparameters import only_plain
from vae_lightning.data.download import RemoteFile, by_hand, data_folder, fetch
from vae_lightning.data.loaders import Observations
from vae_lightning.data.protocols import SplitName
from vae_lightning.data.reading import check_file, read_bytes, text_lines, user_path
from vae_lightning.data.texts.archive import LARGEST_ARCHIVE, Corpus
from vae_lightning.data.texts.base import BagsOfWords
from vae_lightning.data.texts.cache import cached_corpus
from vae_lightning.data.texts.documents import Documents
from vae_lightning.data.texts.tokenizers import LatinLetters
from vae_lightning.data.texts.vocabulary import ByCount, Ranking, StopWords, choose_words, keep_words
from vae_lightning.randomness import derive_seed

SITE = "http://qwone.com/~jason/20Newsgroups"
ARCHIVE = RemoteFile("20news-bydate-matlab.tgz", f"{SITE}/20news-bydate-matlab.tgz")
VOCABULARY = RemoteFile("20news-vocabulary.txt", f"{SITE}/vocabulary.txt")
LARGEST_VOCABULARY = 1 << 26  # bytes; the real one has half a million

# sha256 of what the archive holds (its wrapper differs from mirror to mirror) and of the vocabulary
OFFICIAL = {
    "train.data": "dc3bf23fa28511494ee406bd3baa6565ad156c0d48e56bc9aea247c4dd0b81be",
    "train.label": "90e46f67c51005c7bb707a61cd4a49bd996bc98c5c2acaaa36fbd22dc179101f",
    "train.map": "5a9320e52d18d67df8997fea5fd1f8ee8c904281edb514ccacaae059a902f9a3",
    "test.data": "2e739450e07c6201ae4eff90bb26cd69d26c45243bd923a29fc2caaae3a4c34a",
    "test.label": "5eb0491245caaffb86980dcd7b707e65815ae0a600b214ac99e62fa5a713e6e1",
    "test.map": "5a9320e52d18d67df8997fea5fd1f8ee8c904281edb514ccacaae059a902f9a3",
    "20news-vocabulary.txt": "3c0f0d64a814ba8836334a0f23925cef751fb3636baea55772f1f8ede4b791bc",
}


class Newsgroups(BagsOfWords):
    """20 Newsgroups, "processed" by-date version: 11,269 documents for training and validation and 7,505 for the test.

    The archive is read from `path` (a folder, or the .tgz with the vocabulary beside it), else from the folder
    $VAE_LIGHTNING_DATA or ~/.cache/vae-lightning, else downloaded there from its author's site. Its members must have
    the sha256 of `hashes`; None takes any archive of the format. The vocabulary is the `num_words` best words of all
    training documents by `ranking`, best first, without `stop_words`. `val_size` of the training documents (a share, or
    how many) are set aside, chosen by `split_seed`. A document's id is its docIdx, from 1, in its part of the archive;
    one that loses all its words to the cut stays, empty. Raises ValueError for whatever is missing or malformed.
    Source: K. Lang, NewsWeeder: Learning to filter netnews (1995); archive by J. Rennie.
    """

    def __init__(
        self,
        path: str | Path | None = None,
        *,
        num_words: int = 10_000,
        ranking: Ranking | None = None,
        stop_words: StopWords | None = None,
        val_size: int | float = 0.05,
        split_seed: int = 0,
        batch_size: int = 128,
        eval_batch_size: int = 512,
        hashes: Mapping[str, str] | None = OFFICIAL,
        download: bool = True,
        predict_split: SplitName = "test",
    ) -> None:
        check_kinds(Newsgroups, locals())
        super().__init__(batch_size, eval_batch_size, predict_split)
        path = None if path is None else str(path)
        with only_plain(self):
            self.save_hyperparameters(logger=False)
        self.path, self.download, self.hashes = path, download, hashes
        self.tokenizer = LatinLetters()
        self.num_words, self.ranking, self.stop_words = num_words, ranking or ByCount(), stop_words
        self.val_size, self.split_seed = val_size, split_seed

    def prepare_data(self) -> None:
        """Download what is missing and parse the archive into the cache, on one process."""
        self._corpus()

    def load(self) -> tuple[Observations, Observations, Observations]:
        """The three splits over the chosen words, from the cache if there is one."""
        corpus = self._corpus()
        vocabulary = self._vocabulary(corpus)
        chosen = choose_words(corpus.train, vocabulary, self.num_words, self.ranking, self.stop_words)
        self.words, self.label_names = [vocabulary[n] for n in chosen], corpus.label_names
        rest, test = (_observations(part, chosen, len(vocabulary)) for part in (corpus.train, corpus.test))
        train, val = (rest.select(rows) for rows in split_rows(len(rest), self.val_size, self.split_seed))
        occurrences = int(corpus.train.counts.sum())
        self.report("20 Newsgroups", len(vocabulary), occurrences, {"train": train, "val": val, "test": test})
        return train, val, test

    def _corpus(self) -> Corpus:
        return cached_corpus(self._find(ARCHIVE), self._trust, self._vocabulary)

    def _trust(self, hashes: Mapping[str, str]) -> None:
        for member, found in hashes.items():
            self._check_hash(ARCHIVE, member, found)

    def _vocabulary(self, corpus: Corpus) -> list[str]:
        content = read_bytes(self._find(VOCABULARY), LARGEST_VOCABULARY)
        self._check_hash(VOCABULARY, VOCABULARY.name, sha256(content).hexdigest())
        words = text_lines(content, VOCABULARY.name)
        for split, documents in {"train": corpus.train, "test": corpus.test}.items():
            if len(documents.words) and (largest := int(documents.words.max()) + 1) > len(words):
                raise ValueError(f"{split}.data has word {largest}, but {VOCABULARY.name} only {len(words)} words")
        return words

    def _find(self, file: RemoteFile) -> Path:
        given = user_path(self.path) if self.path else data_folder()
        if given.exists() and not given.is_dir():
            check_file(given, LARGEST_ARCHIVE)
            if file is ARCHIVE:
                return given
        folder = given.parent if given.is_file() else given
        found = folder / file.name
        if found.is_file():
            return found
        if self.path or not self.download:
            raise ValueError(f"there is no {file.name} in {folder}: {by_hand(file, folder)}")
        return fetch(file, folder)

    def _check_hash(self, file: RemoteFile, member: str, found: str) -> None:
        if self.hashes is None or found == (expected := self.hashes.get(member)):
            return
        path = self._find(file)
        raise ValueError(
            f"{path} is not the official file: {member} has sha256 {found[:12]}..., expected {str(expected)[:12]}...; "
            f"{by_hand(file, path.parent)}, or give hashes=None to read one of your own"
        )


def split_rows(num: int, val_size: int | float, seed: int) -> tuple[Tensor, Tensor]:
    """Rows for training and for validation, each in order; `val_size` is a share below 1 or a whole number."""
    num_val = round(num * val_size) if val_size < 1 else val_size
    if not 0 <= num_val < num or num_val != int(num_val):
        raise ValueError(f"val_size must be a share in [0, 1) or a whole number below {num}, got {val_size}")
    order = torch.randperm(num, generator=torch.Generator().manual_seed(derive_seed(seed, "validation split")))
    return order[int(num_val) :].sort().values, order[: int(num_val)].sort().values


def _observations(documents: Documents, chosen: NDArray[np.int64], num_words: int) -> Observations:
    labels = torch.from_numpy(documents.labels.copy())
    return Observations(keep_words(documents, chosen, num_words), labels, torch.arange(1, len(labels) + 1))
