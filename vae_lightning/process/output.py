"""Output: a block and a file -> what this process prints in the block, in the file."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def printing_to(file: Path) -> Iterator[None]:
    """Within the block, all that this process prints goes to the end of a file: of Python, and of any library."""
    sys.stdout.flush()
    sys.stderr.flush()
    before = os.dup(1), os.dup(2)
    streams = sys.stdout, sys.stderr
    with file.open("a", buffering=1, errors="replace") as out:
        for number in (1, 2):
            os.dup2(out.fileno(), number)
        sys.stdout = sys.stderr = out
        try:
            yield
        finally:
            out.flush()
            sys.stdout, sys.stderr = streams
            for number, kept in zip((1, 2), before, strict=True):
                os.dup2(kept, number)
                os.close(kept)
