"""All benchmarks, or some -> one table of ratios with their aims, and what moved since the committed one.

    python benchmarks/run.py                           # or make bench: all, in an hour; writes bench.json and bench.md
    python benchmarks/run.py --only hashing,rbm        # these; the rows of the others stay
    python benchmarks/run.py --quick                   # whether all of them run, in minutes; writes nothing

Each file is a process of its own, with one thread. Peers that are missing come with
`pip install -c constraints.txt -e '.[bench]'`, real data from VAE_LIGHTNING_DATA; rows without them say so.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from comparisons.record import Record, Run, committed, moved
from comparisons.table import JSONRow

HERE = Path(__file__).parent
RECORD, PAGE = HERE / "bench.json", HERE / "bench.md"
BENCHMARKS = (
    "startup",
    "hashing",
    "vae",
    "rbm",
    "ensemble",
    "recording",
    "likelihood",
    "surgery",
    "pixels",
    "frechet",
    "epoch",
    "features",
    "images",
    "own",
    "search",
    "adversarial",
    "tempering",
    "rbm_likelihood",
    "tables",
)


def run(name: str, arguments: Sequence[str], folder: Path) -> list[JSONRow] | None:
    """The rows of one benchmark, None if it failed; what it printed stays in a file."""
    rows, log = folder / f"{name}.json", folder / f"{name}.log"
    command = [sys.executable, str(HERE / f"{name}.py"), "--rows", str(rows), *arguments]
    environment = {"OMP_NUM_THREADS": "1"} | os.environ
    with log.open("w") as out:
        failed = subprocess.run(command, stdout=out, stderr=subprocess.STDOUT, env=environment, check=False).returncode
    return None if failed else json.loads(rows.read_text())


def measured(names: Sequence[str], arguments: Sequence[str], keep: Path | None) -> tuple[Record, list[str]]:
    """The rows of all that did not fail, and what failed; a line of progress each."""
    found, failures = Record(), []
    with tempfile.TemporaryDirectory() as folder:
        for number, name in enumerate(names, 1):
            where, began = Run.here(HERE), time.monotonic()
            print(f"[{number}/{len(names)}] {name} ...", end=" ", flush=True, file=sys.stderr)
            rows = run(name, arguments, Path(folder))
            took = time.monotonic() - began
            if rows is None:
                failures.append(name)
                last = Path(folder, f"{name}.log").read_text().splitlines()[-1:]
                print(f"failed after {took:.0f} s: {''.join(last)}", file=sys.stderr)
                continue
            found.replace(name, rows, where.after(took))
            print(f"{told(rows)}, {took:.0f} s", file=sys.stderr)
            if keep:
                everything = Record.read(keep.read_text()) if keep.exists() else Record()
                everything.replace(name, rows, where.after(took))
                keep.write_text(everything.as_json())
    return found, failures


def told(rows: Sequence[JSONRow]) -> str:
    """How many rows there are, and how many of their aims are met."""
    judged = [row["met"] for row in rows if row["met"] is not None]
    return f"{len(rows)} rows, {sum(map(bool, judged))} of {len(judged)} aims met"


def main(arguments: Sequence[str] | None = None) -> int:
    """Run what is asked, show it, and say what moved."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", help=f"some of {','.join(BENCHMARKS)}")
    parser.add_argument("--quick", action="store_true", help="few rounds of little work; writes nothing")
    asked = parser.parse_args(arguments)
    names = asked.only.split(",") if asked.only else BENCHMARKS
    if unknown := sorted(set(names) - set(BENCHMARKS)):
        parser.error(f"--only knows {', '.join(BENCHMARKS)}, got {', '.join(unknown)}")
    before = committed(RECORD)
    found, failures = measured(names, ["--quick"] if asked.quick else [], None if asked.quick else RECORD)
    print(found.table())
    if not asked.quick:
        PAGE.write_text(Record.read(RECORD.read_text()).table())
        print(
            "\n".join(
                [
                    "Moved by more than 10 % since the committed bench.json:",
                    *(list(moved(before, found)) or ["nothing"]),
                ]
            )
        )
    if failures:
        print(f"Failed: {', '.join(failures)}; run python benchmarks/{failures[0]}.py to see why")
    return bool(failures)


if __name__ == "__main__":
    sys.exit(main())
