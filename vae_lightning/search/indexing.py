"""`vae-lightning index`: documents -> a file of their hashes that can be searched, or another one in its place."""

from __future__ import annotations

import time
from collections.abc import Sequence
from itertools import chain
from pathlib import Path

import numpy as np

from vae_lightning.files import expanded
from vae_lightning.search.beside import build_beside, place_beside
from vae_lightning.search.building import check_new
from vae_lightning.search.code_index import CodeIndex
from vae_lightning.search.encoder import Encoder
from vae_lightning.search.progress import counted, told

SAMPLED = 50  # codes whose nearest are compared


def index(
    ckpt: Path | None = None,
    data: Path | None = None,
    out: Path | None = None,
    add: Sequence[Path] = (),
    remove: Sequence[str] = (),
    overwrite: bool = False,
) -> None:
    """Write the hashes of documents into a file that `vae-lightning search --index` reads, or change such a file.

    The model is that of a run's folder or of a checkpoint. Documents are a folder of .txt, a .csv, .jsonl or .parquet
    with a column `text`, a matrix of counts: whatever it could be trained on. They are read and encoded some at a time.
    Without --data they are the training documents, whose index lies beside the checkpoint (CKPT.index). The file keeps
    names, first lines, labels and top words, no text, and where its checkpoint is: move the two together.
    """
    if add or remove:
        if data is not None or overwrite:
            raise ValueError(
                "--data writes a new index, --add and --remove change one: give --out FILE for that one alone"
            )
        _change(_place(out), ckpt, [Path(expanded(str(path))) for path in add], remove)
        return
    if ckpt is None:
        raise ValueError("say which model encodes the documents: --ckpt RUN, a run's folder or a checkpoint")
    if data is None:
        _own(ckpt, out, overwrite)
        return
    source = Path(expanded(str(data)))
    place = Path(f"{source.resolve().name}.index") if out is None else Path(expanded(str(out)))
    found = CodeIndex.of(ckpt, source, out=place, overwrite=overwrite, watch=counted("encoding documents"))
    told(f"{place}: {_size(found)}; {_recall(found)}")


def _own(ckpt: Path, out: Path | None, overwrite: bool) -> None:
    """The index of the training documents, beside the checkpoint and nowhere else."""
    encoder = Encoder.read(ckpt)
    place = place_beside(encoder.path)
    if out is not None:
        raise ValueError(f"the index of the training documents is {place}: give --data for an index in another file")
    check_new(place, overwrite)
    build_beside(encoder, None, counted("encoding the training documents"), told)


def _change(place: Path, ckpt: Path | None, add: Sequence[Path], remove: Sequence[str]) -> None:
    before = CodeIndex.open(place, ckpt)
    new = chain.from_iterable(before.encoder.batches(path) for path in add)
    after = before.change(counted("encoding documents")(new) if add else [], remove)
    told(f"{place}: {_size(after)}, {len(before):,} before; {_recall(after)}")


def _place(out: Path | None) -> Path:
    if out is None:
        raise ValueError("say which index to change: --out FILE")
    return Path(expanded(str(out)))


def _size(found: CodeIndex) -> str:
    place = found.path
    size = place.stat().st_size if place is not None and place.is_file() else 0
    return f"{len(found):,} documents of {found.num_bits} bits, {size / 1e6:,.1f} MB"


def _recall(found: CodeIndex) -> str:
    """How many of the ten nearest to some of its codes search finds, and in what time."""
    if found.finder() is found.finder(exact=True):
        return "search compares all of them"
    rows = np.random.default_rng(0).choice(len(found), min(SAMPLED, len(found)), replace=False)
    codes, times, answers = found.codes[np.sort(rows)], [], []
    for exact in (False, True):
        finder = found.finder(exact)
        start = time.perf_counter()
        answers.append(finder.nearest(codes, 10))
        times.append((time.perf_counter() - start) / len(codes))
    same = [len(set(ours.rows.tolist()) & set(exact.rows.tolist())) for ours, exact in zip(*answers, strict=True)]
    recall = sum(same) / sum(len(exact.rows) for exact in answers[1])
    took = f"{times[0] * 1e3:.1f} ms a query, {times[1] * 1e3:.1f} by comparing all"
    return f"recall@10 {recall:.3f} of {len(codes)} queries against the exact answer; {took}"
