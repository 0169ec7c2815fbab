"""Counting: texts and a tokeniser -> how often each document has which word, in bounded memory."""

from __future__ import annotations

from array import array
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import chain, count

import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

from vae_lightning.data.growing import Growing
from vae_lightning.data.texts.documents import Documents
from vae_lightning.data.texts.tokenizers import Tokenizer

Numbers = NDArray[np.int32]
Rows = tuple[NDArray[np.int64], Numbers, Numbers]


@dataclass(frozen=True, eq=False)
class Counted:
    """Some documents: how long they are, their words, how many different ones each has, then which and how often."""

    characters: int
    words: list[str]
    lengths: Numbers
    numbers: Numbers
    counts: Numbers


@dataclass(frozen=True)
class Counting:
    """Counts the words of some texts; the same whichever process it happens in."""

    tokenizer: Tokenizer

    def __call__(self, texts: Sequence[str]) -> Counted:
        """All words in alphabetical order, and those of each document."""
        found = self.tokenizer.index(texts)
        order = sorted(range(len(found.words)), key=found.words.__getitem__)
        places = np.empty(len(order), np.int64)
        places[order] = np.arange(len(order))
        rows = np.repeat(np.arange(len(texts)) * len(order), found.lengths)
        entries, counts = np.unique(rows + places[found.numbers], return_counts=True)
        rows, numbers = np.divmod(entries, max(1, len(order)))
        lengths = np.bincount(rows, minlength=len(texts))
        columns = (column.astype(np.int32) for column in (lengths, numbers, counts))
        return Counted(sum(map(len, texts)), [found.words[n] for n in order], *columns)


class Merging:
    """Puts counted documents together: their numbers become those of all words, in alphabetical order at the end."""

    def __init__(self) -> None:
        self.ids: defaultdict[str, int] = defaultdict(count().__next__)
        self.lengths, self.words, self.counts = array("i"), Growing(np.int32), Growing(np.int32)

    def add(self, part: Counted) -> None:
        """Take the next documents."""
        places = np.fromiter(map(self.ids.__getitem__, part.words), np.int32, len(part.words))
        self.lengths.frombytes(part.lengths.tobytes())
        self.words.extend(places[part.numbers])
        self.counts.extend(part.counts)

    def documents(self) -> tuple[list[str], Rows]:
        """All words in alphabetical order; offsets, words and counts of all documents.

        The words of a document stay in their order, which is alphabetical in each part already.
        """
        words = sorted(self.ids)
        places = np.empty(len(words), np.int32)
        places[[self.ids[word] for word in words]] = np.arange(len(words), dtype=np.int32)
        offsets = np.concatenate(([0], np.frombuffer(self.lengths, np.int32).cumsum(dtype=np.int64)))
        numbers, counts = self.words.array(), self.counts.array()
        # a piece of all documents is a part of their arrays, in which it is numbered anew
        for piece in Documents(offsets, numbers, counts, np.zeros(len(offsets) - 1, np.int64)).pieces():
            piece.words[:] = places[piece.words]
        return words, (offsets, numbers, counts)


def watched(parts: Iterator[Counted], size: int | None) -> Iterator[Counted]:
    """The same, with a progress bar on a terminal if there is more than one part; `size` is that of all texts."""
    first = next(parts, None)  # the processes are made here, before the bar has a thread
    if first is None:
        return
    said = (
        "counting words",
        BarColumn(),
        TextColumn("{task.fields[seen]:,} documents"),
        TimeRemainingColumn(),
    )
    console = Console(stderr=True)
    with Progress(*said, console=console, transient=True, disable=not console.is_terminal) as progress:
        task = progress.add_task("", total=size, seen=0)
        seen = 0
        for part in chain([first], parts):
            seen += len(part.lengths)
            progress.update(task, advance=part.characters, seen=seen)
            yield part
