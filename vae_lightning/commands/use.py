"""The commands on a checkpoint: their options -> a file of answers."""

from __future__ import annotations

from argparse import Namespace
from collections.abc import Callable
from pathlib import Path

from vae_lightning.answers.codes import between, blank, read_codes
from vae_lightning.answers.verbs import Decode, Encode, Impute, Reconstruct, Sample, Score
from vae_lightning.commands.job import Job
from vae_lightning.commands.outputs import Pairs, Plain
from vae_lightning.data.preparation import Prepared
from vae_lightning.distributions import drawn_in_order
from vae_lightning.files import expanded


def encode(given: Namespace) -> None:
    """The code of each row."""
    job = Job(given, pictures=False)
    job.answer(Encode(given.samples), job.read(given.data))


def decode(given: Namespace) -> None:
    """The observation of each code."""
    job = Job(given, pictures=True)
    job.answer(Decode(), read_codes(Path(expanded(str(given.data))), job.model.code_shape))


def reconstruct(given: Namespace) -> None:
    """What the model makes of each row."""
    job = Job(given, pictures=True)
    rows = job.read(given.data)
    job.answer(Reconstruct(), rows, lambda: Pairs(rows))


def interpolate(given: Namespace) -> None:
    """Lines between codes."""
    job = Job(given, pictures=True)
    start = job.read(given.data)
    starts, ends = (start, job.read(given.to)) if given.to is not None else _neighbours(start)
    codes = [job.model.answer(Encode(), rows) for rows in (starts, ends)]
    job.answer(Decode(), between(codes[0], codes[1], given.steps), lambda: Plain(given.steps))


def sample(given: Namespace) -> None:
    """New rows."""
    job = Job(given, pictures=True)
    mean = given.mean
    if mean is None:
        mean = job.target is not None and job.target.is_pictures and not drawn_in_order(job.model.simulate(1))
    job.answer(Sample(mean, given.component), blank(given.n))


def score(given: Namespace) -> None:
    """Log p(x) of each row."""
    job = Job(given, pictures=False)
    job.answer(Score(given.K), job.read(given.data))


def impute(given: Namespace) -> None:
    """Rows with their missing entries filled in."""
    job = Job(given, pictures=True)
    job.answer(Impute(given.K), job.read(given.data))


USE: dict[str, Callable[[Namespace], None]] = {
    function.__name__: function for function in (encode, decode, reconstruct, interpolate, sample, score, impute)
}


def _neighbours(rows: Prepared) -> tuple[Prepared, Prepared]:
    """All rows but the last, and all but the first; ValueError for fewer than two."""
    if len(rows) < 2:
        raise ValueError(f"interpolate goes from each row to the next, and got {len(rows)}: give at least two, or --to")
    return rows.part(0, len(rows) - 1), rows.part(1, len(rows))
