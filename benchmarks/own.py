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
A section is a function of `SECTIONS` from the corpus to rows of figures, printed as a table and kept in own.json.
"""

from __future__ import annotations

import argparse
import csv
import json
import os
import platform
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

WORDS, LENGTH, KEPT, BITS = 100_000, 100, 10_000, 64
CHUNK = 10_000  # documents written at once
RECORD = Path(__file__).with_suffix(".json")


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


Row = dict[str, Any]


def parse(corpus: Corpus) -> list[Row]:
    """From the text to counts of the vocabulary's words."""
    rows = []
    everything = len(os.sched_getaffinity(0))
    with tempfile.TemporaryDirectory(dir=corpus.folder) as folder:
        cache = Path(folder)
        for what, name, cores, place in (
            ("ours, parse, one core", "ours", 1, None),
            (f"ours, parse, all {everything} cores", "ours", None, cache),
            ("ours, again, from the cache", "ours", 1, cache),
            ("CountVectorizer, one core", "sklearns", 1, None),
        ):
            rows.append(_row(corpus, what, measure(name, corpus, cores, place), "parse"))
    return rows


def models(corpus: Corpus) -> list[Row]:
    """A HashingVAE of 64 bits, one epoch of batches of 512, beside 64 components of TruncatedSVD."""
    rows = []
    for what, name in (("HashingVAE", "our_model"), ("TruncatedSVD", "sklearns_model")):
        figures = measure(name, corpus, 1)
        rows += [_row(corpus, f"{what}, {verb}, one core", figures, verb) for verb in ("train", "encode")]
    return rows


def _row(corpus: Corpus, what: str, figures: dict[str, float], verb: str) -> Row:
    seconds, processor = figures[verb], figures[f"{verb}, processor"]
    row = {"what": what, "seconds": seconds, "processor seconds": processor}
    rates = {"documents a second": corpus.documents / seconds, "and processor": corpus.documents / processor}
    return row | rates | {"peak, MB": figures["peak"], "workers, MB": figures["workers"]}


SECTIONS: dict[str, Callable[[Corpus], list[Row]]] = {"parse": parse, "models": models}


def show(rows: list[Row]) -> None:
    """As a table of Markdown."""
    print("| " + " | ".join(rows[0]) + " |\n|" + "---|" * len(rows[0]))
    for row in rows:
        cells = (f"{value:,.1f}" if isinstance(value, float) and value < 100 else value for value in row.values())
        print("| " + " | ".join(f"{cell:,.0f}" if isinstance(cell, float) else str(cell) for cell in cells) + " |")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("sections", nargs="*", choices=[*SECTIONS, []], help=f"any of {', '.join(SECTIONS)}; all")
    parser.add_argument("--documents", type=int, default=100_000)
    parser.add_argument("--folder", type=Path, help="where the corpus is, and stays; a temporary folder by default")
    parser.add_argument("--measure", choices=MEASURES, help=argparse.SUPPRESS)
    parser.add_argument("--cores", type=int, help=argparse.SUPPRESS)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        corpus = Corpus(options.folder or Path(temporary), options.documents)
        if options.measure:
            measured(options.measure, corpus, options.cores)
            return
        corpus.folder.mkdir(parents=True, exist_ok=True)
        corpus.write()
        record = json.loads(RECORD.read_text()) if RECORD.exists() else {}
        for name in options.sections or SECTIONS:
            rows = SECTIONS[name](corpus)
            print(f"\n{name}, {corpus.documents:,} documents, {platform.machine()}\n")
            show(rows)
            record.setdefault(str(corpus.documents), {})[name] = rows
            RECORD.write_text(json.dumps(record, indent=1) + "\n")


if __name__ == "__main__":
    main()
