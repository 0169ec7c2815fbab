"""Job: a checkpoint, data and a verb -> a file of answers, or the first of them on the screen."""

from __future__ import annotations

from argparse import Namespace
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from vae_lightning.answers import Verb
from vae_lightning.answers.shown import shown
from vae_lightning.commands.outputs import Layout, Plain, Target
from vae_lightning.data.preparation import Prepared
from vae_lightning.files import expanded
from vae_lightning.loading import load
from vae_lightning.models.reproducible import ReproducibleModule


class Job:
    """A model, and where its answers go: a target that cannot be written is a ValueError before anything is read."""

    def __init__(self, given: Namespace, pictures: bool) -> None:
        self.target = None if given.out is None else Target(given.out, given.overwrite, pictures)
        self.model = _on(load(given.ckpt, given.trust), given.device)
        if given.seed is not None:
            self.model.seed = given.seed
        self.console = Console(stderr=True, highlight=False, soft_wrap=True)
        if self.target is not None:
            self.target.check(self.model.observed_shape, 0)

    def read(self, data: Path) -> Prepared:
        """The rows of a path, as the model was trained on such."""
        return self.told(self.model.read_by.read(Path(expanded(str(data)))))

    def told(self, rows: Prepared) -> Prepared:
        """The rows, with what is to be told of them."""
        for note in rows.notes:
            self.console.print(note, markup=False)
        return rows

    def answer(self, verb: Verb[Any], rows: Prepared, layout: Callable[[], Layout] = Plain) -> None:
        """Write all answers, some rows at a time; without a target print the first."""
        parts = self.model.answers(verb, rows)
        if self.target is None:
            print(shown(next(parts).table, total=len(rows)))
            return
        self.target.check(self.model.observed_shape, len(rows))
        with self.progress() as progress, self.target.writer(layout()) as write:
            task = progress.add_task(type(verb).__name__.lower(), total=len(rows))
            for part in parts:
                write(part)
                progress.advance(task, len(part))
        print(f"{self.target.path}: {len(rows):,} rows")

    def progress(self) -> Progress:
        """Rows done, on standard error, where that is a terminal."""
        columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
        return Progress(*columns, console=self.console, disable=not self.console.is_terminal)


def _on(model: ReproducibleModule, device: str) -> ReproducibleModule:
    try:
        return model.to(torch.device(device))
    except (RuntimeError, AssertionError) as error:  # torch says by either that there is no such device
        raise ValueError(f"--device {device}: {str(error).splitlines()[0]}") from error
