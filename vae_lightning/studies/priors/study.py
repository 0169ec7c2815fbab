"""Priors and objectives on digits: what the slides say of them, measured: likelihood, the terms of surgery, units."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path

from matplotlib.figure import Figure

from vae_lightning.studies.cell_study import CellStudy
from vae_lightning.studies.names import Scale
from vae_lightning.studies.priors.cell import CELLS, LATENT, SAMPLES, Cell, PriorsSize
from vae_lightning.studies.priors.pictures import priors_picture
from vae_lightning.studies.priors.training import train_and_judge
from vae_lightning.studies.provenance import Settings
from vae_lightning.studies.repeats import Repeat, by_cell, error, mean, repeats
from vae_lightning.studies.report import Lines, Row, wide
from vae_lightning.studies.store import Figures, Plain

SIZES: dict[Scale, PriorsSize] = {
    "quick": PriorsSize(30, 1, 100),
    "medium": PriorsSize(300, 3, 1000),
    "full": PriorsSize(1000, 5, 5000),
}

METRICS: dict[str, str] = {
    "log_likelihood": "nats",
    "elbo": "nats",
    "reconstruction": "nats",
    "mutual_information": "nats",
    "marginal_kl": "nats",
    "active_units": f"of {LATENT}",
}
"""What is reported of the test split; -elbo = reconstruction + mutual information + marginal KL."""


class PriorsStudy(CellStudy[PriorsSize, Repeat[Cell], Figures]):
    """Train every cell for every seed, choose the epoch by validation, and judge it on the test split, once.

    Args:
        scale: one of `sizes`.
        seed: the first of the study's seeds.
        size: in place of the scale's.
        models: some of the study's cells; by default all.
    """

    title = "Priors and objectives on binary digits: test split"
    sizes = SIZES
    format = Plain()

    def __init__(self, scale: Scale, seed: int, size: PriorsSize | None = None, models: Sequence[Cell] = CELLS) -> None:
        super().__init__(scale, seed, size)
        self.models, self.seeds = models, range(seed, seed + self.size.seeds)

    def cells(self) -> list[Repeat[Cell]]:
        """All models under the first seed, then under the next."""
        return repeats(self.models, self.seeds)

    def depends_on(self, cell: Repeat[Cell]) -> Settings:
        """Scale, seed, and how much is computed."""
        of_scale = {"epochs": self.size.epochs, "samples": self.size.samples, "terms": SAMPLES}
        return {"scale": self.scale, "seed": cell.seed, **of_scale}

    def run(self, cell: Repeat[Cell], folder: Path) -> Figures:
        """Train and judge one model."""
        return train_and_judge(cell.cell, self.size, cell.seed, folder)

    def rows(self, found: Mapping[Repeat[Cell], Figures]) -> list[Row]:
        """Means over seeds with the error over seeds; of a single seed, with that over its test digits."""
        return [
            Row(cell.name, metric, mean(runs, metric), error(runs, metric), None, unit)
            for cell, runs in by_cell(found).items()
            for metric, unit in METRICS.items()
        ]

    def pictures(self, found: Mapping[Repeat[Cell], Figures]) -> dict[str, Figure]:
        """What the NELBO is made of."""
        return {"priors": priors_picture({cell.name: runs for cell, runs in by_cell(found).items()})}

    def settings(self, found: Mapping[Repeat[Cell], Figures]) -> Settings:
        """Seeds, steps, and how log-likelihoods were estimated."""
        first = next(iter(found.values()))
        return {
            "seeds": f"{self.seeds[0]} to {self.seeds[-1]}",
            "steps a cell": int(first["steps"]),
            "samples of the terms": SAMPLES,
            "K of the log-likelihood": self.size.samples,
            "test digits": round(math.exp(first["log_n"])),
        }

    def table(self, rows: Sequence[Row]) -> Lines:
        """One line for each model."""
        return wide(rows)
