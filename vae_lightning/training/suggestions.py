"""Suggestions: an error about a class that does not exist -> the one that was probably meant."""

from __future__ import annotations

import inspect
import re
import sys

from vae_lightning.messages import did_you_mean

_HOMES = ("vae_lightning.", "lightning.pytorch.callbacks", "lightning.pytorch.loggers", "torch.optim", "torch.nn")


def known_classes(line: str) -> str:
    """The class that was probably meant, if the line says that there is no such class."""
    if missing := re.search(r"module '([\w.]+)' has no attribute '(\w+)'", line):
        return did_you_mean(missing[2], vars(sys.modules[missing[1]])) if missing[1] in sys.modules else ""
    if short := re.search(r"Expected a dot import path string: (\w+)", line):
        return did_you_mean(short[1], _class_names())
    return ""


def _class_names() -> set[str]:
    modules = [module for name, module in list(sys.modules.items()) if name.startswith(_HOMES) and module]
    return {name for module in modules for name, value in vars(module).items() if inspect.isclass(value)}
