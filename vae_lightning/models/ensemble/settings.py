"""Modules alike -> the hyper-parameters in which they differ, and a way to set them as one vector over the members."""

from __future__ import annotations

import functools
import types
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from torch import Tensor, nn

from vae_lightning.hyperparameters import is_plain
from vae_lightning.models.reproducible import ReproducibleModule

_BY_MODE = (nn.modules.batchnorm._NormBase, nn.modules.dropout._DropoutNd)  # differ between train() and eval()
_NOT_SETTINGS = (nn.Module, Tensor, type, types.FunctionType, types.MethodType, functools.partial)


def settings(module: nn.Module) -> dict[str, Any]:
    """Plain attributes of a module, of its children and of the objects they hold, with the classes of all, by name."""
    found: dict[str, Any] = {}
    for name, child in module.named_modules():
        found |= _attributes(child, f"{name}." if name else "")
    return found


def _attributes(owner: Any, prefix: str) -> dict[str, Any]:
    found: dict[str, Any] = {f"{prefix}__class__": type(owner).__qualname__}
    own = owner.own if isinstance(owner, ReproducibleModule) else frozenset[str]()
    for name, value in vars(owner).items():
        if name.startswith("_") or name in own or (name == "training" and not isinstance(owner, _BY_MODE)):
            continue
        if is_plain(value):
            found[prefix + name] = value
        elif hasattr(value, "__dict__") and not isinstance(value, _NOT_SETTINGS):
            found |= _attributes(value, f"{prefix}{name}.")
    return found


def differing(modules: Sequence[nn.Module]) -> dict[str, list[Any]]:
    """The settings in which modules are not all the same, with the value of each; None where one has no such thing."""
    each = [settings(module) for module in modules]
    names = dict.fromkeys(name for found in each for name in found)
    values = {name: [found.get(name) for found in each] for name in names}
    return {name: of_all for name, of_all in values.items() if any(value != of_all[0] for value in of_all)}


def stackable(modules: Sequence[nn.Module]) -> dict[str, list[float]]:
    """The float attributes of (sub)modules in which modules differ; ValueError if they differ in anything else."""
    children = dict(modules[0].named_modules())
    found = differing(modules)
    for name, values in found.items():
        numbers = all(type(value) in (int, float) for value in values) and float in map(type, values)
        if not numbers or name.rpartition(".")[0] not in children:
            odd = next(number for number, value in enumerate(values) if value != values[0])
            raise ValueError(
                f"members may differ in float attributes of modules alone, but {name} is {values[0]!r} in member 0 and "
                f"{values[odd]!r} in member {odd}; train those that differ as ensembles of their own"
            )
    return found


@contextmanager
def setting(module: nn.Module, values: Mapping[str, Tensor]) -> Iterator[None]:
    """Within the block, float attributes of (sub)modules have other values."""
    places = [(vars(module.get_submodule(name.rpartition(".")[0])), name.rpartition(".")[2]) for name in values]
    before = [attributes[name] for attributes, name in places]
    for (attributes, name), value in zip(places, values.values(), strict=True):
        attributes[name] = value
    try:
        yield
    finally:
        for (attributes, name), value in zip(places, before, strict=True):
            attributes[name] = value
