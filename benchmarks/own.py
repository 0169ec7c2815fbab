"""Documents a second of one's own corpus: parse, train, encode, on texts of a Zipf law, beside scikit-learn's.

    OMP_NUM_THREADS=1 python benchmarks/own.py                                  # 100,000 documents, a few minutes
    OMP_NUM_THREADS=1 python benchmarks/own.py parse --documents 1000000
    OMP_NUM_THREADS=1 python benchmarks/own.py parse models --documents 1000000 --folder /somewhere/large

The texts are a .csv of documents of 100 words (log-normal, sigma 0.5) out of 100,000, the n-th with a probability in
proportion to 1 / n; all sides keep the 10,000 most frequent. Every measurement has a process of its own. `peak` is the
most memory that it had at a time, imports included (of ours 0.9 GB), `workers` that of the largest process that it
started. Other work on the machine counts in seconds, but not in processor seconds, those of all processes together.
Ours is `Texts.setup()`: split, vocabulary and the counts in memory, from the text (`parse`) or from the cache that the
parse left (`again`). scikit-learn's is `CountVectorizer(max_features=10_000).fit_transform`, fed by `csv.reader`.
"""

from __future__ import annotations

import argparse
import csv
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from comparisons import AsFast, Comparison, Costs, Row, main

WORDS, LENGTH, KEPT, BITS = 100_000, 100, 10_000, 64
CHUNK = 10_000  # documents written at once


@dataclass(frozen=True)
class Corpus:
    """The .csv of texts and the folder around it, which has the caches and the matrices of scikit-learn, too."""

    folder: Path
    documents: int

    @property
    def table(self) -> Path:
        return self.folder / f"zipf-{self.documents}.csv"

    def write(self) -> None:
        """Unless it is there."""
        if self.table.exists():
            return
        rng = np.random.default_rng(0)
        words = np.array(_words(rng), dtype=object)
        law = (1 / np.arange(1, WORDS + 1)).cumsum()
        unfinished = self.table.with_suffix(".part")
        with unfinished.open("w", encoding="ascii") as file:
            file.write("text\n")
            for begin in range(0, self.documents, CHUNK):
                lengths = rng.lognormal(np.log(LENGTH), 0.5, min(CHUNK, self.documents - begin)).astype(int) + 1
                drawn = words[np.searchsorted(law, rng.random(lengths.sum()) * law[-1])]
                file.writelines(" ".join(text) + "\n" for text in np.split(drawn, lengths.cumsum()[:-1]))
        unfinished.rename(self.table)
        time.sleep(3)  # nothing is kept of a file that has only just been written

    def texts(self) -> Iterator[str]:
        """One after another, as whoever uses scikit-learn would read them."""
        with self.table.open(encoding="utf-8", newline="") as file:
            rows = csv.reader(file)
            next(rows)
            yield from (row[0] for row in rows)

    def data(self, kind: Callable[..., Any]) -> Any:
        """Our own, all documents but one for training."""
        data = kind(self.table, num_words=KEPT, val_size=1, test_size=0, batch_size=512)
        data.prepare_data()
        data.setup()
        return data


def _words(rng: np.random.Generator) -> list[str]:
    """Different ones, of 3 to 12 letters."""
    found: dict[str, None] = {}
    while len(found) < WORDS:
        letters = rng.choice(list("etaoinshrdlucmfwypvbgk"), rng.integers(3, 13))
        found["".join(letters)] = None
    return list(found)


class Clock:
    """Seconds, and processor seconds of this process and those that it waited for, since it was made."""

    def __init__(self) -> None:
        self.begun, self.used = time.perf_counter(), self._processor()

    def read(self, verb: str) -> dict[str, float]:
        return {verb: time.perf_counter() - self.begun, f"{verb}, processor": self._processor() - self.used}

    @staticmethod
    def _processor() -> float:
        return sum(os.times()[:4])


def ours(corpus: Corpus) -> dict[str, float]:
    from vae_lightning.data import Texts  # noqa: PLC0415

    clock = Clock()
    corpus.data(Texts)
    return clock.read("parse")


def sklearns(corpus: Corpus) -> dict[str, float]:
    from sklearn.feature_extraction.text import CountVectorizer  # noqa: PLC0415

    clock = Clock()
    CountVectorizer(max_features=KEPT).fit_transform(corpus.texts())
    return clock.read("parse")


def our_model(corpus: Corpus) -> dict[str, float]:
    """One epoch, then the codes of all training documents."""
    import torch  # noqa: PLC0415

    from vae_lightning.data import Texts  # noqa: PLC0415
    from vae_lightning.models import HashingVAE  # noqa: PLC0415
    from vae_lightning.models.codes import encode_all  # noqa: PLC0415
    from vae_lightning.nn import BagOfWordsMLP  # noqa: PLC0415
    from vae_lightning.training import trainer  # noqa: PLC0415

    torch.manual_seed(0)
    data = corpus.data(Texts)
    model = HashingVAE(BITS, KEPT, encoder=BagOfWordsMLP)
    run = trainer(max_epochs=1, accelerator="cpu", enable_progress_bar=False, logger=False, enable_checkpointing=False)
    clock = Clock()
    run.fit(model, data)
    figures, clock = clock.read("train"), Clock()
    codes = sum(len(part) for part in encode_all(model.eval(), data.train.x))
    return figures | clock.read("encode") | {"codes": codes}


def sklearns_model(corpus: Corpus) -> dict[str, float]:
    from sklearn.decomposition import TruncatedSVD  # noqa: PLC0415
    from sklearn.feature_extraction.text import CountVectorizer  # noqa: PLC0415

    matrix = CountVectorizer(max_features=KEPT, dtype=np.float32).fit_transform(corpus.texts())
    svd = TruncatedSVD(BITS, random_state=0)
    clock = Clock()
    svd.fit(matrix)
    figures, clock = clock.read("train"), Clock()
    return figures | {"codes": len(svd.transform(matrix))} | clock.read("encode")


MEASURES = {function.__name__: function for function in (ours, sklearns, our_model, sklearns_model)}


def measure(name: str, corpus: Corpus, cores: int | None = None, cache: Path | None = None) -> dict[str, float]:
    """Run one in a process of its own, on so many cores, with what is in this cache folder."""
    arguments = [sys.executable, __file__, "--measure", name, "--documents", str(corpus.documents)]
    arguments += ["--folder", str(corpus.folder)] + (["--cores", str(cores)] if cores else [])
    with tempfile.TemporaryDirectory(dir=corpus.folder) as own:
        environment = os.environ | {"XDG_CACHE_HOME": str(cache or own)}
        done = subprocess.run(arguments, env=environment, stdout=subprocess.PIPE, text=True, check=True)
    return json.loads(done.stdout.splitlines()[-1])


def measured(name: str, corpus: Corpus, cores: int | None) -> None:
    """In the process: the figures and its memory, as a line of JSON."""
    if cores:
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:cores])
    figures = MEASURES[name](corpus)
    for who, whose in {"peak": resource.RUSAGE_SELF, "workers": resource.RUSAGE_CHILDREN}.items():
        figures[who] = resource.getrusage(whose).ru_maxrss * 1024 / 1e6
    print(json.dumps(figures))


def corpus_of(asked: argparse.Namespace, temporary: str) -> Corpus:
    """The one that is asked for, written."""
    corpus = Corpus(asked.folder or Path(temporary), 2_000 if asked.quick else asked.documents)
    corpus.folder.mkdir(parents=True, exist_ok=True)
    corpus.write()
    return corpus


def parse(asked: argparse.Namespace) -> Iterator[Row]:
    """From the text to counts of the vocabulary's words."""
    everything = len(os.sched_getaffinity(0))
    with tempfile.TemporaryDirectory() as temporary, tempfile.TemporaryDirectory() as folder:
        corpus, cache = corpus_of(asked, temporary), Path(folder)
        found = {
            "one core": measure("ours", corpus, 1),
            f"all {everything} cores": measure("ours", corpus, None, cache),
            "one core, from the cache": measure("ours", corpus, 1, cache),
            "CountVectorizer, one core": measure("sklearns", corpus, 1),
        }
    for name in list(found)[:3]:
        work = f"from {corpus.documents:,} texts to counts, {name}"
        aim = 1.0 if name == "one core" else None
        yield compared(work, found[name], found["CountVectorizer, one core"], "parse", "CountVectorizer, one core", aim)
    one, every = found["one core"], found[f"all {everything} cores"]
    clock: Costs = {"ours": [every["parse"]], "one core": [one["parse"]]}
    work = f"from {corpus.documents:,} texts to counts, all {everything} cores"
    yield Comparison(work, "ours", "one core", AsFast(), "clock s").row(clock)


def models(asked: argparse.Namespace) -> Iterator[Row]:
    """A HashingVAE of 64 bits, one epoch of batches of 512, beside 64 components of TruncatedSVD."""
    with tempfile.TemporaryDirectory() as temporary:
        corpus = corpus_of(asked, temporary)
        ours, theirs = (measure(name, corpus, 1) for name in ("our_model", "sklearns_model"))
    for verb, what in {"train": "an epoch of a HashingVAE", "encode": "codes by a HashingVAE"}.items():
        work = f"{what} of {corpus.documents:,} texts, one core"
        yield compared(work, ours, theirs, verb, f"TruncatedSVD, {'fit' if verb == 'train' else 'transform'}")


Figures = dict[str, float]


def compared(work: str, ours: Figures, theirs: Figures, verb: str, peer: str, aim: float | None = None) -> Row:
    """Their processor seconds; peaks of memory beside."""
    costs: Costs = {"ours": [ours[f"{verb}, processor"]], peer: [theirs[f"{verb}, processor"]]}
    clock = f"{ours[verb]:.1f} s by the clock and {theirs[verb]:.1f}"
    note = f"{clock}; peaks {ours['peak']:,.0f} MB, {theirs['peak']:,.0f} MB"
    return Comparison(work, "ours", peer, AsFast(aim), "s", note=note).row(costs)


def options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--documents", type=int, default=100_000)
    parser.add_argument("--folder", type=Path, help="where the corpus is, and stays; a temporary folder by default")


def measure_here() -> None:
    """What a process of its own does."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--measure", choices=MEASURES)
    parser.add_argument("--cores", type=int)
    options(parser)
    asked = parser.parse_args()
    measured(asked.measure, Corpus(asked.folder, asked.documents), asked.cores)


if __name__ == "__main__":
    if "--measure" in sys.argv:
        measure_here()
    else:
        main({"parse": parse, "models": models}, __doc__, options)
