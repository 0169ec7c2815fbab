"""A mistake as jsonargparse tells it -> one line: what the option takes, what it got, what was probably meant."""

from __future__ import annotations

import argparse
import inspect
import re
import sys
from collections.abc import Sequence
from itertools import pairwise

import vae_lightning
from vae_lightning.messages import did_you_mean, in_one_line

_KINDS = {"bool": "true or false", "int": "a whole number", "float": "a number", "str": "a text"}
_KIND = re.compile(r"<class '(bool|int|float|str|NoneType)'>|typing\.Literal\[(.+?)\]")
_CLASS = re.compile(r"<class '((?:\w+\.)+\w+)'>|(?:list|collections\.abc\.\w+)\[(?:\w+\.)+\w+\]")
_FEW = 20  # names in a line
_HOMES = ("vae_lightning.", "lightning.pytorch.callbacks", "lightning.pytorch.loggers", "torch.optim", "torch.nn")


def in_words(message: str, actions: Sequence[argparse.Action], typed: Sequence[str] = ()) -> str:
    """The line. `actions` are the options that the parser knows by their whole names, of others `typed` may tell."""
    key = re.match(r'Parser key "([\w.]+)":', message)
    if key is None:
        return in_one_line(message)
    option = next((name for action in actions if action.dest == key[1] for name in action.option_strings), None)
    types = re.search(r"Subtypes: \[(.+)\]$|Expected a (.+)\. Got value:", message, re.MULTILINE)
    kinds = types[1] or types[2] if types else ""
    if no_class := re.search(r"Expected a dot import path string: (.*)", message):
        got, (taken, names), others = no_class[1], _classes(kinds), _CLASS.sub("", kinds)
    elif types and (value := re.search(r"(?:Got|Given) value: (.*)$", message)):
        got, (taken, names), others = value[1], ([], []), kinds
    else:
        return in_one_line(message)
    if _KIND.sub("", others).strip(", "):  # a type that there are no words for
        return in_one_line(message)
    values, words = _values(kinds)
    option = option or _whole(key[1], got, typed)
    return f"{option} takes {', or '.join(taken + values)}; got {got}{did_you_mean(got, names + words)}"


def _whole(name: str, value: str, typed: Sequence[str]) -> str:
    """The option of this last part that was typed with this value; the name itself if it was none, or several."""
    words = [word for argument in typed for word in (argument.split("=", 1) if argument[:2] == "--" else [argument])]
    options = {one for one, other in pairwise(words) if other == value and one[:2] == "--"}
    found = [option for option in options if option.endswith(f".{name}")]
    return found[0] if len(found) == 1 else name


def known_classes(line: str) -> str:
    """The class that was probably meant, if the line says that a module has no such class."""
    missing = re.search(r"module '([\w.]+)' has no attribute '(\w+)'", line)
    return did_you_mean(missing[2], vars(sys.modules[missing[1]])) if missing and missing[1] in sys.modules else ""


def _values(kinds: str) -> tuple[list[str], list[str]]:
    """What is taken that is no class, and the words among it."""
    found = _KIND.findall(kinds)
    classes = {name for name, _ in found}
    taken = [_KINDS[name] for name in _KINDS if name in classes and not (name == "int" and "float" in classes)]
    words = list(dict.fromkeys(re.findall(r"[^',\s]+", ", ".join(literal for _, literal in found))))
    if words:
        taken.append(f"one of {', '.join(words)}" if len(words) > 1 else words[0])
    return taken, words


def _classes(kinds: str) -> tuple[list[str], list[str]]:
    """That a class is taken, or a list of them, and the names of those that there are."""
    bases = _CLASS.findall(kinds)
    names = _class_names(next(filter(None, bases), None))
    ours = [name for name in names if name in dir(vae_lightning)]
    such_as = f", such as {', '.join(ours)}" if 0 < len(ours) <= _FEW else ""
    return [f"the name of a class{such_as}", *(["a list of such"] if "" in bases else [])], names


def _class_names(base: str | None) -> list[str]:
    """What an option may be given that takes a class of this base, by its path; None is any class."""
    module, _, name = (base or "builtins.object").rpartition(".")
    kind = getattr(sys.modules.get(module), name, object)  # of a class within another any is taken
    modules = [module for name, module in list(sys.modules.items()) if name.startswith(_HOMES) and module]
    return sorted({name for module in modules for name, value in vars(module).items() if _is_a(value, kind)})


def _is_a(value: object, kind: type) -> bool:
    return inspect.isclass(value) and issubclass(value, kind) and not inspect.isabstract(value)
