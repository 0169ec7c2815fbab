"""Processor seconds until commands do their work, beside importing torch and Lightning alone.

    OMP_NUM_THREADS=1 python benchmarks/startup.py       prints rows, writes startup.json beside this file

Every command is an interpreter of its own, with compiled modules as an installed package has them; medians of rounds
in turns. `fit` is to the end of its first step, `search` has the shipped checkpoint and its index.
"""

from __future__ import annotations

import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT, ROUNDS = Path(__file__).parent.parent, 5
IMPORTS = ("-c", "import torch, lightning.pytorch")
OURS = ("-m", "vae_lightning")
FIT = ("fit", "--config", "digits/vae", "--trainer.max_steps", "1", "--trainer.limit_val_batches", "0")
SEARCH = ("search", "--ckpt", str(ROOT / "checkpoints" / "newsgroups-8bit.ckpt"), "--query", "the space shuttle orbits")


def seconds(words: tuple[str, ...], environment: dict[str, str], status: int) -> float:
    """Processor seconds of an interpreter that ends with this status."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    ended = subprocess.run([sys.executable, *words], env=environment, capture_output=True, text=True, check=False)
    assert ended.returncode == status, ended.stderr
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def measured(folder: str) -> dict[str, float]:
    """Medians; the first round, which compiles the modules, does not count."""
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    environment |= {"PYTHONPYCACHEPREFIX": f"{folder}/compiled", "OMP_NUM_THREADS": "1"}
    commands = {
        "imports": (IMPORTS, 0),
        "fit, to its first step": ((*OURS, *FIT, "--trainer.logger.save_dir", f"{folder}/runs"), 0),
        "fit, an unknown option": ((*OURS, *FIT, "--trainer.max_stepz", "1"), 2),
        "search": ((*OURS, *SEARCH), 0),
        "report, an unknown option": ((*OURS, "report", "--outt", "x"), 2),
        "export, an unknown option": ((*OURS, "export", "--outt", "x"), 2),
    }
    times: dict[str, list[float]] = {name: [] for name in commands}
    for turn in range(ROUNDS + 1):
        for name, (words, status) in commands.items():
            took = seconds(words, environment, status)
            if turn:
                times[name].append(took)
    return {name: statistics.median(values) for name, values in times.items()}


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        took = measured(folder)
    other = took.pop("imports")
    aims = {"fit, to its first step": max(6.0, other + 1), "fit, an unknown option": other + 1, "search": 3.0}
    rows = [
        {"work": f"start-up: {work}", "ours": round(ours, 2), "other": round(other, 2),
         "ratio": round(ours / other, 2), "aim": round(aims.get(work, 0.5), 2), "met": ours <= aims.get(work, 0.5)}
        for work, ours in took.items()
    ]  # fmt: skip
    for row in rows:
        print(json.dumps(row))
    Path(__file__).with_suffix(".json").write_text(json.dumps(rows, indent=1) + "\n")


if __name__ == "__main__":
    main()
