"""Arguments: a constructor's annotations and what it was given -> one clear line for a value of the wrong kind."""

from __future__ import annotations

import collections.abc
import functools
import inspect
import numbers
import types
import typing
from collections.abc import Sequence
from typing import Any, Protocol

from torch import Tensor, nn

from vae_lightning.construction.specification import remember

_NUMBERS = {int: numbers.Integral, float: numbers.Real}
_SHOWN = 3


def check_kinds(owner: type, given: dict[str, Any]) -> None:
    """TypeError for what is not of the kind that the annotation of owner's constructor says; `given` is its `locals()`.

    What fits is remembered, so that a checkpoint can say how the object was built.

    Kinds are numbers, texts, classes, sequences of these, and callables: one that builds modules is no ready module.
    Annotations that say more are not looked into.
    """
    for name, hint in _hints(owner).items():
        if name in given and not _fits(given[name], hint):
            built = type(given["self"]) if "self" in given else owner
            raise TypeError(f"{built.__name__}'s {name} must be {_described(hint)}; got {_told(given[name], hint)}")
    remember(owner, given)


@functools.cache
def _hints(owner: Any) -> dict[str, Any]:
    hints = typing.get_type_hints(inspect.unwrap(owner.__init__))
    return {name: hint for name, hint in hints.items() if name != "return"}


def _members(hint: object) -> tuple[Any, ...]:
    """Of a union, without None; else the hint itself."""
    if typing.get_origin(hint) in (typing.Union, types.UnionType):
        return tuple(part for part in typing.get_args(hint) if part is not type(None))
    return (hint,)


def _fits(value: object, hint: object) -> bool:
    found = _type_fits(type(value), hint)  # type: ignore[arg-type]  # types are hashable
    return any(_is_one(value, member) for member in _members(hint)) if found is None else found


@functools.cache  # a warm-up makes an objective at each step
def _type_fits(kind: type, hint: object) -> bool | None:
    """Whether values of this type fit, if that can be said of all of them alike."""
    if kind is type(None):
        return hint in (Any, None, kind) or (_members(hint) != (hint,) and kind in typing.get_args(hint))
    return any(kind is member or (_is_class(member) and issubclass(kind, member)) for member in _members(hint)) or None


def _is_class(hint: Any) -> bool:
    """Whether types alone say what is of this kind: not of numbers, of which True is none, nor of protocols."""
    told = inspect.isclass(hint) and typing.get_origin(hint) is None and hint not in _NUMBERS
    return told and not issubclass(hint, Tensor) and Protocol not in hint.__mro__


def _is_one(value: Any, hint: object) -> bool:
    origin = typing.get_origin(hint)
    if hint in _NUMBERS:
        return isinstance(value, _NUMBERS[hint]) and not isinstance(value, bool)
    if origin is collections.abc.Callable:
        return callable(value) and not isinstance(value, _built(hint))
    if origin is collections.abc.Sequence:
        items = typing.get_args(hint)[0]
        listed = isinstance(value, Sequence) and not isinstance(value, str | bytes)
        return isinstance(value, range) or (listed and all(_fits(item, items) for item in value))
    if not inspect.isclass(hint) or origin is not None or issubclass(hint, Tensor):
        return True
    try:
        return isinstance(value, hint)
    except TypeError:  # a protocol that only type checkers can ask
        return True


def _built(hint: object) -> tuple[type, ...]:
    """What a callable builds, where that is a module: callables themselves, and never what is meant."""
    returned = _members(typing.get_args(hint)[1])
    return (nn.Module,) if any(inspect.isclass(kind) and issubclass(kind, nn.Module) for kind in returned) else ()


def _described(hint: object) -> str:
    return " or ".join(dict.fromkeys(_name(member) for member in _members(hint)))


def _name(hint: object) -> str:
    origin = typing.get_origin(hint)
    if hint in _NUMBERS:
        return {int: "a whole number", float: "a number"}[hint]
    if origin is collections.abc.Callable:
        built = [_with_article(kind.__name__) for kind in _members(typing.get_args(hint)[1]) if inspect.isclass(kind)]
        return f"what builds {' or '.join(built)}: a class, or a functools.partial of one" if built else "callable"
    if origin is collections.abc.Sequence:
        return f"a list, each {_described(typing.get_args(hint)[0])}"
    if not inspect.isclass(hint):
        return str(hint)
    known = ", ".join(kind.__name__ for kind in _leaves(hint)[:_SHOWN])
    return _with_article(hint.__name__) + (f", such as {known}" if known else "")


def _with_article(name: str) -> str:
    return f"{'an' if name[0] in 'AEIOUaeiou' else 'a'} {name}"


def _leaves(kind: Any) -> list[type]:
    """The kinds of this kind that can be built, of this package, if it is abstract."""
    if not inspect.isabstract(kind):
        return []
    below = [_leaves(each) if inspect.isabstract(each) else [each] for each in kind.__subclasses__()]
    return [leaf for leaves in below for leaf in leaves if leaf.__module__.startswith("vae_lightning")]


def _told(value: object, hint: object) -> str:
    """What came, and the way out where it is plain."""
    members, name = _members(hint), value.__name__ if inspect.isclass(value) else type(value).__name__
    if inspect.isclass(value):
        fits = any(inspect.isclass(kind) and issubclass(value, kind) for kind in members)
        return f"the class {name}" + (f": give an instance, {name}(...)" if fits else "")
    if isinstance(value, nn.Module) and any(typing.get_origin(kind) is collections.abc.Callable for kind in members):
        return f"a ready {name}: give the class, or `lambda *_: {name}(...)`"
    lists = [typing.get_args(kind)[0] for kind in members if typing.get_origin(kind) is collections.abc.Sequence]
    if lists and isinstance(value, list | tuple):
        return f"one with {next(_told(item, lists[0]) for item in value if not _fits(item, lists[0]))}"
    if isinstance(value, float) and int in members and value.is_integer():
        return f"{value!r}: write {int(value)}"
    return f"{value!r}" if value is None or isinstance(value, numbers.Number | str) else _with_article(name)
