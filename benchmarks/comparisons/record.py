"""Rows of several benchmarks -> bench.json, and what differs from the committed one."""

from __future__ import annotations

import json
import os
import platform
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from comparisons.table import HEAD, JSONRow, line

MOVED = 0.10
"""How far a ratio may be from the committed one, as a share of that."""
PEERS = (
    "torch",
    "lightning",
    "pythae",
    "scikit-learn",
    "rbms",
    "learnergy",
    "torchmetrics",
    "pytorch-fid",
    "faiss-cpu",
)
TITLE = """## Every benchmark, in one table

```sh
make bench
```

"""
READING = (
    "Costs are medians over rounds in which the contestants take turns, in processor time unless the unit says "
    "otherwise; a ratio is the median of the rounds' own ratios. The aim says what is divided by what: at least, the "
    "other by ours; at most, ours by the other. "
)


@dataclass
class Record:
    """All rows, with the run that each benchmark's are of."""

    rows: list[JSONRow] = field(default_factory=list)
    runs: dict[str, Mapping[str, object]] = field(default_factory=dict)

    @classmethod
    def read(cls, text: str) -> Record:
        """Of bench.json."""
        return cls(**json.loads(text))

    def replace(self, benchmark: str, rows: Sequence[JSONRow], run: Mapping[str, object]) -> None:
        """A benchmark's rows by those of a new run of it."""
        kept = [row for row in self.rows if row["benchmark"] != benchmark]
        self.rows = [*kept, *({"benchmark": benchmark, **row} for row in rows)]
        self.runs[benchmark] = run

    def as_json(self) -> str:
        """One line a row, so that a change of one is a line of a diff."""
        rows = ",\n  ".join(map(json.dumps, self.rows))
        runs = ",\n  ".join(f"{json.dumps(name)}: {json.dumps(run)}" for name, run in self.runs.items())
        return f'{{"rows": [\n  {rows}\n], "runs": {{\n  {runs}\n}}}}\n'

    def table(self) -> str:
        """As a page of Markdown, a table a benchmark."""
        return TITLE + READING + self.summary() + "\n" + "".join(map(self._part, self.runs))

    def summary(self) -> str:
        """How many aims are met."""
        judged = [row["met"] for row in self.rows if row["met"] is not None]
        left = sum(row["ratio"] is None for row in self.rows)
        away = f" {left} rows could not be measured." if left else ""
        return f"{sum(map(bool, judged))} of {len(judged)} aims are met.{away}\n"

    def _part(self, benchmark: str) -> str:
        rows = "\n".join(line(row) for row in self.rows if row["benchmark"] == benchmark)
        run = self.runs[benchmark]
        when = f"Commit {run['commit']}, {run['date']}, {run['machine']}, load {run['load']} before."
        return (
            f'\n### `{benchmark}.py`\n\n```sh\nmake bench ARGS="--only {benchmark}"\n```\n\n{when}\n\n{HEAD}\n{rows}\n'
        )


@dataclass(frozen=True)
class Run:
    """Where and of what a benchmark's rows are."""

    date: str
    commit: str
    machine: str
    load: float
    packages: Mapping[str, str]
    seconds: float = 0.0

    @classmethod
    def here(cls, repository: Path) -> Run:
        """Now."""
        commit = _git(repository, "rev-parse", "--short=7", "HEAD").strip() or "unknown"
        changed = (
            " with changes" if _git(repository, "status", "--porcelain", ":/vae_lightning", ":/benchmarks/*.py") else ""
        )
        packages = {name: found for name in PEERS if (found := _version(name))}
        when = datetime.now(UTC).strftime("%Y-%m-%d")
        return cls(when, commit + changed, machine(), round(os.getloadavg()[0], 1), packages)

    def after(self, seconds: float) -> dict[str, object]:
        """Of so many seconds, for bench.json."""
        return {**asdict(self), "seconds": round(seconds)}


def machine() -> str:
    """Its processor and how many of them."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        lines = []
    names = [text.partition(":")[2].strip() for text in lines if text.startswith("model name")]
    return f"{len(os.sched_getaffinity(0))} of {names[0] if names else platform.machine()}"


def committed(file: Path) -> Record:
    """What the last commit has of it, or what is there outside of a repository; nothing in the beginning."""
    text = _git(file.parent, "show", f"HEAD:./{file.name}") or (file.read_text() if file.exists() else "")
    return Record.read(text) if text else Record()


def moved(before: Record, after: Record) -> Iterator[str]:
    """A line for each row of the benchmarks in `after` whose ratio has moved by more than a tenth, or that is gone."""
    found = {key(row): row for row in after.rows}
    for row in before.rows:
        if row["benchmark"] not in after.runs:
            continue
        old, now = row["ratio"], found.get(key(row), {}).get("ratio")
        if isinstance(old, float | int) and isinstance(now, float | int):
            if abs(now / old - 1) > MOVED:
                change = f"{old:.3g} -> {now:.3g} ({now / old - 1:+.0%})"
                yield f"{_title(row)}: {change}, middle half {_middle(found[key(row)])}"
        elif old is not None:
            yield f"{_title(row)}: {old:.3g} -> not measured"


def key(row: JSONRow) -> tuple[object, ...]:
    """What makes two rows the same comparison."""
    return row["benchmark"], row["work"], row["peer"]


def _title(row: JSONRow) -> str:
    return f"{row['benchmark']}: {row['work']}, beside {row['peer']}"


def _middle(row: JSONRow) -> str:
    middle = row.get("middle")
    return "of one round" if not isinstance(middle, list) else f"{middle[0]:.3g} to {middle[1]:.3g}"


def _git(folder: Path, *arguments: str) -> str:
    """What git prints, nothing where it fails."""
    try:
        done = subprocess.run(["git", *arguments], cwd=folder, capture_output=True, text=True, check=False)
    except OSError:
        return ""
    return done.stdout if done.returncode == 0 else ""


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None
