"""Processor seconds until commands do their work, beside importing torch and Lightning alone.

    OMP_NUM_THREADS=1 python benchmarks/startup.py

Every command is an interpreter of its own to its end, with compiled modules as an installed package has them. `fit`
ends after its first step, `search` has the shipped checkpoint and its index.
"""

from __future__ import annotations

import argparse
import os
import resource
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from functools import partial
from pathlib import Path

from comparisons import Comparison, Row, Share, in_turns, limit, main

ROOT, ROUNDS = Path(__file__).parent.parent, 5
IMPORTS = ("-c", "import torch, lightning.pytorch")
OURS = ("-m", "vae_lightning")
FIT = (*OURS, "fit", "--config", "digits/vae", "--trainer.max_steps", "1", "--trainer.limit_val_batches", "0")
CHECKPOINT = str(ROOT / "checkpoints" / "newsgroups-8bit.ckpt")
SEARCH = (*OURS, "search", "--ckpt", CHECKPOINT, "--query", "the space shuttle orbits")


def seconds(words: tuple[str, ...], environment: dict[str, str], status: int = 0) -> float:
    """Processor seconds of an interpreter that ends with this status."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    ended = subprocess.run([sys.executable, *words], env=environment, capture_output=True, text=True, check=False)
    assert ended.returncode == status, ended.stderr
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def startup(asked: argparse.Namespace) -> Iterator[Row]:
    """All commands in turns; the first round, which compiles the modules, does not count."""
    with tempfile.TemporaryDirectory() as folder:
        environment = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
        environment |= {"PYTHONPYCACHEPREFIX": f"{folder}/compiled", "OMP_NUM_THREADS": "1"}
        ways = {
            "imports": partial(seconds, IMPORTS, environment),
            "fit": partial(seconds, (*FIT, "--trainer.logger.save_dir", f"{folder}/runs"), environment),
            "fit, an unknown option": partial(seconds, (*FIT, "--trainer.max_stepz", "1"), environment, 2),
            "search": partial(seconds, SEARCH, environment),
            "report, an unknown option": partial(seconds, (*OURS, "report", "--outt", "x"), environment, 2),
            "export, an unknown option": partial(seconds, (*OURS, "export", "--outt", "x"), environment, 2),
        }
        costs = in_turns(ways, 1 if asked.quick else ROUNDS)
    for work in ("fit", "fit, an unknown option"):  # the aim is a second more
        yield Comparison(work, work, "imports", Share(1.2), "s", peer="importing torch and Lightning").row(costs)
    for work, most in (("search", 3.0), ("report, an unknown option", 0.5), ("export, an unknown option", 0.5)):
        yield limit(work, statistics.median(costs[work]), most, "s", Share(1.0))


if __name__ == "__main__":
    main({"startup": startup}, __doc__)
