"""lazily: a room and the modules of its names -> its `__getattr__`, which imports them once one of them is used."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from importlib import import_module
from typing import Any


def lazily(room: str, modules: Mapping[str, str]) -> Callable[[str], Any]:
    """For a room with parts that need Lightning, which takes seconds to import, and parts that do not.

    `modules` are those of its public names, with the names of each; the first use of any imports all of them, and so
    does that of a module of the room that nobody has imported.
    """

    def found(name: str) -> Any:
        here = vars(sys.modules[room])
        if not name.startswith("_"):
            for module, names in modules.items():
                there = vars(import_module(f"{room}.{module}"))
                here.update({each: there[each] for each in names.split()})
        if name not in here:
            raise AttributeError(f"module {room!r} has no attribute {name!r}")
        return here[name]

    return found
