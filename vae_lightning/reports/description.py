"""Description: a run's configuration -> in words: what was trained, on what, how, with what, and how to repeat it."""

from __future__ import annotations

import math
import shlex
from collections.abc import Iterator, Mapping
from typing import Any

from vae_lightning.reports.run import Run, mapping
from vae_lightning.sweeps.comparison.options import class_name, starts

Items = list[tuple[str, str]]
"""What something is, and the text of it."""
_SPLITS = {"train": "to train on", "val": "to validate", "test": "to test"}
_LONGEST = 400


def sentence(run: Run) -> str:
    """One sentence: model, data, length of training, seed, version."""
    parts = [f"{_article(run.model)} {run.model}" if run.model else "A model built in Python"]
    parts += [f"of {parameters:,} parameters"] if isinstance(parameters := run.about.get("parameters"), int) else []
    parts += [f"trained on {run.data}"] if run.data else []
    parts += [f"({sizes})"] if (sizes := observations(run)) else []
    parts += [length] if (length := training_length(run)) else []
    seed = run.config.get("seed_everything")
    parts += [f"with seed {seed}"] if seed is not None else []
    versions = [str(each["version"]) for each in run.environments if "version" in each]
    parts += [f"by vae-lightning {versions[-1]}"] if versions else []
    return " ".join(parts) + "."


def observations(run: Run) -> str:
    """How many there are of each split, and what one is; empty where the run does not say."""
    known = mapping(run.about.get("observations"))
    sizes = [f"{known[name]:,} {what}" for name, what in _SPLITS.items() if isinstance(known.get(name), int)]
    shape, words = run.about.get("shape"), run.about.get("words")
    one = [f"{words:,} words" if isinstance(words, int) else f"each {tuple(shape)}" if isinstance(shape, list) else ""]
    return "; ".join(filter(None, [", ".join(sizes), *one]))


def training_length(run: Run) -> str:
    """Epochs, steps and the time that passed between the first figure and the last one of the training."""
    curves = [curve for name, curve in run.curves.items() if name.startswith(("train/", "val/"))]
    logged: dict[str, list[float]] = {
        "epochs": [1 + curve.values[-1] for name, curve in run.curves.items() if name == "epoch"],
        "steps": [1 + curve.steps[-1] for curve in curves],
    }
    told = []
    for what, numbers in logged.items():
        number = run.about.get(what, max(numbers, default=None))
        called = what.removesuffix("s") if number == 1 else what
        told += [f"{number:,.0f} {called}"] if isinstance(number, int | float) else []
    times = [at for curve in curves for at in (curve.seconds[0], curve.seconds[-1]) if math.isfinite(at)]
    if times and len(run.environments) < 2:
        told.append(f"in {_duration(max(times) - min(times))}")
    first, *rest = told or [""]
    return (f"for {first}" if first else "") + (f" ({', '.join(rest)})" if rest else "")


def parts(run: Run) -> Items:
    """The options of model and data, each as one text; those that are not given are left out.

    Of a run that went on with other options these are the last, and what was changed follows.
    """
    found: Items = []
    for part in ("model", "data"):
        described = run.config.get(part)
        if class_name(described):
            found.append((part.capitalize(), class_name(described)))
            found += [
                (name.replace("_", " "), told(value)) for name, value in _arguments(described) if value is not None
            ]
    return [*found, *((f"From step {start.step} on", start.changed) for start in starts(run.folder)[1:])]


def told(value: object) -> str:
    """A value of a configuration as Python would write it: `MLP(hidden=[200, 200])`."""
    if isinstance(value, Mapping) and class_name(value):
        inner = ", ".join(f"{name}={told(each)}" for name, each in _arguments(value) if each is not None)
        text = f"{class_name(value)}({inner})" if inner else class_name(value)
    elif isinstance(value, list):
        text = f"[{', '.join(map(told, value))}]"
    else:
        text = str(value)
    return text if len(text) <= _LONGEST else text[: _LONGEST - 1] + "…"


def _arguments(described: object) -> Iterator[tuple[str, Any]]:
    yield from mapping(mapping(described).get("init_args")).items()
    yield from mapping(mapping(described).get("dict_kwargs")).items()


def made_with(run: Run) -> Items:
    """Versions and hardware; a run that went on elsewhere has several of some."""
    every: dict[str, list[str]] = {}
    for environment in run.environments:
        for name, value in environment.items():
            every.setdefault(name, [])
            every[name] += [str(value)] if str(value) not in every[name] else []
    called = {"version": "vae-lightning", "python": "Python"}
    return [(called.get(name, name), ", then ".join(values)) for name, values in every.items()]


def commands(run: Run) -> Items:
    """How to repeat the run, test it and go on with it."""
    folder = shlex.quote(str(run.folder))
    found: Items = []
    if run.config:
        every = starts(run.folder)
        for start, end in zip(every, [*every[1:], None], strict=True):
            command = f"vae-lightning fit --config {shlex.quote(str(start.file))}"
            command += " --ckpt_path NEW_RUN" if start.step else ""
            command += f" --trainer.max_steps {end.step}" if end else ""
            found.append((f"Go on with that new run from step {start.step}" if start.step else "Repeat it", command))
    if run.config and run.checkpoint:
        found.append(("Evaluate it on the test split", f"vae-lightning test --ckpt_path {folder}"))
        found.append(("Train it further", f"vae-lightning fit --ckpt_path {folder} --trainer.max_epochs N"))
    return found


def in_python(run: Run) -> str:
    """How to load its model in Python; empty without a checkpoint."""
    if run.checkpoint is None:
        return ""
    path = str(run.folder if run.checkpoint.name == "best.ckpt" else run.checkpoint)
    return f"import vae_lightning as vl\n\nmodel = vl.load({path!r})"


def _article(name: str) -> str:
    return "An" if name[:1] in "AEIO" or name[:3] in ("HVA", "MRF", "RBM") else "A"


def _duration(seconds: float) -> str:
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"
