"""A miniature of the 20 Newsgroups archive: same format, four groups of topics, the same bytes every time."""

from __future__ import annotations

import gzip
import io
import itertools
import tarfile
from collections.abc import Mapping
from pathlib import Path

import numpy as np

ARCHIVE, VOCABULARY = "20news-bydate-matlab.tgz", "20news-vocabulary.txt"
GROUPS = ("alt.stars", "comp.graphics", "rec.bikes", "sci.med")
NUM_COMMON, NUM_TOPICAL = 20, 15  # words that all groups use, and words of each group's own
WORDS = tuple(map("".join, itertools.islice(itertools.product("bdfgk", "aeiou", "lmnr", "aeiou"), 80)))
TRAIN, TEST = 120, 61


def write_miniature(folder: Path) -> Path:
    """Write archive and vocabulary into a folder, which is returned."""
    rng = np.random.default_rng(0)
    members = {}
    for split, size in {"train": TRAIN, "test": TEST}.items():
        labels = np.arange(size) % len(GROUPS)
        documents = [document(rng, doc, label) for doc, label in enumerate(labels, 1)]
        members[f"{split}.data"] = lines(*itertools.chain.from_iterable(documents))
        members[f"{split}.label"] = lines(*([label + 1] for label in labels))
        members[f"{split}.map"] = lines(*([group, n] for n, group in enumerate(GROUPS, 1)))
    write_archive(folder / ARCHIVE, members)
    (folder / VOCABULARY).write_text("".join(f"{word}\n" for word in WORDS))
    return folder


def document(rng: np.random.Generator, doc: int, label: int) -> list[list[int]]:
    """`docIdx wordIdx count` rows of a document: 70 % of its words are its group's own."""
    common, own = 1 / np.arange(1, NUM_COMMON + 1), 1 / np.arange(1, NUM_TOPICAL + 1) ** 0.5
    probabilities = np.zeros(len(WORDS))
    probabilities[:NUM_COMMON] = 0.3 * common / common.sum()
    probabilities[NUM_COMMON + label * NUM_TOPICAL :][:NUM_TOPICAL] = 0.7 * own / own.sum()
    counts = rng.multinomial(rng.integers(10, 60), probabilities)
    return [[doc, word + 1, counts[word]] for word in counts.nonzero()[0]]


def lines(*rows: list[object]) -> bytes:
    return "".join(" ".join(map(str, row)) + "\n" for row in rows).encode()


def write_archive(path: Path, members: Mapping[str, bytes]) -> None:
    """A .tgz of these members, without a time stamp."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        for name, content in members.items():
            info = tarfile.TarInfo(f"20news-bydate/matlab/{name}")
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
    path.write_bytes(gzip.compress(buffer.getvalue(), mtime=0))
