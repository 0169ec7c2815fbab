"""Cache: an archive, or a path of texts -> its corpus, parsed once and then mapped from the user's cache folder."""

from __future__ import annotations

import hashlib
import json
import os
import time
import unicodedata
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from vae_lightning.construction.specification import Unspecified, specification
from vae_lightning.data.download import cache_folder
from vae_lightning.data.reading import check_file
from vae_lightning.data.texts import archive
from vae_lightning.data.texts.archive import LARGEST_ARCHIVE, read_corpus
from vae_lightning.data.texts.corpus import Corpus
from vae_lightning.data.texts.documents import Record
from vae_lightning.data.texts.readers import Reader
from vae_lightning.data.texts.tokenizers import Tokenizer
from vae_lightning.files import locked

FORMAT = 3  # raise it when the record changes: old files are then left alone
SETTLED = 2.0  # seconds after which a file that changes again has another time, on any file system
OURS = ("vae_lightning",)


def cached_corpus(
    path: Path,
    trust: Callable[[Mapping[str, str]], None] = lambda hashes: None,
    check: Callable[[archive.Corpus], Any] = lambda corpus: None,
) -> archive.Corpus:
    """The corpus of an archive, from the user's cache folder if it is there.

    `trust` raises for the sha256 of members that are not to be used, before they are parsed, `check` for a corpus that
    is not: no cache is made of it.
    """
    place = cache_folder() / f"20news-{_digest(path)[:16]}-v{FORMAT}.npz"
    if (cached := _load_archive(place)) is not None:
        trust(cached.hashes)
        check(cached)
        return cached
    corpus = read_corpus(path, trust)
    check(corpus)
    hashes = {"members": list(corpus.hashes), "hashes": list(corpus.hashes.values())}
    parts = {"train": corpus.train, "test": corpus.test}
    Record(parts, {"label_names": corpus.label_names} | hashes).save(place)
    return corpus


def _load_archive(place: Path) -> archive.Corpus | None:
    found = Record.load(place, ("train", "test"), ("label_names", "members", "hashes"))
    if found is None or any(part.labels.min(initial=0) < 0 for part in found.documents.values()):
        return None
    hashes = dict(zip(found.texts["members"], found.texts["hashes"], strict=False))
    return archive.Corpus(found.documents["train"], found.documents["test"], found.texts["label_names"], hashes)


def _digest(path: Path) -> str:
    check_file(path, LARGEST_ARCHIVE)
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise ValueError(f"cannot read the archive {path}: {error.strerror}") from error


def cached_texts(path: Path, reader: Reader, tokenizer: Tokenizer) -> Corpus:
    """What a reader makes of a path, from the user's cache folder if it is there and no file has changed since.

    There is one file for each path, reader and tokenizer. Only one process parses, and the others wait for it. Nothing
    is kept of readers and tokenizers that may have changed (classes of somebody's own without a `version`), nor of
    files that were written in the last two seconds, whose next change might leave their time as it is.
    """
    made = _made_by(reader, tokenizer)
    if made is None:
        return reader.read(path, tokenizer)
    said = json.dumps([str(path.absolute()), made, unicodedata.unidata_version, FORMAT])
    place = cache_folder() / f"texts-{hashlib.sha256(said.encode()).hexdigest()[:16]}.npz"
    if (cached := _load_texts(place, reader, path)) is not None:
        return cached
    with locked(place):
        if (cached := _load_texts(place, reader, path)) is not None:
            return cached
        before = Stamp.of(reader, path)
        corpus = reader.read(path, tokenizer)
        if before is not None and before == Stamp.of(reader, path) and time.time() - before.newest > SETTLED:
            texts = {name: vars(corpus)[name] for name in ("words", "names", "label_names")}
            Record({"all": corpus.documents}, texts | {"stamp": [before.digest]}).save(place)
    return corpus


@dataclass(frozen=True)
class Stamp:
    """What changes when a file does, or when another one is read, and when the last change was."""

    digest: str
    newest: float

    @classmethod
    def of(cls, reader: Reader, path: Path) -> Stamp | None:
        """By path, size, times and number of each file; None where they cannot be had."""
        digest, newest = hashlib.sha256(), 0.0
        try:
            for source in reader.sources(path):
                info = source.stat()
                said = f"{info.st_size} {info.st_mtime_ns} {info.st_ctime_ns} {info.st_ino}"
                digest.update(os.fsencode(source) + b"\0" + said.encode() + b"\0")
                newest = max(newest, info.st_mtime, info.st_ctime)
        except (OSError, ValueError):
            return None
        return cls(digest.hexdigest(), newest)


def _load_texts(place: Path, reader: Reader, path: Path) -> Corpus | None:
    if not place.exists() or (stamp := Stamp.of(reader, path)) is None:
        return None
    found = Record.load(place, ("all",), ("words", "names", "label_names", "stamp"))
    if found is None or found.texts["stamp"] != [stamp.digest]:
        return None
    documents, (words, names, label_names, _) = found.documents["all"], found.texts.values()
    whole = len(documents) == len(names)
    whole = whole and all(piece.words.max(initial=-1) < len(words) for piece in documents.pieces())
    return Corpus(documents, words, names, label_names) if whole else None


def _made_by(*parts: Reader | Tokenizer) -> list[Any] | None:
    """Class paths, arguments and versions; None where they do not say what will be made."""
    try:
        return [[specification(part, () if part.version else OURS), part.version] for part in parts]
    except Unspecified:
        return None
