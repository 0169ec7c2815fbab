"""Archive: a .tgz of documents as `docIdx wordIdx count` lines -> a checked Corpus of compressed rows."""

from __future__ import annotations

import gzip
import hashlib
import re
import tarfile
import zlib
from codecs import BOM_UTF8
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from vae_lightning.data.reading import LONGEST_LINE, Bounded, check_file, text_lines
from vae_lightning.data.texts.documents import Documents

FOLDER = "20news-bydate/matlab"
MEMBERS = ("train.data", "train.label", "train.map", "test.data", "test.label", "test.map")
LARGEST_MEMBER = 1 << 28  # bytes of .data; the largest real one has 17 million
LARGEST_LIST = 1 << 23  # bytes of .label and .map
LARGEST_ARCHIVE = 1 << 29  # bytes of all that is packed into it
CHUNK = 1 << 22  # bytes of text parsed at once, which bounds the memory
LINE = re.compile(rb"(\s*0*[1-9]\d{0,8}\s+0*[1-9]\d{0,8}\s+0*[1-9]\d{0,8})?\s*")


@dataclass(frozen=True, eq=False)
class Corpus:
    """Both splits of an archive, its label names in order, and the sha256 of each of its members."""

    train: Documents
    test: Documents
    label_names: list[str]
    hashes: dict[str, str]


def read_corpus(path: Path, trust: Callable[[Mapping[str, str]], None] = lambda hashes: None) -> Corpus:
    """Read, check and parse an archive; ValueError names the file and what is wrong with it.

    `trust` raises for the sha256 of members that are not to be parsed.
    """
    members = read_members(path)
    hashes = {name: hashlib.sha256(content).hexdigest() for name, content in members.items()}
    trust(hashes)
    try:
        return _parse(members, hashes)
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from error


def _parse(members: dict[str, bytes], hashes: dict[str, str]) -> Corpus:
    label_names = parse_map(members["train.map"], "train.map")
    if parse_map(members["test.map"], "test.map") != label_names:
        raise ValueError("train.map and test.map name different labels")
    train, test = (
        parse_documents(members.pop(f"{split}.data"), members[f"{split}.label"], split, len(label_names))
        for split in ("train", "test")
    )
    return Corpus(train, test, label_names, hashes)


def read_members(path: Path) -> dict[str, bytes]:
    """The six members by their exact names, in memory: nothing is unpacked to the disk, links are not followed."""
    found: dict[str, bytes] = {}
    check_file(path, LARGEST_ARCHIVE)
    try:
        with gzip.open(path) as packed, _members(stream := Bounded(packed, LARGEST_ARCHIVE, str(path))) as archive:
            for info in archive:
                name = info.name.removeprefix(f"{FOLDER}/")
                if name not in MEMBERS or info.name == name:
                    continue
                most = LARGEST_MEMBER if name.endswith(".data") else LARGEST_LIST
                if not info.isreg() or info.size > most:
                    raise ValueError(f"{path}: {info.name} is not a regular file of at most {most} bytes")
                content = archive.extractfile(info)
                assert content is not None, "a regular file has content"
                found[name] = content.read()
            while stream.read(CHUNK):
                pass  # to the end, where gzip checks its sum
    except (tarfile.TarError, EOFError, zlib.error, OSError) as error:
        raise ValueError(
            f"{path} is not a whole .tgz archive ({error}): expected the 'processed' by-date archive of 20 Newsgroups, "
            "or a folder with it"
        ) from error
    if missing := [f"{FOLDER}/{name}" for name in MEMBERS if name not in found]:
        raise ValueError(f"{path} lacks {', '.join(missing)}: it must be the 'processed' by-date archive")
    return found


def _members(stream: Bounded) -> tarfile.TarFile:
    return tarfile.open(fileobj=stream, mode="r|")  # type: ignore[call-overload]  # all it does is read


def parse_documents(data: bytes, label: bytes, split: str, num_labels: int) -> Documents:
    """Sparse rows from .data and .label; ValueError for ids out of range, duplicated pairs and empty documents."""
    labels = _parse_labels(label, f"{split}.label", num_labels)
    documents, words, counts = parse_triples(data, f"{split}.data").T
    if len(documents) and documents.max() > len(labels):
        raise ValueError(f"{split}.data has document {documents.max()}, but {split}.label only {len(labels)} labels")
    lengths = np.bincount(documents, minlength=len(labels) + 1)[1:]
    if not lengths.all():
        raise ValueError(f"document {int(lengths.argmin()) + 1} of {split}.label has no words in {split}.data")
    order = np.lexsort((words, documents))
    documents, words, counts = documents[order], words[order], counts[order]
    same = np.flatnonzero((np.diff(documents) == 0) & (np.diff(words) == 0))
    if len(same):
        raise ValueError(f"{split}.data counts word {words[same[0]]} of document {documents[same[0]]} twice")
    offsets = np.concatenate(([0], lengths.cumsum())).astype(np.int64)
    return Documents(offsets, words - np.int32(1), counts, labels)


def parse_triples(data: bytes, name: str) -> NDArray[np.int32]:
    """The (N, 3) numbers of lines of three positive ones; ValueError names the first line that is none."""
    parts = [_parse_chunk(chunk, name, start) for start, chunk in _chunks(data, name)]
    return np.concatenate(parts) if parts else np.empty((0, 3), np.int32)


def parse_map(data: bytes, name: str) -> list[str]:
    """Label names from lines `name number`, numbered 1, 2, ... in order."""
    names = []
    for number, line in enumerate(text_lines(data, name), start=1):
        fields = line.split()
        if len(fields) != 2 or fields[1] != str(number):
            raise ValueError(f"{name}, line {number}: expected 'label {number}', got {line[:60]!r}")
        names.append(fields[0])
    return names


def _parse_labels(data: bytes, name: str, num_labels: int) -> NDArray[np.int64]:
    lines = data.removeprefix(BOM_UTF8).split()
    for number, line in enumerate(lines, start=1):
        if not line.isdigit() or not 1 <= int(line) <= num_labels:
            raise ValueError(f"{name}, line {number}: expected a label from 1 to {num_labels}, got {_shown(line)}")
    return np.array(lines, dtype=np.int64) - 1


def _chunks(data: bytes, name: str) -> Iterator[tuple[int, bytes]]:
    """Pieces that end with a line, each with the offset it starts at; ValueError for a line without an end."""
    start = len(BOM_UTF8) if data.startswith(BOM_UTF8) else 0
    while start < len(data):
        newline = data.find(b"\n", start + CHUNK, start + CHUNK + LONGEST_LINE)
        end = newline + 1 if newline >= 0 else len(data)
        if end > start + CHUNK + LONGEST_LINE:
            raise ValueError(f"{name} has a line of more than {LONGEST_LINE} bytes after byte {start + CHUNK}")
        yield start, data[start:end]
        start = end


def _parse_chunk(chunk: bytes, name: str, start: int) -> NDArray[np.int32]:
    """Parse a chunk, whose ends of lines, blanks and empty lines are first made those of the strict format."""
    numbers = _numbers(chunk if chunk.endswith(b"\n") else chunk + b"\n")
    if numbers is None:
        rows = (b" ".join(line.split()) for line in chunk.splitlines())
        numbers = _numbers(b"".join(row + b"\n" for row in rows if row))
    if numbers is None:
        raise ValueError(_first_malformed(chunk, name, start))
    return numbers


def _numbers(chunk: bytes) -> NDArray[np.int32] | None:
    """The numbers of lines that have three positive ones with one blank between them; None for anything else."""
    if not chunk:
        return np.empty((0, 3), np.int32)
    text = np.frombuffer(chunk, np.uint8)
    separators = np.flatnonzero((text < ord("0")) | (text > ord("9")))
    digits = np.diff(separators, prepend=-1) - 1
    well_formed = len(separators) % 3 == 0 and digits.min() > 0 and digits.max() < 10
    if well_formed and (text[separators].reshape(-1, 3) == np.frombuffer(b"  \n", np.uint8)).all():
        numbers = np.fromstring(chunk, dtype=np.int32, sep=" ").reshape(-1, 3)
        if numbers.min() > 0:
            return numbers
    return None


def _first_malformed(chunk: bytes, name: str, start: int) -> str:
    number, line = next((n, line) for n, line in enumerate(chunk.splitlines(), 1) if not LINE.fullmatch(line))
    where = f"{name}, line {number}" if start <= len(BOM_UTF8) else f"{name}, line {number} after byte {start}"
    return f"{where}: expected three positive whole numbers 'docIdx wordIdx count', got {_shown(line)}"


def _shown(line: bytes) -> str:
    return repr(line[:60].decode(errors="replace"))
