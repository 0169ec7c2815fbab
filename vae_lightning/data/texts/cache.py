"""Cache: an archive -> its parsed corpus, parsed once and then read from a file named after the archive's content."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from vae_lightning.data.download import cache_folder
from vae_lightning.data.reading import check_file
from vae_lightning.data.texts.archive import LARGEST_ARCHIVE, Corpus, Documents, read_corpus
from vae_lightning.files import atomic_write
from vae_lightning.trust import keep_arrays, kept_arrays

FORMAT = 2  # raise it when the record changes: old files are then left alone
SPLITS = ("train", "test")
FIELDS = ("offsets", "words", "counts", "labels")
TEXTS = ("label_names", "members", "hashes")
NAMES = {*TEXTS, *(f"{split}.{field}" for split in SPLITS for field in FIELDS)}


def cached_corpus(
    archive: Path,
    trust: Callable[[Mapping[str, str]], None] = lambda hashes: None,
    check: Callable[[Corpus], Any] = lambda corpus: None,
) -> Corpus:
    """The corpus of an archive, from the user's cache folder if it is there.

    `trust` raises for the sha256 of members that are not to be used, before they are parsed, `check` for a corpus that
    is not: no cache is made of it.
    """
    place = cache_folder() / f"20news-{_digest(archive)[:16]}-v{FORMAT}.npz"
    if (cached := _load(place)) is not None:
        trust(cached.hashes)
        check(cached)
        return cached
    corpus = read_corpus(archive, trust)
    check(corpus)
    _save(corpus, place)
    return corpus


def _digest(path: Path) -> str:
    check_file(path, LARGEST_ARCHIVE)
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise ValueError(f"cannot read the archive {path}: {error.strerror}") from error


def _load(path: Path) -> Corpus | None:
    """None for a file that is missing or damaged: it will be made again."""
    arrays = kept_arrays(path) or {}
    if set(arrays) != NAMES or any(array.ndim != 1 for array in arrays.values()):
        return None
    if any(arrays[name].dtype.kind != ("U" if name in TEXTS else "i") for name in NAMES):
        return None
    train, test = (Documents(*(arrays[f"{split}.{field}"] for field in FIELDS)) for split in SPLITS)
    label_names, members, hashes = (arrays[name].tolist() for name in TEXTS)
    whole = len(members) == len(hashes) and all(_whole(part, len(label_names)) for part in (train, test))
    return Corpus(train, test, label_names, dict(zip(members, hashes, strict=True))) if whole else None


def _whole(part: Documents, num_labels: int) -> bool:
    """Whether the rows are those of a matrix of counts, each with one of the labels."""
    ends, labels = part.offsets, part.labels
    rows = len(ends) == len(labels) + 1 and ends[0] == 0 and ends[-1] == len(part.words) == len(part.counts)
    ranges = (np.diff(ends) >= 0, part.words >= 0, part.counts > 0, labels >= 0, labels < num_labels)
    return bool(rows) and all(bool(held.all()) for held in ranges)


def _save(corpus: Corpus, path: Path) -> None:
    """Write the cache; where it cannot be written, the archive is parsed again next time."""
    parts = zip(SPLITS, (corpus.train, corpus.test), strict=True)
    arrays = {f"{split}.{field}": array for split, part in parts for field, array in vars(part).items()}
    arrays["label_names"] = np.array(corpus.label_names)
    arrays["members"], arrays["hashes"] = np.array(list(corpus.hashes)), np.array(list(corpus.hashes.values()))
    try:
        with atomic_write(path) as file:
            keep_arrays(file, arrays)
    except OSError:
        return
