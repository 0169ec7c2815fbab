"""Suggestions: a name that does not exist -> the one that was probably meant."""

from __future__ import annotations

import inspect
import re
import sys
from collections.abc import Iterable
from difflib import get_close_matches

_HOMES = ("vae_lightning.", "lightning.pytorch.callbacks", "lightning.pytorch.loggers", "torch.optim", "torch.nn")


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """`, did you mean NAME?` for the known name nearest to this one; nothing if none is near."""
    near = get_close_matches(name, list(known), n=1, cutoff=0.6) or _nearest_root(name, known)
    return f", did you mean {near[0]}?" if near else ""


def _nearest_root(name: str, known: Iterable[str]) -> list[str]:
    """For `--modle.latent_dim`, whose last part belongs to a class: the known name of its first part."""
    root, dot, rest = name.partition(".")
    return [near + dot + rest for near in get_close_matches(root, list(known), n=1, cutoff=0.6) if near != root]


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
