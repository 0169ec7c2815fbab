"""HashingCheckpoint: a checkpoint of a hashing model -> its codes, its vocabulary and its documents."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from vae_lightning.data import Newsgroups
from vae_lightning.data.texts.vocabulary import vocabulary_hash
from vae_lightning.models import HashingVAE
from vae_lightning.trust import read_checkpoint


@dataclass(frozen=True)
class HashingCheckpoint:
    """A checkpoint that `fit` wrote of a `HashingVAE` on `Newsgroups`; it can build models, and run nothing else."""

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
        content = read_checkpoint(path)
        if (data := content.get(Newsgroups.__qualname__)) is None:
            raise ValueError(
                f"{path} holds no vocabulary: search needs a checkpoint of a HashingVAE trained on Newsgroups"
            )
        kind = content.get("hyper_parameters", {}).get("_class_path", HashingVAE.__qualname__).rpartition(".")[2]
        if kind != HashingVAE.__qualname__:
            raise ValueError(f"{path} is of {kind}: search needs a checkpoint of a HashingVAE trained on Newsgroups")
        words, told = _vocabulary(path, data)
        if vocabulary_hash(words) != told:
            raise ValueError(f"{path}: its words are not those of its vocabulary hash {told[:12]}")
        return cls(path, digest, words)

    @cached_property
    def model(self) -> HashingVAE:
        """The trained model, on the CPU."""
        return HashingVAE.load_from_checkpoint(self.path, map_location="cpu").eval()

    @property
    def vocabulary_hash(self) -> str:
        """sha256 over the words."""
        return vocabulary_hash(self.words)

    def data(self, path: Path | None) -> Newsgroups:
        """The data it was trained on, read from `path` or from where it was; ValueError for another vocabulary."""
        moved = {} if path is None else {"path": str(path)}
        data = Newsgroups.load_from_checkpoint(self.path, map_location="cpu", **moved)
        data.setup()
        return data


def _vocabulary(path: Path, record: object) -> tuple[list[str], str]:
    """The words and their hash, of the right types; ValueError otherwise."""
    found = record if isinstance(record, dict) else {}
    words, told = found.get("words"), found.get("vocabulary_hash")
    if not (isinstance(words, list) and all(isinstance(word, str) for word in words) and isinstance(told, str)):
        raise ValueError(f"{path}: its record of {Newsgroups.__qualname__} is no vocabulary with its hash")
    return words, told
