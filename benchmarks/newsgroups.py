"""Semantic hashing of 20 Newsgroups: every row is a `vae-lightning fit` and `test` on a shipped config.

    python benchmarks/newsgroups.py            runs what benchmarks/newsgroups.json has not yet, then prints the table
    python benchmarks/newsgroups.py --table    prints the table alone

The checkpoint is chosen by validation NELBO; the test split is read once, by `test`, after that.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

from vae_lightning.trust import read_checkpoint

HERE = Path(__file__).parent
STORE = HERE / "newsgroups.json"
FREQUENCIES = ["--model.encoder.features", "vae_lightning.nn.WordFrequencies"]
SCALED = ["--model.encoder.features", "vae_lightning.nn.ScaledFrequencies"]
ENCODERS = {
    "e1": [],
    # the config's learning rate of 0.005 sends every document to one code: chosen among 0.001, 0.003 by validation
    "e2": [*FREQUENCIES, "--model.encoder.hidden", "[512,512]", "--model.optimizer.lr", "0.003"],
    "e3": FREQUENCIES,
}
ARM = ["--model.objective.estimator.class_path", "vae_lightning.estimators.ARM"]
BF16 = ["--trainer.precision", "bf16-mixed"]
FIGURES = ("deviance", "nelbo", "kl", "perplexity", "precision@100", "precision_within_2", "bit_entropy")


@dataclass(frozen=True)
class Cell:
    """One setting, trained once for each seed."""

    name: str
    bits: int
    overrides: tuple[str, ...] = ()
    seeds: tuple[int, ...] = (0, 1, 2)
    paper: float | None = None  # Table 2's test NELBO, to set beside our test deviance

    def command(self, seed: int) -> list[str]:
        config = f"configs/newsgroups/{self.bits}bit.yaml"
        return ["vae-lightning", "fit", "--config", config, "--seed_everything", str(seed), *self.overrides]


PAPER = {(8, "e1"): 423, (8, "e2"): 429, (8, "e3"): 435, (32, "e1"): 396, (32, "e2"): 413, (32, "e3"): 416}
CELLS = [
    *(
        Cell(f"{b} bits / depth 0 / {e}", b, tuple(o), paper=PAPER.get((b, e)))
        for b in (8, 32)
        for e, o in ENCODERS.items()
    ),
    Cell("64 bits / depth 0 / e1", 64, paper=392),
    Cell("64 bits / depth 0 / e1 / bf16", 64, tuple(BF16)),
    Cell("64 bits / depth 0 / e1 / ARM", 64, tuple(ARM)),
    Cell("8 bits / depth 0 / e3, frequencies as large as counts", 8, tuple(SCALED)),
]


def run(cell: Cell, seed: int) -> dict[str, object]:
    """Fit, then test the chosen checkpoint; the figures of both from their metrics.json."""
    with tempfile.TemporaryDirectory() as folder:
        logs = ["--trainer.logger.save_dir", folder]
        command = cell.command(seed)
        began = time.time()
        call([*command, *logs])
        seconds = time.time() - began
        checkpoint = f"{folder}/version_0/checkpoints/best.ckpt"
        call(["vae-lightning", "test", *command[2:], *logs, "--ckpt_path", checkpoint])
        figures = json.loads(Path(folder, "version_0", "metrics.json").read_text())
        epoch = best_epoch(checkpoint)
    return {
        "cell": cell.name, "seed": seed, "command": " ".join(command), "commit": commit(), "epoch": epoch,
        "seconds": round(seconds), **{name: figures[f"test/{name}"] for name in FIGURES},
    }  # fmt: skip


def best_epoch(checkpoint: str) -> int:
    """The epoch that validation chose, counted from 1."""
    return int(read_checkpoint(Path(checkpoint))["epoch"]) + 1


def call(command: list[str]) -> None:
    """One command, its output shown only if it fails."""
    done = subprocess.run(command, cwd=HERE.parent, capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(f"{' '.join(command)} failed:\n{done.stdout[-2000:]}{done.stderr[-2000:]}")


def commit() -> str:
    """The commit that ran."""
    asked = ["git", "rev-parse", "--short", "HEAD"]
    return subprocess.run(asked, cwd=HERE.parent, capture_output=True, text=True, check=True).stdout.strip()


def stored() -> list[dict[str, object]]:
    """Finished runs."""
    return json.loads(STORE.read_text()) if STORE.exists() else []


def table(rows: list[dict[str, object]]) -> str:
    """Markdown: means over seeds, with the range of the test deviance."""
    lines = [
        "| cell | seeds | test deviance (range) | paper | NELBO, nats | per-word perplexity | precision@100 "
        "| within radius 2 | chosen epochs | commit |",
        "|---|---|---|---|---|---|---|---|---|---|",
    ]
    for cell in CELLS:
        mine = [row for row in rows if row["cell"] == cell.name]
        if not mine:
            continue
        mean = {name: statistics.fmean(float(row[name]) for row in mine) for name in FIGURES}  # type: ignore[arg-type]
        deviances = [float(row["deviance"]) for row in mine]  # type: ignore[arg-type]
        lines.append(
            f"| {cell.name} | {', '.join(str(row['seed']) for row in mine)} "
            f"| {mean['deviance']:.1f} ({min(deviances):.1f} to {max(deviances):.1f}) | {cell.paper or ''} "
            f"| {mean['nelbo']:.1f} | {mean['perplexity']:.0f} | {mean['precision@100']:.3f} "
            f"| {mean['precision_within_2']:.3f} | {', '.join(str(row['epoch']) for row in mine)} "
            f"| {', '.join(sorted({str(row['commit']) for row in mine}))} |"
        )
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--table", action="store_true", help="print the table of what was run, run nothing")
    parser.add_argument("--only", default="", help="only cells whose name contains this")
    options = parser.parse_args()
    for seed in () if options.table else (0, 1, 2):
        for cell in CELLS:
            done = {(row["cell"], row["seed"]) for row in stored()}
            if options.only in cell.name and seed in cell.seeds and (cell.name, seed) not in done:
                print(f"{cell.name}, seed {seed}", flush=True)
                row = run(cell, seed)
                rows = sorted([*stored(), row], key=lambda r: (str(r["cell"]), int(str(r["seed"]))))
                part = STORE.with_suffix(".part")
                part.write_text(json.dumps(rows, indent=1))
                part.replace(STORE)
    print(table(stored()))


if __name__ == "__main__":
    main()
