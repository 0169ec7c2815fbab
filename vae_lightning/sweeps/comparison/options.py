"""Options: the configuration of a run -> its options by name, and where those of two runs differ."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple

from vae_lightning.callbacks.run.configurations import configurations
from vae_lightning.construction.leaves import flat
from vae_lightning.training.shapes import is_of_data
from vae_lightning.trust import read_record

Options = dict[str, Any]
"""The leaves of a configuration by their keys, as `model.objective.beta`."""
_SEED = "seed_everything"
_LENGTH = tuple(f"trainer.{name}" for name in ("max_epochs", "min_epochs", "max_steps", "min_steps", "max_time"))
_PLACES = ("save_dir", "version", "name", "dirpath", "default_root_dir", "filename")


def written(folder: Path) -> Options:
    """The options that the run in this folder ended with; ValueError if the file of these is damaged."""
    return _of(configurations(folder)[-1][1])


class Start(NamedTuple):
    """From which step on a run had the options of which file, and in words what it changed."""

    step: int
    file: Path
    changed: str


def starts(folder: Path) -> list[Start]:
    """The beginning of a run, and each time that it went on with options that make it another than a longer one.

    Where the length alone was changed, the run is the one that its last options make.
    """
    files = configurations(folder)
    found = [Start(*files[0], "")]
    for (_, before), (step, file) in pairwise(files):
        changed = _changed(_of(before), _of(file))
        found = [*found, Start(step, file, changed)] if changed else [*found[:-1], found[-1]._replace(file=file)]
    return found


def _changed(before: Options, here: Options) -> str:
    names = [name for name in {**before, **here} if _spread([before.get(name), here.get(name)])]
    names = [name for name in names if name not in _LENGTH and not _is_place(name)]
    names = [name for name in names if name in here or not _has_parent(name, names)]
    old, new = ({name: shown(options.get(name)) or "none" for name in names} for options in (before, here))
    return ", ".join(f"{name} {new[name]}" + f" ({old[name]} before)" * (name in before) for name in names)


def _of(file: Path) -> Options:
    if not (read := read_record(file)):
        raise ValueError(f"{file} is damaged: it holds no options")
    return leaves(read)


def leaves(config: Mapping[str, Any]) -> Options:
    """The options of a configuration, but for the checkpoint that it goes on from.

    What is in a list of parts stands under the name of its class, as `trainer.callbacks.Samples.n`.
    """
    return dict(flat({name: _by_class(value) for name, value in config.items() if name != "ckpt_path"}))


def class_name(described: object) -> str:
    """The last part of a class path, of what a configuration describes; empty if it describes none."""
    path = described.get("class_path") if isinstance(described, Mapping) else described
    return path.rpartition(".")[2] if isinstance(path, str) else ""


def _by_class(value: object) -> Any:
    if isinstance(value, Mapping):
        return {name: _by_class(each) for name, each in value.items()}
    if isinstance(value, list):
        parts = {class_name(each): _by_class(each) for each in value if isinstance(each, Mapping)}
        return parts if parts and "" not in parts and len(parts) == len(value) else value
    return value


def differences(there: Options, here: Options) -> str:
    """The options that differ, with both values; empty if none do, but for those that the data told."""
    names = [name for name in {**there, **here} if there.get(name) != here.get(name)]
    names = [name for name in names if not (is_of_data(name) and here.get(name) is None)]
    return ", ".join(f"{name} {there.get(name)} there, {here.get(name)} here" for name in names)


def differing(runs: Sequence[Options]) -> list[str]:
    """The options in which runs differ, but for where and by what they log.

    Of what only some runs have, since another class has no such option, those that differ among these.
    """
    names = sorted(dict.fromkeys(name for run in runs for name in run), key=_SEED.__eq__)  # it comes last
    found = [name for name in names if _spread([run.get(name) for run in runs]) and not _is_place(name)]
    return [
        name for name in found
        if all(name in run for run in runs) or not _has_parent(name, found)
        or _spread([run[name] for run in runs if name in run])
    ]  # fmt: skip


def shown(value: object) -> str:
    """A value in a table: of a class path the class, which has a capital, as the ending of a file has not."""
    if isinstance(value, str) and value.replace(".", "_").isidentifier():
        last = value.rpartition(".")[2]
        return last if last[:1].isupper() else value
    text = "" if value is None else str(value)
    return text if len(text) <= 40 else f"{text[:37]}..."


def _spread(values: Iterable[object]) -> bool:
    """Whether there is more than one value: 1 and 1.0 are the same, 1 and true are not."""
    return (
        len({repr(float(v)) if isinstance(v, int | float) and not isinstance(v, bool) else repr(v) for v in values}) > 1
    )


def _is_place(name: str) -> bool:
    of_writing = name.rpartition(".")[2] in _PLACES and name.startswith(("trainer.", "best."))
    return of_writing or name.startswith("trainer.logger")


def _has_parent(name: str, others: Iterable[str]) -> bool:
    return any(name.startswith(f"{other}.") for other in others)
