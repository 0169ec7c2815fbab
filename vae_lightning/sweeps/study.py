"""Study: the trials of a search in Optuna's journal -> the next ones to run, and what pruners know of the others."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

from vae_lightning.sweeps.grid import Run, named_run
from vae_lightning.sweeps.running import Task
from vae_lightning.sweeps.space import Axis

_NAME, _JOURNAL = "sweep", "optuna.journal"


@dataclass(frozen=True)
class Trial(Task):
    """A run of a search: its number, and the figure by which it is judged."""

    number: int
    by: str


class Journal:
    """Optuna's record of a search in the folder of its runs, which all of their processes write.

    ValueError without Optuna, which is the extra `search`.
    """

    def __init__(self, folder: Path) -> None:
        try:
            self.optuna: Any = import_module("optuna")
            journal: Any = import_module("optuna.storages.journal")
        except ImportError as error:
            raise ValueError(
                "a space is searched by Optuna, which is not installed: pip install 'vae-lightning[search]', or give "
                "the values of a grid by --grid.OPTION"
            ) from error
        self.optuna.logging.set_verbosity(self.optuna.logging.WARNING)
        folder.mkdir(parents=True, exist_ok=True)
        self.storage = self.optuna.storages.JournalStorage(journal.JournalFileBackend(str(folder / _JOURNAL)))

    def study(self, higher: bool = False) -> Any:
        """Optuna's study: the one that is there, or a new one."""
        return self.optuna.create_study(
            storage=self.storage,
            study_name=_NAME,
            direction="maximize" if higher else "minimize",
            pruner=self.optuna.pruners.MedianPruner(),
            load_if_exists=True,
        )

    def sampler(self, kind: str, number: int) -> Any:
        """What chooses the values of a trial: a function of its number and of what earlier ones have found."""
        samplers = self.optuna.samplers
        return samplers.RandomSampler(seed=number) if kind == "random" else samplers.TPESampler(seed=number)

    def report(self, number: int, step: int, value: float) -> bool:
        """Tell what a trial has reached at a step; whether it is to be ended, being worse than most at that step."""
        study = self.study()
        trial = self.storage.get_trial_id_from_study_id_trial_number(self.storage.get_study_id_from_name(_NAME), number)
        self.storage.set_trial_intermediate_value(trial, step, value)
        return bool(study.pruner.prune(study, self.storage.get_trial(trial)))


class Search:
    """A search that goes on: `trials` gives the next one when there is a place for it, `tell` says how one ended."""

    def __init__(self, folder: Path, space: Mapping[str, Axis], common: Sequence[str], kind: str, total: int) -> None:
        self.folder, self.space, self.common, self.kind, self.total = folder, space, common, kind, total
        self.journal = Journal(folder)

    def begin(self, by: str, higher: bool, settings: Sequence[str]) -> None:
        """Go on with the study of the folder; ValueError if that was of another space or other options."""
        self.by = by
        self.study = self.journal.study(higher)
        asked = json.dumps([*settings, by, {option: repr(axis) for option, axis in self.space.items()}])
        if self.study.user_attrs.setdefault("asked", asked) != asked:
            raise ValueError(f"{self.folder} holds a search of other options: give this one its own folder by --out")
        self.study.set_user_attr("asked", asked)

    @property
    def done(self) -> int:
        """How many trials have ended."""
        return sum(trial.state.is_finished() for trial in self.study.trials)

    def trials(self) -> Iterator[Trial]:
        """Those that were interrupted, then new ones."""
        for begun in self.study.trials:
            if begun.state.is_finished():
                continue
            if begun.params.keys() == self.space.keys():
                yield self._trial(begun.number, {name: self.space[name].typed(v) for name, v in begun.params.items()})
            else:
                self.tell(begun.number, None)
        while (number := len(self.study.trials)) < self.total:
            self.study.sampler = self.journal.sampler(self.kind, number)
            new = self.study.ask()
            yield self._trial(new.number, {name: axis.suggest(new, name) for name, axis in self.space.items()})

    def tell(self, number: int, value: float | None, pruned: bool = False) -> None:
        """How a trial has ended; no value for one that failed."""
        state = self.journal.optuna.trial.TrialState
        if pruned:
            self.study.tell(number, state=state.PRUNED)
        elif value is None or math.isnan(value):
            self.study.tell(number, state=state.FAIL)
        else:
            self.study.tell(number, value)

    def _trial(self, number: int, chosen: Mapping[str, str]) -> Trial:
        run = named_run({name: chosen[name] for name in self.space}, self.common)
        return Trial(Run(f"trial={number},{run.name}", run.arguments), self.folder, number, self.by)
