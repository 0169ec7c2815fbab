"""CodeIndex: binary codes of documents -> the nearest ones to a code, exactly; two files on disk."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import faiss
import numpy as np
from jaxtyping import Bool
from numpy.typing import NDArray
from torch import Tensor

from vae_lightning.files import atomic_write

_LARGEST = 1 << 28  # bytes of a record; that of 20 Newsgroups has about a million
_HEADERS = 1 << 10  # bytes of a faiss file that are neither codes nor ids
_RECORD = {"checkpoint": str, "vocabulary_hash": str, "num_bits": int, "codes": str, "documents": list}
_DOCUMENT = {"id": int, "label": str, "words": list}


@dataclass(frozen=True)
class Document:
    """What is shown of a document."""

    id: int
    label: str
    words: list[str]


@dataclass(frozen=True)
class Neighbours:
    """The nearest documents, each with its Hamming distance, and how many more tie at the last distance."""

    found: list[tuple[int, Document]]
    tied: int


@dataclass(frozen=True, eq=False)
class CodeIndex:
    """Codes of m bits in a flat binary faiss index, by document id, and the documents they are of.

    `checkpoint` is the sha256 of the checkpoint that made the codes, `vocabulary_hash` that of its words. Codes whose
    length is no multiple of 8 are padded with zeros, which adds nothing to a distance.
    """

    codes: Any  # faiss.IndexBinaryIDMap2
    num_bits: int
    documents: Mapping[int, Document]
    checkpoint: str
    vocabulary_hash: str

    @classmethod
    def build(
        cls, codes: Bool[Tensor, "N m"], documents: list[Document], checkpoint: str, vocabulary_hash: str
    ) -> CodeIndex:
        """Index codes[n] as that of documents[n]."""
        packed = pack(codes)
        index = _faiss_index(packed, np.array([document.id for document in documents], dtype=np.int64))
        by_id = {document.id: document for document in documents}
        return cls(index, codes.shape[1], by_id, checkpoint, vocabulary_hash)

    def nearest(self, code: Bool[Tensor, " m"], k: int) -> Neighbours:
        """The k nearest documents, or all if they are fewer; ties by id, smallest first. ValueError unless k >= 1."""
        if code.numel() != self.num_bits:
            raise ValueError(f"the index has codes of {self.num_bits} bits, the query has {code.numel()}")
        return self._nearest(pack(code[None]), k)

    def nearest_to(self, document: int, k: int) -> Neighbours:
        """The k nearest documents to one of the index, without itself."""
        return self._nearest(self.codes.reconstruct(document)[None], k, document)

    def _nearest(self, packed: NDArray[np.uint8], k: int, without: int | None = None) -> Neighbours:
        if k < 1:
            raise ValueError(f"k, how many documents to show, must be at least 1; got {k}")
        # faiss breaks ties as it likes, so ask twice: how far the k-th is, then for all that are no farther
        reach = self.codes.search(packed, min(k + 1, self.codes.ntotal))[0][0, -1]
        _, distances, ids = self.codes.range_search(packed, int(reach) + 1)
        near = sorted((int(distance), int(n)) for distance, n in zip(distances, ids, strict=True) if n != without)
        found, rest = near[:k], near[k:]
        tied = sum(distance == found[-1][0] for distance, _ in rest) if found else 0
        return Neighbours([(distance, self.documents[n]) for distance, n in found], tied)

    def save(self, checkpoint: Path) -> None:
        """Write `CHECKPOINT.faiss` and, last, `CHECKPOINT.documents.json`, which holds the hashes of both."""
        codes = faiss.serialize_index_binary(self.codes).tobytes()
        record = {
            "checkpoint": self.checkpoint,
            "vocabulary_hash": self.vocabulary_hash,
            "num_bits": self.num_bits,
            "codes": hashlib.sha256(codes).hexdigest(),
            "documents": [asdict(document) for document in self.documents.values()],
        }
        content = json.dumps(record | {"record": _hash(record)}).encode()
        for path, written in zip(paths(checkpoint), (codes, content), strict=True):
            with atomic_write(path) as file:
                file.write(written)

    @classmethod
    def load(cls, checkpoint: Path) -> CodeIndex:
        """Read the two files beside a checkpoint; ValueError if they are damaged or not of one piece."""
        path, described = paths(checkpoint)
        record = _read(described)
        documents = {entry["id"]: Document(**entry) for entry in record["documents"]}
        width = -(-record["num_bits"] // 8)
        if path.stat().st_size > len(documents) * (width + 8) + _HEADERS:
            raise ValueError(f"{path} is too large for the documents of {described}")
        codes = path.read_bytes()
        if hashlib.sha256(codes).hexdigest() != record["codes"]:
            raise ValueError(f"{path} does not belong to {described}")
        index = _of_bytes(codes, list(documents), width)
        if index is None:
            raise ValueError(f"{path} holds no codes of the documents of {described}")
        return cls(index, record["num_bits"], documents, record["checkpoint"], record["vocabulary_hash"])


def _read(path: Path) -> dict[str, Any]:
    """The record of an index, of the right types, whose hash of itself is right."""
    try:
        if path.stat().st_size > _LARGEST:
            raise ValueError(f"it has more than {_LARGEST:,} bytes")
        record = json.loads(path.read_bytes())
        if not isinstance(record, dict) or record.pop("record", None) != _hash(record):
            raise ValueError("it is not as it was written")
        if not (_typed(record, _RECORD) and all(map(_is_document, record["documents"]))):
            raise ValueError("it has not what a record has")
    except (ValueError, RecursionError) as error:
        raise ValueError(f"{path} is not the record of an index: {error}") from error
    return record


def _typed(entry: object, types: Mapping[str, type]) -> bool:
    return isinstance(entry, dict) and {name: type(value) for name, value in entry.items()} == types


def _is_document(entry: object) -> bool:
    if not isinstance(entry, dict) or not _typed(entry, _DOCUMENT):
        return False
    return 0 <= entry["id"] < 1 << 63 and all(isinstance(word, str) for word in entry["words"])


def _hash(record: Mapping[str, Any]) -> str:
    return hashlib.sha256(json.dumps(record).encode()).hexdigest()


def _faiss_index(packed: NDArray[np.uint8], ids: NDArray[np.int64]) -> Any:
    index = faiss.IndexBinaryIDMap2(faiss.IndexBinaryFlat(8 * packed.shape[1]))
    index.add_with_ids(packed, ids)
    return index


def _of_bytes(stored: bytes, documents: list[int], width: int) -> Any:
    """The index whose file is these bytes; None if there is none. What others wrote is not given to faiss to parse."""
    ids = np.array(documents, dtype=np.int64)
    start = len(stored) - len(ids) * (width + 8) - 8  # codes, how many ids, ids
    if start < 0 or width < 1 or not len(ids):
        return None
    packed = np.frombuffer(stored, np.uint8, len(ids) * width, start).reshape(len(ids), width)
    index = _faiss_index(packed, ids)
    return index if faiss.serialize_index_binary(index).tobytes() == stored else None


def paths(checkpoint: Path) -> tuple[Path, Path]:
    """Where the codes and the documents of a checkpoint's index are."""
    return Path(f"{checkpoint}.faiss"), Path(f"{checkpoint}.documents.json")


def pack(codes: Bool[Tensor, "N m"]) -> NDArray[np.uint8]:
    """Eight bits a byte, the last byte padded with zeros."""
    return np.packbits(codes.cpu().numpy(), axis=1, bitorder="little")
