"""Suggestions: an error about a class that does not exist -> the one that was probably meant."""

from __future__ import annotations

import inspect
import re
import sys

from vae_lightning.messages import did_you_mean

_HOMES = ("vae_lightning.", "lightning.pytorch.callbacks", "lightning.pytorch.loggers", "torch.optim", "torch.nn")


def known_classes(line: str) -> str:
    """The class that was probably meant, if the line says that a module has no such class."""
    missing = re.search(r"module '([\w.]+)' has no attribute '(\w+)'", line)
    return did_you_mean(missing[2], vars(sys.modules[missing[1]])) if missing and missing[1] in sys.modules else ""


def class_names(base: str | None) -> list[str]:
    """What an option may be given that takes a class of this base, by its path; None is any class."""
    module, _, name = (base or "builtins.object").rpartition(".")
    kind = vars(sys.modules[module])[name]
    modules = [module for name, module in list(sys.modules.items()) if name.startswith(_HOMES) and module]
    return sorted({name for module in modules for name, value in vars(module).items() if _is_a(value, kind)})


def _is_a(value: object, kind: type) -> bool:
    return inspect.isclass(value) and issubclass(value, kind) and not inspect.isabstract(value)
