"""Specification: an object, or what builds one -> class path and arguments in plain values, as a config has them."""

from __future__ import annotations

import functools
import inspect
import numbers
import sys
from collections.abc import Iterable, Mapping, Sequence
from pkgutil import resolve_name
from typing import Any
from weakref import ref

OURS = ("vae_lightning", "torch.nn", "torch.optim", "lightning.pytorch.cli.ReduceLROnPlateau")
"""Of what packages and classes a checkpoint may have things built, whoever wrote it."""

INSTANTIATOR = "lightning.pytorch.cli.instantiate_module"
"""What a checkpoint says that its class paths are built by."""

_GIVEN = "_given_to_constructor"  # among the attributes of an object


class Unspecified(TypeError):
    """There is no class path and plain arguments that say what this is."""


class _Given:
    """What an object was built with: an attribute of that object, which lives as long; None in what is made of it.

    A copy may have been changed since, so that nothing says how it is built.
    """

    def __init__(self, built: object, arguments: dict[str, Any]) -> None:
        self.built, self.arguments = ref(built), arguments

    def __deepcopy__(self, memo: object) -> None:
        return None

    def __reduce__(self) -> tuple[type[None], tuple[()]]:
        return type(None), ()


def remember(owner: type, arguments: Mapping[str, Any]) -> None:
    """What an object of exactly this class is built with; `arguments` is its constructor's `locals()`."""
    built = arguments.get("self")
    if type(built).__init__ is owner.__init__ and _has_attributes(built):  # type: ignore[misc]  # compared alone
        given = {name: value for name, value in arguments.items() if name not in ("self", "__class__")}
        vars(built)[_GIVEN] = _Given(built, given)  # a module's own __setattr__ waits for the constructor of nn.Module


def _given(value: object) -> dict[str, Any] | None:
    """What it was built with, if it remembers that: not what something that it is a shallow copy of does."""
    given = vars(value).get(_GIVEN) if _has_attributes(value) else None
    return given.arguments if given is not None and given.built() is value else None


def _has_attributes(value: object) -> bool:
    """Whether any can be added to it, and it can be referred to without being kept alive."""
    kind = type(value)
    return kind.__dictoffset__ != 0 and kind.__weakrefoffset__ != 0  # below 0 from Python 3.12 on


def specification(value: Any, within: Sequence[str] = ()) -> Any:
    """Plain values as they are; else `{class_path, init_args}`, however deep.

    Of an object of this project it is what it was built with, of a `functools.partial` of a class what it will build
    with, of a class or a function its path. Raises `Unspecified` for any other object, and for what was made within a
    function or typed into a session, which nobody can import; with `within`, of other packages than these, too.
    """
    if value is None or type(value) in (bool, int, float, str):
        return value
    if isinstance(value, numbers.Integral):
        return int(value)
    if isinstance(value, numbers.Real):
        return float(value)
    if isinstance(value, list | tuple):
        return [specification(item, within) for item in value]
    if isinstance(value, Mapping):
        return {name: specification(item, within) for name, item in value.items()}
    return _of_object(value, within)


def _of_object(value: Any, within: Sequence[str]) -> str | dict[str, Any]:
    if inspect.isfunction(value):
        return path_of(value, within)
    if inspect.isclass(value):
        return {"class_path": path_of(value, within)}
    if isinstance(value, functools.partial) and inspect.isclass(value.func) and not value.args:
        return _specified(value.func, value.keywords, within)
    if (given := _given(value)) is not None:
        return _specified(_built_by(type(value)), given, within)
    if _has_no_arguments(type(value)) and not vars(value):
        return {"class_path": path_of(type(value), within)}
    raise Unspecified(f"nothing says how this {type(value).__name__} was built")


def path_of(named: Any, within: Sequence[str] = ()) -> str:
    """The shortest path by which a class or a function can be imported: that of its room, if its room has it."""
    paths = paths_of(named)
    if not paths:
        raise Unspecified(f"{named.__qualname__} cannot be imported from {named.__module__}")
    if within and not is_within(paths[0], within):
        raise Unspecified(f"{paths[0]} is of none of {', '.join(within)}")
    return paths[0]


def paths_of(named: Any) -> list[str]:
    """All paths by which it can be imported, of its module and of the packages around it, the shortest first."""
    name, parts = named.__qualname__, (named.__module__ or "__main__").split(".")
    if "." in name or parts == ["__main__"]:
        return []
    modules = [".".join(parts[:end]) for end in range(1, len(parts) + 1)]
    return [f"{module}.{name}" for module in modules if module in sys.modules and _in(module, name) is named]


def _in(module: str, name: str) -> Any:
    """What a module has by this name, or says that it has: some import that once it is used."""
    found = vars(sys.modules[module])
    return resolve_name(f"{module}:{name}") if name in found.get("__all__", ()) else found.get(name)


def is_within(path: str, packages: Iterable[str]) -> bool:
    """Whether it is one of these paths, or of a module below one."""
    return any(path == package or path.startswith(f"{package}.") for package in packages)


def _built_by(kind: type) -> type:
    """The class itself; if it is private, the public one beside it whose constructor it has, and which chose it."""
    owner = next(base for base in kind.__mro__ if "__init__" in vars(base))
    return owner if kind.__name__.startswith("_") and kind.__module__ == owner.__module__ else kind


def _has_no_arguments(kind: type) -> bool:
    """Whether a class of Python's has no constructor of its own, so that nothing was given to it."""
    own = {name for base in kind.__mro__[:-1] for name in vars(base)}
    return "__dict__" in own and not own & {"__init__", "__new__"}


def _specified(kind: type, arguments: Mapping[str, Any], within: Sequence[str]) -> dict[str, Any]:
    """With the arguments that are not the constructor's defaults."""
    defaults = {name: parameter.default for name, parameter in inspect.signature(kind).parameters.items()}
    given = {
        name: value for name, value in arguments.items() if defaults.get(name, inspect.Parameter.empty) is not value
    }
    said = {"class_path": path_of(kind, within)}
    return said | ({"init_args": specification(given, within)} if given else {})
