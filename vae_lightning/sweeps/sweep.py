"""Sweep: what is asked for -> every run trained, in its folder, and the ones that failed named."""

from __future__ import annotations

import shlex
import shutil
import sys
from collections.abc import Sequence
from contextlib import AbstractContextManager, closing
from pathlib import Path

from vae_lightning.callbacks.run.configurations import configurations
from vae_lightning.executors import Forked, chosen_executor
from vae_lightning.files import locked
from vae_lightning.messages import one_line_warnings
from vae_lightning.signals import Interrupted
from vae_lightning.sweeps import record
from vae_lightning.sweeps.asked import Asked, asked
from vae_lightning.sweeps.checking import Checker, checker
from vae_lightning.sweeps.comparison.options import differences, written
from vae_lightning.sweeps.comparison.trained import Trained
from vae_lightning.sweeps.grid import Grid
from vae_lightning.sweeps.progress import Told
from vae_lightning.sweeps.pruning import train_trial
from vae_lightning.sweeps.running import OUTPUT, Outcome, Task, train
from vae_lightning.sweeps.space import axis
from vae_lightning.sweeps.study import Search
from vae_lightning.training.shipped import with_files


@one_line_warnings()
def sweep(arguments: Sequence[str]) -> None:
    """`vae-lightning sweep ARGUMENTS`; exit status 1 if a run has failed."""
    wanted = asked(with_files(arguments))
    go_on = f"go on with: vae-lightning sweep {shlex.join(arguments)}"
    try:
        failed = _grid(wanted) if wanted.grid else _search(wanted)
    except Interrupted as error:
        error.add_note(go_on)
        raise
    where = shlex.quote(str(wanted.out))
    print(f"compare: vae-lightning compare {where}; watch: tensorboard --logdir {where}", file=sys.stderr)
    for task, outcome in failed:
        print(f"vae-lightning: {task.run.name} failed: {outcome.error} (see {task.folder / OUTPUT})", file=sys.stderr)
    if failed:
        again = "they count as trials: for others raise --trials" if wanted.space else f"to try them again, {go_on}"
        print(f"vae-lightning: {len(failed)} failed; {again}", file=sys.stderr)
        raise SystemExit(1)


def _grid(wanted: Asked) -> list[tuple[Task, Outcome]]:
    grid = Grid.read(wanted.grid, wanted.common)
    first, *others = grid.each_value()
    parser = checker(first.arguments)
    by = str(parser.options(first.arguments).get("best.monitor", "val/nelbo"))
    for run in others:
        parser.options(run.arguments)
    tasks = [Task(run, wanted.out) for run in grid.runs()]
    with _alone_in(wanted.out):
        missing = [task for task in tasks if not _is_done(task, parser, wanted.overwrite)]
        with Told(len(tasks), len(tasks) - len(missing), by) as told:
            if len(missing) < len(tasks):
                told.say(f"{len(tasks) - len(missing)} of {len(tasks)} runs are in {wanted.out} and are kept")
            with closing(chosen_executor(Forked(wanted.jobs)).each(train, missing, _lost)) as results:
                return [ended for ended in told.each(results) if ended[1].state == "failed"]


def _search(wanted: Asked) -> list[tuple[Task, Outcome]]:
    space = {option: axis(option, typed) for option, typed in wanted.space.items()}
    ends = Grid({option: each.ends() for option, each in space.items()}, wanted.common).each_value()
    parser = checker(ends[0].arguments)
    options, *_ = (parser.options(run.arguments) for run in ends)
    by, higher = str(options.get("best.monitor", "val/nelbo")), options.get("best.mode") == "max"
    search = Search(wanted.out, space, wanted.common, wanted.search or "optuna", wanted.trials or 0)
    executor = chosen_executor(Forked(wanted.jobs), wanted.jobs)
    failed: list[tuple[Task, Outcome]] = []
    with _alone_in(wanted.out):
        search.begin(by, higher, record.settings(wanted.common))
        with (
            Told(search.total, search.done, by) as told,
            closing(executor.each(train_trial, search.trials(), _lost)) as results,
        ):
            for trial, outcome in told.each(results):
                best = None if outcome.state == "failed" else Trained(trial.folder).best(by, higher)
                search.tell(trial.number, best.value if best else None, outcome.state == "pruned")
                if outcome.state == "failed":
                    failed.append((trial, outcome))
    return failed


def _alone_in(out: Path) -> AbstractContextManager[None]:
    """Until this sweep and the runs it has begun have ended, no other one is in its folder; ValueError if one is.

    A folder that cannot be made is an OSError before the first run begins.
    """
    out.mkdir(parents=True, exist_ok=True)
    return locked(out / "sweep", f"another sweep is at work in {out}: wait for it, or give this one its own --out")


def _lost(task: Task, reason: str) -> Outcome:
    """A run whose process has ended: it goes on from its last.ckpt when it is tried again."""
    return Outcome("failed", reason)


def _is_done(task: Task, parser: Checker, overwrite: bool) -> bool:
    """Whether a run is finished, by the record in its folder.

    ValueError for one that had other options: to train it anew it has to be overwritten.
    """
    folder = task.folder
    if not (folder / "config.yaml").exists():
        return False
    known = record.read(folder)
    changed = len(configurations(folder)) > 1  # by somebody who went on with it
    if known is None or changed or known.settings != record.settings(task.run.arguments):
        differ = differences(written(folder), parser.options(task.run.arguments))
        if differ and (known is None or not overwrite):
            raise ValueError(
                f"{folder} holds a run with other options: {differ}; give this sweep a folder of its own by --out"
                + (", or --overwrite to train anew what has changed" if known else "")
            )
        if differ:
            shutil.rmtree(folder)
            return False
    return known is not None and known.state in ("finished", "pruned")
