"""Importing: a block of imports -> the same, without looking for garbage in what is there to stay."""

from __future__ import annotations

import atexit
import gc
import sys
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def importing() -> Iterator[None]:
    """Collect no garbage within this block: torch's and Lightning's modules are a million objects, none of it garbage.

    Until the process ends they are not looked through again, so that later collections are short. A process that has
    torch already imports little more, and is left alone.
    """
    if "torch" in sys.modules or not gc.isenabled():
        yield
        return
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        atexit.register(gc.unfreeze)  # else libraries that look for leaks as the process ends speak of them
        gc.enable()
