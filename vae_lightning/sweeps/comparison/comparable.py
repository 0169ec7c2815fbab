"""Comparable: runs and a figure -> ValueError where the figure means something else in some of them, or a remark."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

from vae_lightning.files import expanded
from vae_lightning.sweeps.comparison.glossary import COPIES
from vae_lightning.sweeps.comparison.options import Options, differing
from vae_lightning.sweeps.comparison.trained import Trained
from vae_lightning.trust.checkpoint import unpickled

_HOW_READ = ("batch_size", "eval_batch_size", "predict_split", "num_workers", "download", "steps", "path")
"""Options of data that do not change what is measured, or of which more is known than their text."""


def check(runs: Sequence[Trained], figures: Iterable[str]) -> None:
    """ValueError unless these figures are of the same data, under families alike, and mean the same in all runs."""
    _check_same(runs, _data, "two runs of different data in compare")
    _check_same(runs, _observed, "two runs that observe different things in compare")
    _check_same(runs, _vocabulary, "two runs of different data in compare")
    odd = [name for name in differing([run.options for run in runs]) if _is_objective(name)]
    for figure in figures:
        split, _, name = figure.partition("/")
        if odd and (split == "train" or name.startswith("loss")):
            raise ValueError(
                f"{figure} is by each run's own objective, and these differ in {', '.join(odd[:3])}: compare by a "
                "figure that is the same for all, such as val/nelbo, which is the negative ELBO whatever was trained"
            )


def remarks(runs: Sequence[Trained], figure: str) -> list[str]:
    """Remarks on a figure that can be compared, but with care."""
    kinds = {str(run.options.get("model")).rpartition(".")[2] for run in runs}
    found = []
    if figure.endswith("/nelbo") and "RBM" in kinds and len(kinds) > 1:
        found.append(f"{figure} of an RBM is -log p(x) as annealing estimates it, of a VAE an upper bound of its own")
    odd = [name for name in differing([run.options for run in runs]) if name.startswith("trainer.callbacks")]
    if odd and figure.endswith("log_likelihood"):
        found.append(f"{figure}: trainer.callbacks differ, and an estimate by more samples is a tighter bound")
    if figure.endswith("/smooth_knn"):
        best = ((run.name, value.value) for run in runs if (value := run.best(figure, higher=False)))
        copied = [name for name, value in best if value < COPIES]
        if copied:
            found.append(f"{figure} is below {COPIES:g} in {', '.join(copied)}: samples may be copies of observations")
    return found


def _check_same(runs: Sequence[Trained], what: Callable[[Trained], Options], problem: str) -> None:
    """ValueError if this is another thing for some run than for the first that has said it."""
    said: dict[str, tuple[Trained, object]] = {}
    for run in runs:
        for name, value in what(run).items():
            first, before = said.setdefault(name, (run, value))
            if value != before:
                raise ValueError(
                    f"{problem}: {name} is {before} in {first.folder}, {value} in {run.folder}; "
                    "compare runs of one kind at a time"
                )


def _data(run: Trained) -> Options:
    options = {name: value for name, value in run.options.items() if name == "data" or name.startswith("data.")}
    found = {name: value for name, value in options.items() if name.rpartition(".")[2] not in _HOW_READ}
    for name, value in options.items():
        if name.endswith(".path") and isinstance(value, str):
            found[name] = str(Path(expanded(value)).resolve())
    return found


def _observed(run: Trained) -> Options:
    """The family of the observations, but for a Normal's scale: densities of the same x are compared in nats."""
    named = {name.replace("model.visible", "model.observed", 1): value for name, value in run.options.items()}
    family = {name: value for name, value in named.items() if f"{name}.".startswith("model.observed.")}
    counted = {name: value for name, value in named.items() if name == "model.num_words" and value is not None}
    return {name: value for name, value in (family | counted).items() if not name.endswith(".scale")}


def _vocabulary(run: Trained) -> Options:
    """Of documents, the hash of their words, which the checkpoint has."""
    file = run.folder / "checkpoints" / "last.ckpt"
    if not any(name in run.options for name in ("data.num_words", "data.data.num_words")) or not file.is_file():
        return {}
    states = (state for state in unpickled(file).values() if isinstance(state, dict))
    hashes = [str(state["vocabulary_hash"])[:12] for state in states if "vocabulary_hash" in state]
    return {"the vocabulary's hash": hashes} if hashes else {}


def _is_objective(name: str) -> bool:
    parts = ("objective", "penalt", "members", "constraint")
    return name == "model" or (name.startswith("model.") and any(part in name for part in parts))
