"""ship: a run's checkpoint -> one to send: the model and how its data are read, not what only training needs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from torch import Tensor

from vae_lightning.callbacks import AtomicCheckpointIO
from vae_lightning.files import pointed_to
from vae_lightning.trust import read_checkpoint

AVERAGED = ("current_model_state", "averaging_state")
"""What goes on beside an average of the weights, which is what `state_dict` has."""
TRAINING = ("optimizer_states", "lr_schedulers", "loops", "callbacks", "MixedPrecision", "logged", *AVERAGED)
"""What a checkpoint holds for a training that goes on."""
FILES = ("path", "vocabulary")
"""Arguments of the parts of a data module, a reader or stop words, that name a file."""


def ship(source: Path, target: Path, trust: Sequence[str] = (), half: bool = False) -> None:
    """Write what is kept of one checkpoint into another file: without the optimizer, and without where data lay.

    In half precision, matrices and filters are float16, which a model takes back as float32; vectors, such as running
    variances, whose range can be wider, stay what they are, and so does a matrix with a number beyond float16's range.
    """
    shipped = {name: value for name, value in read_checkpoint(source, trust=trust).items() if name not in TRAINING}
    if half:
        shipped["state_dict"] = {name: _halved(value) for name, value in shipped["state_dict"].items()}
    if "datamodule_hyper_parameters" in shipped:
        shipped["datamodule_hyper_parameters"] = _placeless(shipped["datamodule_hyper_parameters"])
    if "preparation" in shipped:
        shipped["preparation"] = _beside(shipped["preparation"])
    AtomicCheckpointIO().save_checkpoint(shipped, pointed_to(target))


def _halved(value: Any) -> Any:
    if not (isinstance(value, Tensor) and value.is_floating_point() and value.ndim > 1):
        return value
    half = value.half()
    return half if half.isfinite().all() else value  # observations that a prior keeps may be beyond float16


def _placeless(data: Mapping[str, Any]) -> dict[str, Any]:
    """How data were described, without their place; that of data in other data modules, as FullBatch has, neither."""
    return {name: None if name == "path" else _within(name, value) for name, value in data.items()}


def _within(name: str, value: Any) -> Any:
    if isinstance(value, list) and name == "members":
        return [_within("data", each) for each in value]
    if isinstance(value, Mapping) and name == "data" and isinstance(value.get("init_args"), Mapping):
        return {**value, "init_args": _placeless(value["init_args"])}
    return _beside(value)


def _beside(value: Any) -> Any:
    """A part of data, of whose files, such as a vocabulary or stop words, the names alone are kept."""
    if not isinstance(value, Mapping):
        return value
    return {
        name: Path(each).name if name in FILES and isinstance(each, str) else _beside(each)
        for name, each in value.items()
    }
