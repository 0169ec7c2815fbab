"""Runs of the command that are interrupted at a chosen moment, in forked children of this process, and what they leave.

A child has all imports behind it and takes a fraction of a second, where a process of its own takes several.
"""

from __future__ import annotations

import os
import re
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import torch
from lightning.pytorch.trainer import call

from support.command import left_with
from support.forked import in_children
from support.models import events

NAMES = ("last.ckpt", "best.ckpt")


@dataclass(frozen=True)
class Moment:
    """The n-th call of a hook of the callbacks or of the module: before they have it, or when they have had it."""

    hook: str
    number: int
    after: bool = False


class Probe:
    """Counts the hooks of a run, and sends its process a signal at each of these moments."""

    def __init__(self, signals: Mapping[Moment, int] | None = None) -> None:
        self.signals = dict(signals or {})
        self.calls: Counter[str] = Counter()

    def install(self) -> None:
        """Watch what the Trainer calls its callbacks and its module by."""
        for name, what in (("_call_callback_hooks", ""), ("_call_lightning_module_hook", "module.")):
            setattr(call, name, self._watched(getattr(call, name), what))

    def _watched(self, hooks: Callable[..., Any], what: str) -> Callable[..., Any]:
        def watched(trainer: Any, name: str, *args: Any, **kwargs: Any) -> Any:
            self.calls[what + name] += kwargs.get("monitoring_callbacks") is not True
            self._reach(what + name, after=False)
            result = hooks(trainer, name, *args, **kwargs)
            self._reach(what + name, after=True)
            return result

        return watched

    def _reach(self, hook: str, after: bool) -> None:
        if signum := self.signals.get(Moment(hook, self.calls[hook], after)):
            os.kill(os.getpid(), signum)


def forked(
    folder: Path, arguments: Sequence[str], probe: Probe, processes: int = 1, patience: float | None = None
) -> list[int]:
    """`vae-lightning ARGUMENTS` in this folder, the probe in the last of the processes; their exit statuses.

    The status of one that died of a signal is minus it. With `patience`, in seconds, one that takes longer is killed.
    """
    probes = [Probe() for _ in range(processes - 1)] + [probe]
    told = folder / "told"
    statuses = in_children([partial(_command, arguments, each) for each in probes], folder, told, told, patience)
    for written in folder.glob("runs/*/events.out.tfevents.*[!d]"):
        # TensorBoard reads them in the order of the seconds in their names: let the parts be seconds apart
        number = len(list(written.parent.glob("*.ordered")))
        written.rename(written.with_name(f"events.out.tfevents.{number:010d}.ordered"))
    return statuses


def _command(arguments: Sequence[str], probe: Probe) -> int:
    probe.install()
    if status := left_with(arguments):
        return status
    own = Path(f"hooks-{os.getpid()}")  # of several processes the last one's stays, whole
    own.write_text("\n".join(f"{name} {number}" for name, number in probe.calls.items()))
    own.rename("hooks")
    return 0


def newest(folder: Path) -> Path:
    """The folder of the last run that was begun in this folder."""
    return max((folder / "runs").glob("version_*"), key=_number)


def _number(run: Path) -> int:
    return int(run.name.removeprefix("version_"))


def go_on(folder: Path) -> list[str]:
    """The option that resumes the last run, if it has left something to resume from."""
    found = (folder / "runs").glob("version_*/checkpoints/last.ckpt")
    last = sorted(found, key=lambda file: _number(file.parents[1]))[-1:]
    return ["--ckpt_path", str(last[0].relative_to(folder))] if last else []


def in_parts(folder: Path, arguments: Sequence[str], *probes: Probe, processes: int = 1) -> list[list[int]]:
    """A run that is interrupted by each probe in turn, resumed after each, and then left alone; their statuses."""
    folder.mkdir(parents=True, exist_ok=True)
    statuses = []
    for probe in [*probes, Probe()]:
        statuses.append(forked(folder, [*arguments, *go_on(folder)], probe, processes))
    return statuses


@dataclass
class End:
    """All that a run leaves, in plain types, without the name of its folder and what a clock says."""

    last: Any
    best: Any
    metrics: str
    events: dict[str, list[tuple[int, Any]]]
    config: str
    pictures: dict[str, bytes]


def end(folder: Path) -> End:
    """What the last run of this folder left."""
    run = newest(folder)
    last, best = (
        plain(torch.load(run / "checkpoints" / name, weights_only=True)) for name in ("last.ckpt", "best.ckpt")
    )
    kept = ("state_dict", "optimizer_states", "lr_schedulers", "epoch", "global_step")
    return End(
        last, {name: best[name] for name in kept}, (run / "metrics.json").read_text(), _points(run),
        (run / "config.yaml").read_text(), {path.name: path.read_bytes() for path in run.glob("pictures/[!.]*")},
    )  # fmt: skip


def plain(value: Any) -> Any:
    """Tensors as lists, and without the number of a run's folder and what a clock says."""
    if isinstance(value, str):
        return re.sub(r"version_\d+", "version_N", value)
    if isinstance(value, torch.Tensor):
        return (str(value.dtype), value.tolist())
    if isinstance(value, dict):
        # a timer's reading, and what ModelCheckpoint saves but does not load
        return {plain(key): plain(item) for key, item in value.items() if key not in ("Timer", "current_score")}
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    return value


def _points(run: Path) -> dict[str, list[tuple[int, Any]]]:
    read = events(run)
    tags = read.Tags()
    points = {tag: [(point.step, point.value) for point in read.Scalars(tag)] for tag in tags["scalars"]}
    points |= {tag: [(p.step, p.encoded_image_string) for p in read.Images(tag)] for tag in tags["images"]}
    # of texts this reader alone keeps what a resumed run logs again: the last one counts
    texts = {tag: {p.step: p.tensor_proto.SerializeToString() for p in read.Tensors(tag)} for tag in tags["tensors"]}
    return points | {tag: sorted(steps.items()) for tag, steps in texts.items()}


def differences(one: Any, other: Any, where: str = "") -> list[str]:
    """Where two ends differ: none if they are the same, bit for bit."""
    if isinstance(one, End):
        return differences(vars(one), vars(other), where)
    if isinstance(one, dict) and isinstance(other, dict):
        missing = [f"{where}/{key} in one alone" for key in one.keys() ^ other.keys()]
        common = (differences(one[key], other[key], f"{where}/{key}") for key in one.keys() & other.keys())
        return missing + [found for part in common for found in part]
    same = one == other or repr(one) == repr(other)  # NaN equals NaN
    return [] if same else [f"{where}: {repr(one)[:100]} and {repr(other)[:100]}"]
