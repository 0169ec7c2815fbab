"""Files of somebody's own data, as `Texts` and `Arrays` read them.

Parquet is not among them: pyarrow sets aside more address space than a fuzzed process may take.
"""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import numpy as np
import scipy.io
import scipy.sparse
from sklearn.datasets import dump_svmlight_file

from vae_lightning.data import Arrays, Texts

ROWS = [{"text": f"river {'sea ' * (n % 3)}wide {'open ' * n}", "label": "ab"[n % 2], "one": n / 2} for n in range(12)]
COUNTS = np.array([[3, 0, 1], [0, 2, 1], [1, 1, 1], [0, 0, 5]])


def write_table(path: Path) -> None:
    """A .csv or .jsonl of texts, labels and numbers."""
    if path.suffix == ".jsonl":
        path.write_text("\n".join(map(json.dumps, ROWS)))
    else:
        lines = [",".join(map(str, row.values())) for row in ROWS]
        path.write_text("\n".join(["text,label,one", *lines]))


def write_counts(path: Path) -> None:
    """A matrix of counts in the format of its name, beside its vocabulary."""
    (path.parent / "vocabulary.txt").write_text("river\nsea\nwide\n")
    triples = [f"{d + 1} {w + 1} {COUNTS[d, w]}" for d, w in zip(*COUNTS.nonzero(), strict=True)]
    if path.suffix == ".npz":
        scipy.sparse.save_npz(path, scipy.sparse.csr_array(COUNTS))
    elif path.suffix == ".mtx":
        scipy.io.mmwrite(path, scipy.sparse.coo_array(COUNTS))
    elif path.suffix == ".gz":
        path.write_bytes(gzip.compress("\n".join(["4", "3", str(len(triples)), *triples]).encode(), mtime=0))
    elif path.suffix == ".svmlight":
        dump_svmlight_file(COUNTS, [1, 2, 1, 2], str(path))
    else:
        rows = ([f"{w}:{row[w]}" for w in row.nonzero()[0]] for row in COUNTS)
        path.write_text("\n".join(" ".join([str(len(pairs)), *pairs]) for pairs in rows))


def write_array(path: Path) -> None:
    """A .npy or .npz of numbers."""
    if path.suffix == ".npy":
        np.save(path, COUNTS)
    else:
        np.savez_compressed(path, x=COUNTS)


def read_texts(path: Path) -> Any:
    """All that a corpus says."""
    data = Texts(path, val_size=0, test_size=0)
    data.setup()
    x = data.train.x
    return [x.indices, x.offsets, x.values, data.train.y, data.words, data.names, data.label_names]


def read_arrays(path: Path) -> Any:
    """All rows; of a table its numbers, and its labels."""
    table = {"columns": ["one"], "label": "label"} if path.suffix == ".csv" else {}
    data = Arrays(path=path, val_size=0, test_size=0, **table)
    data.setup()
    return [data.train.x, data.train.y, data.label_names]


TEXTS = dict.fromkeys(("t.csv", "t.jsonl"), write_table)
TEXTS |= dict.fromkeys(("m.npz", "m.mtx", "docword.m.txt.gz", "m.svmlight", "m.ldac"), write_counts)
ARRAYS = {"t.csv": write_table, "x.npy": write_array, "x.npz": write_array}
