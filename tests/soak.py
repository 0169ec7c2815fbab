"""Every interruption of tests/support/interruptions.py -> how many end with the same bits. `make soak` runs it."""

from __future__ import annotations

import argparse
import logging
import multiprocessing
import signal
import sys
import tempfile
import time
from collections.abc import Iterator
from functools import cache
from pathlib import Path

from support.interruptions import Bench, Case, grid

import vae_lightning.training  # noqa: F401  # so that the children need not import it


@cache
def bench() -> Bench:
    """One in each worker."""
    return Bench(Path(tempfile.mkdtemp(prefix="soak-")))


def tried(case: Case) -> tuple[Case, list[str]]:
    """A case, and what went wrong."""
    try:
        return case, bench().differences(case)
    except Exception as error:  # whatever it is: the other cases are tried, too
        return case, [f"{type(error).__name__}: {error}"]


def outcomes(cases: list[Case], workers: int) -> Iterator[tuple[Case, list[str]]]:
    """Of all cases, those of one model and option by one worker, which knows how they end uninterrupted."""
    ordered = sorted(cases, key=lambda case: (case.world, case.option, case.processes))
    with multiprocessing.get_context("fork").Pool(workers) as pool:
        yield from pool.imap_unordered(tried, ordered, chunksize=8)


def main() -> None:
    """Print each failure, and at the end how many were tried and how many passed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--every", type=int, default=1, help="try every n-th case alone")
    parser.add_argument("--processes", type=int, help="try cases of so many processes alone")
    parser.add_argument("--only", nargs="+", default=[""], help="try cases alone whose printed name has one of these")
    options = parser.parse_args()
    of_interest = [case for case in grid() if options.processes in (None, case.processes)]
    wanted = [case for case in of_interest if any(text in str(case) for text in options.only)]
    cases = wanted[:: options.every]
    # as a terminal starts it: what a shell runs in the background has SIGINT ignored, and runs would ignore it, too
    signal.signal(signal.SIGINT, signal.default_int_handler)
    logging.getLogger("tensorboard").setLevel(logging.ERROR)  # which says what it leaves out of a resumed run's events
    began, failed = time.monotonic(), 0
    for number, (case, wrong) in enumerate(outcomes(cases, options.workers), 1):
        failed += bool(wrong)
        for line in [f"FAILED {case}", *wrong[:5]] if wrong else ():
            print(f"  {line}", flush=True)
        if number % 10 == 0 or number == len(cases):
            minutes = (time.monotonic() - began) / 60
            print(f"{number} of {len(cases)} tried, {number - failed} passed, {minutes:.1f} minutes", flush=True)
    sys.exit(bool(failed))


if __name__ == "__main__":
    main()
