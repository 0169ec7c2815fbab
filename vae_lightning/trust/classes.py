"""Trust: class paths that data name, however deep -> allowed by the kind that their slot takes, or ValueError.

Nothing is imported that is not of an allowed package: importing runs code, too.
"""

from __future__ import annotations

import inspect
import os
import pkgutil
import re
import sys
import typing
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from vae_lightning.construction.specification import OURS, is_within
from vae_lightning.trust.slots import Slot, slots

VARIABLE = "VAE_LIGHTNING_TRUST"
_SPECIFICATION = {"class_path", "init_args", "dict_kwargs"}
_DEPTH, _ENTERED = 40, 10_000
_NUMBER = re.compile(r"[-+]?[\d_]*\.?\d+([eE][-+]?\d+)?")
_WORD = re.compile(r"[-+.]?\w[\w.+:/-]{0,200}(?<!:)|")  # a string that no parser takes for a list or a mapping


class ClassPath(str):
    """One class or function that the user named; a package of the same name, and what is below it, is not meant."""

    __slots__ = ()


class Trust:
    """What may be built from data: this project's kinds, those of torch.nn and torch.optim, and what the user names.

    Args:
        also: packages, or `ClassPath`s, that the user trusts; those of VAE_LIGHTNING_TRUST (with commas) are added.
    """

    def __init__(self, also: Iterable[str] = ()) -> None:
        given = [also] if isinstance(also, str) else list(also)
        named = [name.strip() for name in os.environ.get(VARIABLE, "").split(",")]
        self.users = tuple(name for name in [*given, *named] if name)
        self.allowed = (*OURS, *self.users)
        self._entered = 0  # lists and mappings looked into

    def check(self, value: object, slot: Slot, where: str, depth: int = 0) -> None:
        """ValueError for a value that would build, import or call anything that the slot is not for."""
        self._enter(value, where, depth)
        if value is None or type(value) in (bool, int, float):
            return
        if isinstance(value, str):
            self._check_text(value, slot, where)
        elif isinstance(value, Mapping):
            self._check_mapping(value, slot, where, depth)
        elif isinstance(value, list | tuple):
            items = slot.items
            for number, item in enumerate(value):
                self.check(item, items, f"{where}[{number}]", depth + 1)
        else:
            raise ValueError(f"{where} is a {type(value).__name__}, no plain value")

    def check_plain(self, value: object, where: str, depth: int = 0) -> None:
        """ValueError for what names a class, where nothing is known of the class that is to be given it."""
        self._enter(value, where, depth)
        if isinstance(value, Mapping):
            if _SPECIFICATION & set(value):
                raise ValueError(f"{where} names a class, and nothing says what it is for")
            value = list(value.items())
        if isinstance(value, list | tuple):
            for item in value:
                self.check_plain(item, where, depth + 1)
        elif not (value is None or type(value) in (bool, int, float, str)):
            raise ValueError(f"{where} has a {type(value).__name__}, which is no plain value")

    def _enter(self, value: object, where: str, depth: int) -> None:
        """ValueError where it goes too deep, or where a few lists that hold each other stand for a billion."""
        if not isinstance(value, Mapping | list | tuple):
            return
        self._entered += 1
        if depth > _DEPTH or self._entered > _ENTERED:
            raise ValueError(f"{where[:60]}... is more than {_DEPTH} deep or of more than {_ENTERED:,} lists")

    def check_arguments(self, kind: type, given: Mapping[Any, Any], where: str, depth: int = 0) -> None:
        """The arguments that a class is built with."""
        known = slots(kind)
        for name, value in given.items():
            if not isinstance(name, str) or not name.isidentifier() or name in _SPECIFICATION:
                raise ValueError(f"{where or kind.__name__} has an argument {name!r:.40}, which is no name")
            self.check(value, known.get(name, Slot()), f"{where}.{name}" if where else name, depth + 1)

    def imported(self, path: object, slot: Slot, where: str) -> type:
        """The class of a path that a slot takes; ValueError before anything is imported that is not allowed."""
        found = self._found(path, slot, where)
        if not (inspect.isclass(found) and any(_is_a(found, kind) for kind in slot.kinds + slot.returned)):
            raise ValueError(f"{where} takes {slot}, which {path} is not")
        return found

    def _check_mapping(self, value: Mapping[Any, Any], slot: Slot, where: str, depth: int) -> None:
        if not _SPECIFICATION & set(value) and not slot.kinds + slot.returned:
            for name, item in value.items():
                self.check(name, Slot.of(str), f"a name in {where}")
                self.check(item, slot.values, f"{where}.{name!s:.40}", depth + 1)
            return
        if "class_path" not in value or not set(value) <= _SPECIFICATION:
            raise ValueError(f"{where} takes {slot}, and is a mapping of {', '.join(map(str, value))[:60]}")
        kind = self.imported(value["class_path"], slot, where)
        for part in ("init_args", "dict_kwargs"):
            if not isinstance(arguments := value.get(part) or {}, Mapping):
                raise ValueError(f"{where}.{part} is no mapping of names to values")
            self.check_arguments(kind, arguments, where, depth)

    def _check_text(self, value: str, slot: Slot, where: str) -> None:
        """A word stays one; a dotted path is read as that of a class, or of a function, where the slot takes such."""
        if slot.is_text:
            return
        if not _WORD.fullmatch(value) or (value and Path(value).is_file()):
            raise ValueError(f"{where} is text that could be read as something else: {value!r:.60}")
        if _NUMBER.fullmatch(value) or ("." not in value and (str in slot.hints or not slot.kinds + slot.returned)):
            return
        if slot.returned and inspect.isfunction(found := self._found(value, slot, where)):
            self._check_function(value, found, slot, where)
        else:
            self.imported(value, slot, where)

    def _check_function(self, path: str, found: object, slot: Slot, where: str) -> None:
        """A function makes what a Callable is asked for, says its annotation; of the user's own, the user knows."""
        returned = typing.get_type_hints(found).get("return")
        if not _within(path, self.users) and not (inspect.isclass(returned) and issubclass(returned, slot.returned)):
            raise ValueError(f"{where} takes {slot}, which {path} does not return")

    def _found(self, path: object, slot: Slot, where: str) -> Any:
        names = path.split(".") if isinstance(path, str) else []
        if not slot.kinds + slot.returned:
            raise ValueError(f"{where} takes no class, and {path!r:.100} is named there")
        if (
            not isinstance(path, str)
            or len(names) < 2
            or not all(name.isidentifier() and not name.startswith("_") for name in names)
        ):
            raise ValueError(f"{where} takes {slot}, and {path!r:.100} is no path of a class")
        if not _within(path, self.allowed):
            raise ValueError(self._outside(path, where))
        try:
            found = pkgutil.resolve_name(f"{'.'.join(names[:-1])}:{names[-1]}")
        except (ImportError, AttributeError) as error:
            raise ValueError(f"{where} names {path}, which is not there: {error}") from error
        origin = found.__module__ if inspect.isclass(found) or inspect.isfunction(found) else ""
        if not (_within(origin, self.allowed) or path in self.allowed):
            raise ValueError(self._outside(f"{path} (of {origin or type(found).__name__})", where))
        return found

    @staticmethod
    def _outside(path: str, where: str) -> str:
        package = path.partition(".")[0]
        own = "" if package in sys.stdlib_module_names else f"; if you wrote {package}, say so by {VARIABLE}={package}"
        ours = "vae_lightning, torch.nn and torch.optim"
        return f"{where} names {path}, and of a checkpoint only classes of {ours} are built{own}"


def _within(path: str, packages: Sequence[str]) -> bool:
    return path in packages or is_within(path, (name for name in packages if not isinstance(name, ClassPath)))


def _is_a(found: type, kind: type) -> bool:
    """Whether it is a subclass; of a Protocol, whether it has what is asked for."""
    if typing.Protocol not in kind.__bases__:
        return kind in found.__mro__ or (inspect.isabstract(kind) and issubclass(found, kind))
    return {name for name in vars(kind) if not name.startswith("_") or name == "__call__"} <= set(dir(found))
