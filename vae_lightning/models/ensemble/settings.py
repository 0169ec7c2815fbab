"""Modules alike -> the hyper-parameters in which they differ, and a way to set them as one vector over the members."""

from __future__ import annotations

import functools
import types
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager

from torch import Tensor, nn

from vae_lightning.construction.hyperparameters import is_plain
from vae_lightning.models.reproducible import ReproducibleModule

_BY_MODE = (nn.modules.batchnorm._NormBase, nn.modules.dropout._DropoutNd)  # differ between train() and eval()
_NOT_SETTINGS = (nn.Module, Tensor, type, types.FunctionType, types.MethodType, functools.partial)

# A trial with `beta` as a buffer without dimensions, stacked as weights are, kept the bits and came out worse: it
# cannot be set to a number (`objective.beta = 0.5` is a TypeError), `module.float()` rounds it, and the objectives that
# a warm-up makes for a step are in no stack, so that their values have to be passed in as here. And only what an author
# declares is a buffer: a float of a user's objective would be the first member's for all, if not looked for as here.


def settings(module: nn.Module) -> dict[str, object]:
    """Plain attributes of a module, of its children and of the objects they hold, with the classes of all, by name."""
    found: dict[str, object] = {}
    for name, child in module.named_modules():
        found |= _attributes(child, f"{name}." if name else "")
    return found


def _attributes(owner: object, prefix: str) -> dict[str, object]:
    found: dict[str, object] = {f"{prefix}__class__": type(owner).__qualname__}
    own = owner.own if isinstance(owner, ReproducibleModule) else frozenset[str]()
    for name, value in vars(owner).items():
        if name.startswith("_") or name in own or (name == "training" and not isinstance(owner, _BY_MODE)):
            continue
        if is_plain(value):
            found[prefix + name] = value
        elif type(value).__dictoffset__ and not isinstance(value, _NOT_SETTINGS):  # an object with attributes
            found |= _attributes(value, f"{prefix}{name}.")
    return found


def differing(modules: Sequence[nn.Module]) -> dict[str, list[object]]:
    """The settings in which modules are not all the same, with the value of each; None where one has no such thing."""
    each = [settings(module) for module in modules]
    names = dict.fromkeys(name for found in each for name in found)
    values = {name: [found.get(name) for found in each] for name in names}
    return {name: of_all for name, of_all in values.items() if any(value != of_all[0] for value in of_all)}


def stackable(differences: Mapping[str, Sequence[object]], module: nn.Module) -> dict[str, list[float]]:
    """Differences between modules like this one, if all are in float attributes of (sub)modules; else ValueError."""
    children, found = dict(module.named_modules()), dict[str, list[float]]()
    for name, values in differences.items():
        numbers = [value for value in values if isinstance(value, int | float) and not isinstance(value, bool)]
        mistaken = len(numbers) < len(values) or float not in map(type, values)
        if mistaken or name.rpartition(".")[0] not in children:
            odd = next(number for number, value in enumerate(values) if value != values[0])
            raise ValueError(
                f"members may differ in float attributes of modules alone, but {name} is {values[0]!r} in member 0 and "
                f"{values[odd]!r} in member {odd}; train those that differ as ensembles of their own"
            )
        found[name] = numbers
    return found


@contextmanager
def overridden(module: nn.Module, values: Mapping[str, Tensor]) -> Iterator[None]:
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
