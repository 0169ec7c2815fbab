"""Building: batches of documents, and what is kept of another index -> the file of an index, whole or not there."""

from __future__ import annotations

import tempfile
from collections.abc import Iterable, Sequence
from contextlib import nullcontext
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Bool
from torch import Tensor

from vae_lightning.data.arrays.numbers import is_missing
from vae_lightning.files import atomic_write, locked, pointed_to
from vae_lightning.search.documents import Documents
from vae_lightning.search.maker import Maker
from vae_lightning.search.storage.container import Container
from vae_lightning.search.writing import Batch, IndexWriter, pack


def build(
    batches: Iterable[Batch],
    num_bits: int,
    vocabulary: Sequence[str],
    out: Path | None,
    maker: Maker | None,
    overwrite: bool = False,
) -> Container:
    """An index of these documents; ValueError for none, and for a file that exists unless it is to be overwritten."""
    check_new(out, overwrite)
    out = None if out is None else pointed_to(out)
    with IndexWriter(num_bits, vocabulary, _folder(out)) as writer:
        for batch in batches:
            writer.add(batch)
        return _written(writer, out, maker)


def change(
    old: Container, kept: Bool[np.ndarray, " n"], new: Iterable[Batch], out: Path | None, maker: Maker | None
) -> Container:
    """Write the kept documents of an index, then new ones, as an index that takes the place of the first.

    ValueError where another has taken it meanwhile, whose documents would be lost.
    """
    out = None if out is None else pointed_to(out)
    with (
        nullcontext() if out is None else locked(out),
        IndexWriter(old.said["num_bits"], Documents(old).vocabulary, _folder(out)) as writer,
    ):
        if out is not None and out.is_file() and not old.is_in(out):
            raise ValueError(f"{out} has changed since it was opened: open it again, and change that")
        writer.copy(old, kept)
        for batch in new:
            writer.add(batch)
        return _written(writer, out, maker)


def check_new(out: Path | None, overwrite: bool) -> None:
    """ValueError for a file that exists, unless it is to be overwritten."""
    if out is not None and out.is_dir():
        raise ValueError(f"{out} is a folder: name the file of the index, such as {out}.index")
    if out is not None and out.exists() and not (overwrite and out.is_file()):
        raise ValueError(f"{out} exists: give --overwrite to write it anew, or --add and --remove to change it")


def are_bits(data: Any) -> bool:
    """Whether these are codes, and not what a model encodes."""
    return isinstance(data, np.ndarray | Tensor) and data.dtype in (np.bool_, torch.bool)


def of_codes(codes: Any, names: Sequence[Any], titles: Any, labels: Any, num_bits: int, words: int) -> Batch:
    """Codes (N, m) of bits, with what is shown of their documents; ValueError for what is not of one length."""
    bits = np.asarray(codes)
    if bits.ndim != 2 or bits.dtype != np.bool_ or (num_bits and bits.shape[1] != num_bits) or not bits.shape[1]:
        width = f"{num_bits} bits" if num_bits else "m bits"
        raise ValueError(f"codes are (N, m) of {width}, True or False; got {bits.dtype} of shape {bits.shape}")
    shown = names, [""] * len(names) if titles is None else titles, [None] * len(names) if labels is None else labels
    if any(len(each) != len(bits) for each in shown):
        raise ValueError(
            f"{len(bits)} codes have {', '.join(str(len(each)) for each in shown)} names, titles and labels"
        )
    names, titles, labels = shown
    kinds = np.fromiter(labels, object, len(bits))
    return Batch(
        pack(bits),
        [str(name) for name in names],
        ["" if title is None else str(title) for title in titles],
        [None if missing else str(kind) for kind, missing in zip(kinds, is_missing(kinds), strict=True)],
        np.full((len(bits), words), -1),
    )


def _written(writer: IndexWriter, out: Path | None, maker: Maker | None) -> Container:
    if not writer.num_documents:
        raise ValueError(f"there are no documents{'' if out is None else f' for {out}'}: an index needs at least one")
    said = None if maker is None else asdict(maker)
    if out is None:
        with tempfile.TemporaryFile() as nameless:  # what is in it lives as long as it is mapped
            writer.finish(nameless, said)
            return Container(nameless, "the index")
    with atomic_write(out) as file:
        writer.finish(file, said)
    return Container.open(out)


def _folder(out: Path | None) -> Path | None:
    """The folder for temporary files: that of `out`, or the nearest above it that exists."""
    return None if out is None else next(folder for folder in out.absolute().parents if folder.is_dir())
