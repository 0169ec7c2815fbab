"""Hyper-parameters of checkpoints: plain values that a person can read, and class paths that `trust` looks at."""

from __future__ import annotations

import inspect
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any


def is_plain(value: object) -> bool:
    """Whether a checkpoint can hold this hyper-parameter and be unpickled without running anybody's code."""
    if isinstance(value, dict):
        return all(map(is_plain, [*value.keys(), *value.values()]))
    if isinstance(value, list | tuple):
        return all(map(is_plain, value))
    return value is None or type(value) in (str, int, float, bool)


@contextmanager
def only_plain(module: Any) -> Iterator[None]:
    """Around `save_hyperparameters`: drop what was given as an object; LightningCLI gives class_path and init_args.

    `given_as_objects` names what was dropped and is not the default: whoever loads the checkpoint has to give it again.
    """
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=".*is an instance of `nn.Module`.*")  # it is about to be dropped
        yield
    dropped = {name: value for name, value in module.hparams.items() if not is_plain(value)}
    module.remove_ignored_hparams(list(dropped))
    defaults = inspect.signature(type(module).__init__).parameters
    module.given_as_objects = [name for name, value in dropped.items() if value is not defaults[name].default]
