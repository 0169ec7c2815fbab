"""Shapes: a model's configuration in which some are left out, and the data -> the same with those of the data."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import lightning.pytorch as pl
from jsonargparse import Namespace
from lightning.pytorch.cli import LightningCLI

from vae_lightning.data.protocols import observed_shape, vocabulary_size

_FAMILIES = {"observed", "visible"}
"""The arguments of models that are families of observations, or of some around another."""


@dataclass(frozen=True)
class LeftOut:
    """An argument without a value, and where it stands in the configuration."""

    arguments: Namespace
    name: str
    path: str


def is_of_data(option: str) -> bool:
    """Whether the data have a say in this option of a model, as `model.observed.event_shape`."""
    *path, name = option.split(".")
    return name == "num_words" or (name == "event_shape" and not _FAMILIES.isdisjoint(path))


def left_out(described: object, path: str = "model") -> Iterator[LeftOut]:
    """Every number of words, and every shape of a family of observations, that a configuration leaves to the data."""
    if isinstance(described, list):
        for number, each in enumerate(described):
            yield from left_out(each, f"{path}[{number}]")
    arguments = described.get("init_args") if isinstance(described, Namespace) else None
    if not isinstance(arguments, Namespace):
        return
    for name, value in vars(arguments).items():
        if value is None and is_of_data(f"{path}.{name}"):
            yield LeftOut(arguments, name, f"{path}.{name}")
        yield from left_out(value, f"{path}.{name}")


def fill(model: Namespace, data: pl.LightningDataModule) -> None:
    """Give what is left out the data's values, reading the data where they cannot tell before.

    ValueError for data that do not know.
    """
    for each in list(left_out(model)):
        if (value := _value(each.name, data)) is None:
            what = "how many words they have" if each.name == "num_words" else "the shape of an observation"
            raise ValueError(f"{type(data).__name__} does not say {what}: give it by --{each.path}")
        each.arguments[each.name] = value


def _value(name: str, data: pl.LightningDataModule) -> int | list[int] | None:
    if name == "num_words":
        return vocabulary_size(data)
    if (shape := observed_shape(data)) is None:  # only the files, not yet read, can tell
        data.prepare_data()
        data.setup("fit")
        shape = observed_shape(data)
    if shape is None:
        return None
    return shape[0] if len(shape) == 1 else list(shape)


class AsksData(LightningCLI):
    """A LightningCLI whose models may leave out what their data know."""

    def told_by_data(self, config: Namespace) -> Namespace | pl.LightningDataModule:
        """The data as described; built before the model, whose description they complete, if anything is left out.

        The configuration that is written and what checkpoints say of the model are complete.
        """
        if not any(left_out(config.model)):
            return config.data
        alone = self.config.clone()
        for key in set(vars(config)) - {"data"}:
            del alone[self.subcommand][key]
        data = self.parser.instantiate(alone)[self.subcommand].data
        fill(config.model, data)
        del self.config_dump  # Lightning's, of before: private, for want of a public place
        self._dump_config()
        return data
