"""read_checkpoint: a file -> what a checkpoint of this project holds, whole and of the right types, or ValueError.

This is the one door that checkpoints come in by. Whoever wrote one may choose among models, and cannot run anything.
"""

from __future__ import annotations

import re
import zipfile
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from pkgutil import resolve_name
from typing import Any

import torch
from torch import Tensor

from vae_lightning.construction.specification import INSTANTIATOR, paths_of
from vae_lightning.trust.classes import Trust
from vae_lightning.trust.slots import Slot
from vae_lightning.trust.states import check_states

_NEEDED: dict[str, type] = {"state_dict": dict, "epoch": int, "global_step": int, "pytorch-lightning_version": str}
_OPTIONAL: dict[str, type] = {
    "hyper_parameters": dict, "hparams_name": str, "hparams_type": str, "seed": int, "given_as_objects": list,
    "specified": dict, "preparation": dict,
    "datamodule_hyper_parameters": dict, "datamodule_hparams_name": str, "datamodule_hparams_type": str,
    "loops": dict, "callbacks": dict, "optimizer_states": list, "lr_schedulers": list, "logged": dict,
}  # fmt: skip
_NEVER = ("hparams", "module_arguments")  # by which Lightning took hyper-parameters before 1.0, and still does
_VERSION = re.compile(r"[2-9]\d*(\.\d+)+((a|b|rc|\.?post|\.?dev)\d+)*")  # for older ones Lightning rewrites contents
_PARTS = {
    "hyper_parameters": "lightning.pytorch:LightningModule",
    "datamodule_hyper_parameters": "lightning.pytorch:LightningDataModule",
}
"""Of what kind the class is that each is for."""


def read_checkpoint(path: Path, kind: type | None = None, trust: Iterable[str] = ()) -> dict[str, Any]:
    """The content of a checkpoint: weights, plain values, and class paths that may be built.

    Args:
        path: the file.
        kind: the class that will be built of it, if that is known: the class itself is then the caller's word.
        trust: packages of the user's own whose classes may be built, beside those of VAE_LIGHTNING_TRUST.

    ValueError, which names the file, unless it is there, whole (by the checksums of all its records), without pickled
    objects, of the right types, and names no class but those that `Trust` allows.
    """
    content = read_unbuilt(path)
    check_classes(content, path, kind, trust)
    return content


def read_unbuilt(path: Path) -> dict[str, Any]:
    """As `read_checkpoint`, for who builds nothing of the class paths in it, or has `Trust` look at them first."""
    content = unpickled(path)
    with _told(path):
        _check_form(content)
        check_states(content)
    return content


@contextmanager
def _told(path: Path) -> Iterator[None]:
    try:
        yield
    except (ValueError, RecursionError) as error:
        raise ValueError(f"{path} is no checkpoint to use: {error}") from error


def unpickled(path: Path) -> Any:
    """What `torch.save` wrote, of plain types and tensors; ValueError for a file that is missing or not whole."""
    if not path.is_file():
        raise ValueError(f"there is no checkpoint {path}")
    try:
        _check_whole(path)
        return torch.load(path, weights_only=True, map_location="cpu")
    except Exception as error:  # zipfile and torch raise all kinds, by what the bytes happen to look like
        reason = " ".join(str(error).split())[:200]
        raise ValueError(f"{path} is not a whole checkpoint of `vae-lightning fit`: {reason}") from error


def _check_whole(path: Path) -> None:
    """ValueError for a record that is not what was written; read in pieces, and nothing is unpacked."""
    with zipfile.ZipFile(path) as file:
        if any(record.compress_type != zipfile.ZIP_STORED for record in file.infolist()):
            raise ValueError("it has compressed records, which torch does not write")
        if (damaged := file.testzip()) is not None:
            raise ValueError(f"its record {damaged} is damaged")


def _check_form(content: object) -> None:
    if not isinstance(content, dict) or not all(isinstance(name, str) for name in content):
        raise ValueError(f"it holds a {type(content).__name__}, no mapping of names to values")
    if missing := [name for name in _NEEDED if name not in content]:
        raise ValueError(f"it has no {', '.join(missing)}")
    if old := [name for name in _NEVER if name in content]:
        raise ValueError(f"it has {', '.join(old)}, which Lightning has not written since 1.0")
    for name, kind in (_NEEDED | _OPTIONAL).items():
        value = content.get(name, kind())
        if type(value) is bool or not isinstance(value, kind) or (isinstance(value, int) and value < 0):
            raise ValueError(f"{name} is {_shown(value)}, not {_said(kind)}")
    if not _VERSION.fullmatch(version := content["pytorch-lightning_version"]):
        raise ValueError(f"it is of Lightning {version!r:.20}, and is read from version 2.0 on")
    for name, tensor in content["state_dict"].items():
        if not isinstance(name, str) or not isinstance(tensor, Tensor):
            raise ValueError(f"state_dict has {_shown(name)} of {type(tensor).__name__}, not names of tensors")
    if not all(isinstance(name, str) for name in content.get("given_as_objects", [])):
        raise ValueError("given_as_objects is no list of names")


def _shown(value: object) -> str:
    """What it is; what holds other things may hold itself a million times, and is not printed."""
    return f"{value!r:.40}" if isinstance(value, str | int | float) else f"a {type(value).__name__}"


def _said(kind: type) -> str:
    return {int: "a whole number from 0", str: "text", dict: "a mapping", list: "a list"}[kind]


def check_classes(content: Mapping[str, Any], path: Path, kind: type | None = None, trust: Iterable[str] = ()) -> None:
    """ValueError, which names the file, for class paths that `Trust` does not allow."""
    with _told(path):
        _check_classes(content, kind, Trust(trust))


def _check_classes(content: Mapping[str, Any], kind: type | None, trust: Trust) -> None:
    parts: dict[str, type] = {part: resolve_name(base) for part, base in _PARTS.items()}
    of_kind = {part: base for part, base in parts.items() if kind is not None and issubclass(kind, base)}
    for part, base in (of_kind or parts).items():
        _check_hyperparameters(dict(content.get(part, {})), part, Slot.of(base), kind, trust)


def _check_hyperparameters(given: dict[str, Any], part: str, slot: Slot, kind: type | None, trust: Trust) -> None:
    """`_class_path` and `_instantiator` are LightningCLI's words for what is built and by what."""
    if (instantiator := given.pop("_instantiator", INSTANTIATOR)) != INSTANTIATOR:
        raise ValueError(f"{part} is to be built by {instantiator!r:.100}, not by {INSTANTIATOR}")
    path = given.pop("_class_path", None)
    if path is not None and (kind is None or path not in paths_of(kind)):
        kind = trust.imported(path, slot, f"{part}._class_path")
    if kind is None:
        trust.check_plain(given, part)
    else:
        trust.check_arguments(kind, given, "")
