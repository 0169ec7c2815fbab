"""Damaged files: whatever somebody did to a file, it is read right or refused in one line that names it."""

from __future__ import annotations

import multiprocessing
import os
import resource
import shutil
import signal
import traceback
import warnings
from collections import Counter
from pathlib import Path
from random import Random
from typing import Any

import pytest
from support.readers import READERS, Reader

MEMORY = 1 << 30  # bytes beyond what the process has before it reads
SECONDS = 20
FINE = ("read", "refused")
INPUTS = int(os.environ.get("FUZZ_INPUTS", "10"))  # of each reader; `make soak` takes eighteen thousand in all


def campaign(name: str, inputs: int, folder: Path) -> Counter[str]:
    """How many damaged inputs were read right, how many refused, and what else came of others, by their numbers."""
    reader = READERS[name]
    good = folder / "good"
    good.mkdir()
    reader.write(good)
    shutil.copytree(good, folder / "read")  # what a reader leaves beside its file is not there when another reads
    expected = reader.read(folder / "read")
    found: Counter[str] = Counter()
    for number in range(inputs):
        broken = folder / "broken"
        shutil.copytree(good, broken)
        damage(reader, broken, Random(f"{name}/{number}"))
        what = outcome(reader, broken, expected)
        if list(folder.rglob("*BROKEN*")) or list(folder.glob("*escaped*")):
            what = "a file appeared that is not the reader's"
        found[what if what in FINE else f"input {number}: {what}"] += 1
        shutil.rmtree(broken)
    return found


def damage(reader: Reader, folder: Path, rng: Random) -> None:
    path = rng.choice(sorted(folder.glob(reader.damage)))
    path.write_bytes(reader.spoiled(path, rng))


def outcome(reader: Reader, folder: Path, expected: Any) -> str:
    signal.alarm(SECONDS)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            result = reader.read(folder)
            return "read" if reader.right(folder, result, expected) else "read wrongly"
    except (ValueError, OSError) as error:
        named = any(path.name in str(error) for path in folder.rglob("*"))
        return "refused" if named and "\n" not in str(error) else f"not one line that names the file: {error}"
    except Exception:
        return traceback.format_exc(limit=-3)
    finally:
        signal.alarm(0)


def in_bounded_memory(name: str, inputs: int, folder: Path, answer: Any) -> None:
    """The campaign in a process that may take MEMORY more than it has; what it found, or the traceback."""
    size = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (size + MEMORY, size + MEMORY))
    try:
        answer.send(campaign(name, inputs, folder))
    except BaseException:  # a MemoryError too
        answer.send(traceback.format_exc())


@pytest.mark.parametrize("name", READERS)
def test_damaged_files_are_read_right_or_refused_in_one_line(name: str, tmp_path: Path) -> None:
    receive, send = multiprocessing.Pipe(duplex=False)
    child = multiprocessing.get_context("fork").Process(target=in_bounded_memory, args=(name, INPUTS, tmp_path, send))
    child.start()
    send.close()
    found = receive.recv() if receive.poll(3600) else "no answer"
    child.join(10)
    assert isinstance(found, Counter), found
    print(f"{name}: {found['read']} read, {found['refused']} refused of {INPUTS}")
    others = [what for what in found if what not in FINE]
    assert not others, f"{len(others)} of {INPUTS}:\n" + "\n".join(others[:20])
