"""Kept: a checkpoint -> the preparation of the data that its model was trained on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from pkgutil import resolve_name
from typing import Any

from vae_lightning.construction.specification import specification
from vae_lightning.data.preparation import Preparation
from vae_lightning.data.texts.preparation import TextPreparation
from vae_lightning.data.texts.tokenizers import LatinLetters
from vae_lightning.trust import Slot, Trust, one_line


def kept_preparation(content: Mapping[str, Any], path: Path, trust: Sequence[str] = ()) -> Preparation | None:
    """Build what a checkpoint says of its data; None where it says nothing.

    ValueError, which names the file, for classes that are not to be trusted, and for what cannot be built of it.
    """
    said = content.get("preparation") or _of_newsgroups(content)
    if said is None:
        return None
    try:
        Trust(trust).check(said, Slot.of(Preparation), "preparation")
    except ValueError as error:
        raise ValueError(f"{path} is no checkpoint to use: {error}") from error
    with one_line(path):
        built = _built(said)
    assert isinstance(built, Preparation), "its slot takes no other"
    return built


def _built(said: Any) -> Any:
    """Build class paths, those within them first; jsonargparse would, in time quadratic in the words."""
    if isinstance(said, list):
        return [_built(value) for value in said]
    if not isinstance(said, Mapping) or "class_path" not in said:
        return said
    arguments = {name: _built(value) for name, value in (said.get("init_args") or {}).items()}
    return resolve_name(said["class_path"])(**arguments)


def _of_newsgroups(content: Mapping[str, Any]) -> dict[str, Any] | None:
    """What checkpoints of 0.1 say of their words."""
    record = content.get("Newsgroups")
    if not isinstance(record, Mapping) or not isinstance(record.get("words"), list):
        return None
    return specification(TextPreparation(record["words"], LatinLetters()))
