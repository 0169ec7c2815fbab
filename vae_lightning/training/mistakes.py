"""A mistake as jsonargparse tells it -> one line: what the option takes, what it got, what was probably meant."""

from __future__ import annotations

import argparse
import re
from collections.abc import Sequence

import vae_lightning
from vae_lightning.messages import did_you_mean, in_one_line
from vae_lightning.training.suggestions import class_names

_KINDS = {"bool": "true or false", "int": "a whole number", "float": "a number", "str": "a text"}
_KIND = re.compile(r"<class '(bool|int|float|str|NoneType)'>|typing\.Literal\[(.+?)\]")
_CLASS = re.compile(r"<class '((?:\w+\.)+\w+)'>|(?:list|collections\.abc\.\w+)\[(?:\w+\.)+\w+\]")
_FEW = 20  # names in a line


def in_words(message: str, actions: Sequence[argparse.Action]) -> str:
    """The line. `actions` are the options that the parser knows by their whole names."""
    key = re.match(r'Parser key "([\w.]+)":', message)
    if key is None:
        return in_one_line(message)
    option = next((name for action in actions if action.dest == key[1] for name in action.option_strings), key[1])
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
    return f"{option} takes {', or '.join(taken + values)}; got {got}{did_you_mean(got, names + words)}"


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
    names = class_names(next(filter(None, bases), None))
    ours = [name for name in names if name in dir(vae_lightning)]
    such_as = f", such as {', '.join(ours)}" if 0 < len(ours) <= _FEW else ""
    return [f"the name of a class{such_as}", *(["a list of such"] if "" in bases else [])], names
