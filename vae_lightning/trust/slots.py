"""Slot: the annotation of a constructor's argument -> the kinds of classes that it takes, itself or in lists."""

from __future__ import annotations

import datetime
import enum
import inspect
import pathlib
import types
import typing
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

_PLAIN = (type(None), bool, int, float, complex, bytes, datetime.timedelta)
_TEXT = (str, pathlib.PurePath, enum.Enum)


@dataclass(frozen=True)
class Slot:
    """What an argument takes. One without an annotation takes plain values alone: nobody knows what becomes of it."""

    hints: tuple[Any, ...] = ()  # the members of its union

    @classmethod
    def of(cls, *hints: object) -> Slot:
        """The slot of these annotations, any of which will do."""
        return cls(tuple(part for hint in hints for part in _members(hint)))

    @property
    def kinds(self) -> tuple[type, ...]:
        """Classes, instances of which it takes."""
        return tuple(hint for hint in self.hints if _is_kind(hint))

    @property
    def returned(self) -> tuple[type, ...]:
        """Classes, instances of which are returned by what it takes."""
        calls = [typing.get_args(hint) for hint in self.hints if typing.get_origin(hint) is Callable]
        return Slot.of(*[arguments[-1] for arguments in calls if arguments]).kinds

    @property
    def items(self) -> Slot:
        """What its lists hold."""
        lists = [hint for hint in self._generic(Iterable) if not issubclass(typing.get_origin(hint), Mapping)]
        return Slot.of(*[part for hint in lists for part in typing.get_args(hint) if part is not Ellipsis])

    @property
    def values(self) -> Slot:
        """What its mappings hold."""
        return Slot.of(*[typing.get_args(hint)[-1] for hint in self._generic(Mapping)])

    @property
    def is_text(self) -> bool:
        """Whether a string given to it stays one."""
        others = [hint for hint in self.hints if hint not in _PLAIN and typing.get_origin(hint) is not typing.Literal]
        return bool(self.hints) and all(inspect.isclass(hint) and issubclass(hint, _TEXT) for hint in others)

    def _generic(self, container: type) -> list[Any]:
        origins = [(hint, typing.get_origin(hint)) for hint in self.hints]
        return [hint for hint, origin in origins if inspect.isclass(origin) and issubclass(origin, container)]

    def __str__(self) -> str:
        return " or ".join(kind.__name__ for kind in self.kinds + self.returned) or "no class"


def slots(kind: type) -> dict[str, Slot]:
    """The arguments of a class, with those that it hands on to its bases."""
    found: dict[str, Slot] = {}
    for each in reversed(kind.__mro__):
        if "__init__" in vars(each) and each is not object:
            found |= _own(each)
    return found


def _own(kind: Any) -> dict[str, Slot]:
    try:
        hints = typing.get_type_hints(kind.__init__)
    except Exception:  # an annotation that only type checkers can read: then nothing is known
        hints = {}
    names = list(inspect.signature(kind.__init__).parameters)[1:]
    return {name: Slot.of(hints.get(name, Any)) for name in names}


def _members(hint: object) -> list[Any]:
    """A union's members, and what aliases and type variables stand for; nothing for what may be anything."""
    if isinstance(hint, typing.TypeVar):
        return _members(hint.__bound__ or Any)
    origin = typing.get_origin(hint)
    if origin is typing.Annotated:
        return _members(typing.get_args(hint)[0])
    if origin in (typing.Union, types.UnionType):
        return [part for member in typing.get_args(hint) for part in _members(member)]
    return [] if hint is Any or hint is object or hint is inspect.Parameter.empty else [hint]


def _is_kind(hint: object) -> bool:
    if not inspect.isclass(hint) or typing.get_origin(hint) is not None or hint in _PLAIN or issubclass(hint, _TEXT):
        return False
    return hint.__module__ not in ("builtins", "typing", "collections.abc", "numbers")
