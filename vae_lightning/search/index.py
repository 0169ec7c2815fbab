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
        index = faiss.IndexBinaryIDMap2(faiss.IndexBinaryFlat(8 * packed.shape[1]))
        index.add_with_ids(packed, np.array([document.id for document in documents], dtype=np.int64))
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
        """Write `CHECKPOINT.faiss` and, last, `CHECKPOINT.documents.json`, which holds the hash of the first."""
        codes = faiss.serialize_index_binary(self.codes).tobytes()
        header = {name: getattr(self, name) for name in ("checkpoint", "vocabulary_hash", "num_bits")}
        record = header | {
            "codes": hashlib.sha256(codes).hexdigest(),
            "documents": [asdict(document) for document in self.documents.values()],
        }
        for path, content in zip(paths(checkpoint), (codes, json.dumps(record).encode()), strict=True):
            with atomic_write(path) as file:
                file.write(content)

    @classmethod
    def load(cls, checkpoint: Path) -> CodeIndex:
        """Read the two files beside a checkpoint; ValueError if they are damaged or not of one piece."""
        path, documents = paths(checkpoint)
        codes = path.read_bytes()
        try:
            record = json.loads(documents.read_bytes())
            whole = record.pop("codes") == hashlib.sha256(codes).hexdigest()
            by_id = {entry["id"]: Document(**entry) for entry in record.pop("documents")}
            if whole:
                return cls(faiss.deserialize_index_binary(np.frombuffer(codes, np.uint8)), documents=by_id, **record)
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise ValueError(f"{documents} is not the record of an index: {error}") from error
        raise ValueError(f"{path} does not belong to {documents}")


def paths(checkpoint: Path) -> tuple[Path, Path]:
    """Where the codes and the documents of a checkpoint's index are."""
    return Path(f"{checkpoint}.faiss"), Path(f"{checkpoint}.documents.json")


def pack(codes: Bool[Tensor, "N m"]) -> NDArray[np.uint8]:
    """Eight bits a byte, the last byte padded with zeros."""
    return np.packbits(codes.cpu().numpy(), axis=1, bitorder="little")
