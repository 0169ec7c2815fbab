"""jaxtyping's import hook -> the same checks of kinds and shapes, at a quarter of what they cost."""

from __future__ import annotations

import functools
import inspect
import types
import typing
from collections.abc import Callable
from typing import Any

import jaxtyping
from beartype import BeartypeConf, beartype
from jaxtyping import AbstractArray, TypeCheckError, config

_slowly = jaxtyping.jaxtyped
_check = beartype(conf=BeartypeConf(violation_type=TypeCheckError))


def check_quickly() -> None:
    """Have what the hook imports from now on checked by this module's `jaxtyped`."""
    jaxtyping.jaxtyped = jaxtyped


def jaxtyped(fn: Any = None, **how: Any) -> Any:
    """As jaxtyping's, which binds the arguments of a call, checks them, and once more behind it, for its messages.

    Here beartype checks them and what is returned once, in a context of jaxtyping where the letters of shapes have to
    agree; a function without letters needs none.
    """
    if fn is None:
        return functools.partial(jaxtyped, **how)
    if not inspect.isfunction(fn) or inspect.isgeneratorfunction(fn) or "__wrapped__" in vars(fn):
        return _slowly(fn, **how)
    hints = {name: _resolved(hint, fn) for name, hint in fn.__annotations__.items()}
    checked = _check(_annotated(fn, hints))
    shapes = any(map(_speaks_of_shapes, hints.values()))

    @functools.wraps(fn)
    def wrapped(*args: Any, **kwargs: Any) -> Any:
        __tracebackhide__ = True
        if config.jaxtyping_disable:
            return fn(*args, **kwargs)
        if not shapes:
            return checked(*args, **kwargs)
        with _slowly("context"):
            return checked(*args, **kwargs)

    return wrapped


def _resolved(hint: Any, fn: Callable[..., Any]) -> Any:
    """What the text of an annotation means where the function is; of what it does not know there, anything goes."""

    def holder() -> None: ...

    holder.__annotations__ = {"value": hint}
    try:
        return typing.get_type_hints(holder, fn.__globals__, include_extras=True)["value"]
    except Exception:  # as jaxtyping does
        return Any


def _annotated(fn: Any, hints: dict[str, Any]) -> Callable[..., Any]:
    """The same function with other annotations."""
    same = types.FunctionType(fn.__code__, fn.__globals__, fn.__name__, fn.__defaults__, fn.__closure__)
    same.__kwdefaults__, same.__annotations__ = fn.__kwdefaults__, hints
    same.__qualname__, same.__module__, same.__doc__ = fn.__qualname__, fn.__module__, fn.__doc__
    return same


def _speaks_of_shapes(hint: Any) -> bool:
    if inspect.isclass(hint) and issubclass(hint, AbstractArray):
        return True
    parts = hint if isinstance(hint, list | tuple) else typing.get_args(hint)
    return any(map(_speaks_of_shapes, parts))
