"""Figures of the cells -> rows beside the paper's Table 1, and the table."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence

from vae_lightning.studies.celeba.cell import AGAIN, ENCODER, Cell
from vae_lightning.studies.report import Lines, Row
from vae_lightning.studies.store import Figures

METRICS = {
    "elbo": "nats",
    "fid": "",
    "frechet_distance": "",
    "fid_of_means": "",
    "frechet_distance_of_means": "",
    "sigma": "of [-1, 1]",
    "rate": "nats",
    "reconstruction": "nats",
    "negative_energy": "nats",
    "entropy": "nats",
    "mutual_information": "nats",
    "marginal_kl": "nats",
    "active_units": "",
    "mismatch": "nats",
    "mismatch_effective_sample_size": "",
    "decoder_r2": "",
    "encoder_r2": "",
    "training_images": "",
}
"""What is reported, with units.

-elbo = reconstruction + rate = -negative energy - entropy, rate = mutual information + marginal KL.
"""

BESIDE = ("reconstruction", "negative_energy", "entropy", "mismatch_effective_sample_size", "decoder_r2", "encoder_r2")
"""What results.json has and the table has no place for."""

PAPER = {ENCODER.name: {"elbo": -364513.78, "fid": 0.13}, AGAIN.name: {"fid": 0.13}}
"""Table 1's first row, whose FID is the ground truth's against itself; those of joint trainings stand with these."""


def rows_of(cell: Cell, figures: Figures) -> Iterator[Row]:
    """A row for each metric that there is of a cell; of few images and codes some are no numbers."""
    paper: Mapping[str, float] = cell.joint.paper if cell.joint else PAPER.get(cell.name, {})
    for metric, unit in METRICS.items():
        if not math.isnan(figures.get(metric, math.nan)):
            error = figures.get(f"{metric}_error")
            yield Row(cell.name, metric, figures[metric], error, paper.get(metric), unit)


def table_one(rows: Sequence[Row]) -> Lines:
    """A line for each model, a column for each figure but a few, the paper's in brackets."""
    columns = [metric for metric in METRICS if metric not in BESIDE and any(row.metric == metric for row in rows)]
    lines = {row.cell: dict.fromkeys(columns, "") for row in rows}
    for row in rows:
        if row.metric in columns:
            lines[row.cell][row.metric] = _text(row)
    heading = [f"{metric.replace('_', ' ')}{_in_brackets(METRICS[metric])}" for metric in columns]
    return [["what", *heading], *([cell, *texts.values()] for cell, texts in lines.items())]


def _in_brackets(unit: str) -> str:
    return f" ({unit})" if unit else ""


def _text(row: Row) -> str:
    decimals = 0 if abs(row.value) >= 1000 else 3
    error = f" ± {row.stderr:.{decimals}f}" if row.stderr else ""
    return f"{row.value:z.{decimals}f}{error}" + ("" if row.paper is None else f" [{row.paper:.2f}]")
