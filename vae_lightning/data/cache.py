"""Cache: an archive -> its parsed corpus, parsed once and then read from a file named after the archive's content."""

from __future__ import annotations

import hashlib
import os
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np

from vae_lightning.data.archive import Corpus, Documents, read_corpus
from vae_lightning.data.download import cache_folder
from vae_lightning.files import atomic_write

FORMAT = 1  # raise it when the record changes: old files are then left alone
SPLITS = ("train", "test")
FIELDS = ("offsets", "words", "counts", "labels")


def cached_corpus(archive: Path, check: Callable[[Corpus], None] = lambda corpus: None) -> Corpus:
    """The corpus of an archive, from the cache beside it or in ~/.cache/vae-lightning if there is one.

    `check` raises for a corpus that is not to be used; no cache is made of it.
    """
    name = f"20news-{_digest(archive)[:16]}-v{FORMAT}.npz"
    places = [archive.parent / name, cache_folder() / name]
    for place in places:
        if (corpus := _load(place)) is not None:
            check(corpus)
            return corpus
    corpus = read_corpus(archive)
    check(corpus)
    for place in places:
        if _save(corpus, place):
            break
    return corpus


def _digest(path: Path) -> str:
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise ValueError(f"cannot read the archive {path}: {error.strerror}") from error


def _load(path: Path) -> Corpus | None:
    """None for a file that is missing or damaged: it will be made again."""
    try:
        with np.load(path, allow_pickle=False) as file:
            train, test = (Documents(*(file[f"{split}.{field}"] for field in FIELDS)) for split in SPLITS)
            hashes = dict(zip(file["members"].tolist(), file["hashes"].tolist(), strict=True))
            return Corpus(train, test, file["label_names"].tolist(), hashes)
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile):
        return None


def _save(corpus: Corpus, path: Path) -> bool:
    """Whether it could be written; a folder marked read-only is left alone, also by root."""
    arrays = {f"{split}.{field}": getattr(getattr(corpus, split), field) for split in SPLITS for field in FIELDS}
    arrays["label_names"] = np.array(corpus.label_names)
    arrays["members"], arrays["hashes"] = np.array(list(corpus.hashes)), np.array(list(corpus.hashes.values()))
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        if not (os.access(path.parent, os.W_OK) and path.parent.stat().st_mode & 0o222):
            return False
        with atomic_write(path) as file:
            np.savez(file, **arrays)
    except OSError:
        return False
    return True
