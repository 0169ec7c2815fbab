"""HashingCheckpoint: a checkpoint of a hashing model -> its codes, its vocabulary and its documents."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import torch

from vae_lightning.data import Newsgroups
from vae_lightning.data.vocabulary import vocabulary_hash
from vae_lightning.models import HashingVAE


@dataclass(frozen=True)
class HashingCheckpoint:
    """A checkpoint that `fit` wrote of a `HashingVAE` on `Newsgroups`; only weights and plain values are read of it."""

    path: Path
    sha256: str
    words: list[str]

    @classmethod
    def read(cls, path: Path) -> HashingCheckpoint:
        """ValueError for a file that is no such checkpoint or contradicts itself, and for none."""
        if not path.is_file():
            raise ValueError(
                f"there is no checkpoint {path}: give --ckpt the .ckpt file that `vae-lightning fit` wrote"
            )
        digest = hashlib.sha256(path.read_bytes()).hexdigest()
        try:
            content = torch.load(path, map_location="cpu", weights_only=True)
        except Exception as error:  # bytes that are no checkpoint fail in as many ways as there are bytes
            raise ValueError(
                f"{path} is not a checkpoint that can be read safely: {' '.join(str(error).split())[:100]}"
            ) from error
        data = content.get(Newsgroups.__qualname__) if isinstance(content, dict) else None
        if data is None:
            raise ValueError(
                f"{path} holds no vocabulary: search needs a checkpoint of a HashingVAE trained on Newsgroups"
            )
        kind = content["hyper_parameters"].get("_class_path", HashingVAE.__qualname__).rpartition(".")[2]
        if kind != HashingVAE.__qualname__:
            raise ValueError(f"{path} is of {kind}: search needs a checkpoint of a HashingVAE trained on Newsgroups")
        if vocabulary_hash(data["words"]) != data["vocabulary_hash"]:
            raise ValueError(f"{path}: its words are not those of its vocabulary hash {data['vocabulary_hash'][:12]}")
        return cls(path, digest, data["words"])

    @cached_property
    def model(self) -> HashingVAE:
        """The trained model, on the CPU."""
        return HashingVAE.load_from_checkpoint(self.path, map_location="cpu", weights_only=True).eval()

    @property
    def vocabulary_hash(self) -> str:
        """sha256 over the words."""
        return vocabulary_hash(self.words)

    def data(self, path: Path | None) -> Newsgroups:
        """The data it was trained on, read from `path` or from where it was; ValueError for another vocabulary."""
        moved = {} if path is None else {"path": str(path)}
        data = Newsgroups.load_from_checkpoint(self.path, map_location="cpu", weights_only=True, **moved)
        data.setup()
        return data
