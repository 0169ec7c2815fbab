"""Hyper-parameters of checkpoints: plain values that a person can read, and class paths that `trust` looks at."""

from __future__ import annotations

import copy
import inspect
import warnings
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from vae_lightning.construction.specification import INSTANTIATOR, OURS, Unspecified, path_of, specification


def is_plain(value: object) -> bool:
    """Whether a checkpoint can hold this hyper-parameter and be unpickled without running anybody's code."""
    if isinstance(value, dict):
        return all(map(is_plain, [*value.keys(), *value.values()]))
    if isinstance(value, list | tuple):
        return all(map(is_plain, value))
    return value is None or type(value) in (str, int, float, bool)


@contextmanager
def only_plain(module: Any) -> Iterator[None]:
    """Around `save_hyperparameters`: keep plain values, and objects as their class paths and arguments.

    What LightningCLI builds has class_path and init_args already. Of what is built in Python `specification` says them,
    and the class's own path, so that `vae_lightning.load` needs nothing else. Where they are of somebody's own modules
    they are kept apart, in `specified`: what loads a checkpoint without being told to trust those builds nothing of it.
    `given_as_objects` names the arguments that hyper-parameters do not hold, and that are not the default.
    """
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=".*is an instance of `nn.Module`.*")  # it is about to be dropped
        yield
    defaults = {name: p.default for name, p in inspect.signature(type(module).__init__).parameters.items()}
    objects = {name: value for name, value in module.hparams.items() if not is_plain(value)}
    given = {name: value for name, value in objects.items() if value is not defaults.get(name)}
    module.remove_ignored_hparams(list(objects))
    module.given_as_objects, module.specified = [], {}
    if "_instantiator" in module.hparams:
        return
    try:
        module.hparams.update(_said(module, given, OURS) | {"_instantiator": INSTANTIATOR})
        module._hparams_initial = copy.deepcopy(module._hparams)
    except Unspecified:
        module.given_as_objects = list(given)
        with suppress(Unspecified):
            module.specified = _said(module, given)


def check_objects(objects: Iterable[str], given: Mapping[str, Any], path: Path) -> None:
    """ValueError if a model was built in Python from objects, by these names, that are not given again."""
    missing = [name for name in objects if name not in given and name not in ("optimizer", "scheduler")]
    if missing:
        raise ValueError(
            f"{path} is of a model that was given objects, which a checkpoint does not keep: give "
            f"{', '.join(missing)} to load_from_checkpoint as they were"
        )


def _said(module: object, given: Mapping[str, object], within: Sequence[str] = ()) -> dict[str, Any]:
    """The arguments' specifications and the path of the module's class."""
    said = {name: specification(value, within) for name, value in given.items()}
    return said | {"_class_path": path_of(type(module), within)}
