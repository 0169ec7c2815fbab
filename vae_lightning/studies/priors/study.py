"""Priors and objectives on digits: what the slides say of them, measured: likelihood, the terms of surgery, units."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from matplotlib.figure import Figure

from vae_lightning.studies.cell_study import CellStudy
from vae_lightning.studies.names import Scale
from vae_lightning.studies.priors.cell import CELLS, Cell, PriorsSize
from vae_lightning.studies.priors.generated import FiguresAndImages, Judged
from vae_lightning.studies.priors.models import LATENT, SAMPLES
from vae_lightning.studies.priors.pictures import priors_picture, pseudo_inputs_picture
from vae_lightning.studies.priors.training import train_and_judge
from vae_lightning.studies.provenance import Settings
from vae_lightning.studies.repeats import Repeat, by_cell, error, mean, repeats, seeds_of
from vae_lightning.studies.report import Lines, Row, wide
from vae_lightning.studies.store import Figures

SIZES: dict[Scale, PriorsSize] = {
    "quick": PriorsSize(30, 1, 100),
    "medium": PriorsSize(300, 3, 1000),
    "full": PriorsSize(1500, 3, 5000, 50),
}
"""Full is 30,000 steps, three times."""

TEST_DIGITS = 359

METRICS: dict[str, str] = {
    "log_likelihood": "nats",
    "elbo": "nats",
    "reconstruction": "nats",
    "mutual_information": "nats",
    "marginal_kl": "nats",
    "active_units": f"of {LATENT}",
}
"""Of the test split, of two levels the first three: -elbo = reconstruction + mutual information + marginal KL."""


class PriorsStudy(CellStudy[PriorsSize, Repeat[Cell], Judged]):
    """Train every cell for every seed, choose the epoch by validation, and judge it on the test split, once.

    Args:
        scale: one of `sizes`.
        seed: the first of the study's seeds.
        size: in place of the scale's.
        models: some of the study's cells, or the names of their folders, with commas; by default all.
        only: the folder of a cell, or of several.

    ValueError for a name that is none of them.
    """

    title = "Priors and objectives on binary digits: test split"
    sizes = SIZES
    format = FiguresAndImages()
    options = CellStudy.options | {"models"}

    def __init__(
        self,
        scale: Scale,
        seed: int,
        size: PriorsSize | None = None,
        models: Sequence[Cell] | str = CELLS,
        only: str | None = None,
    ) -> None:
        super().__init__(scale, seed, size, only)
        self.models = named(models) if isinstance(models, str) else models
        self.seeds = range(seed, seed + self.size.seeds)

    def all_cells(self) -> list[Repeat[Cell]]:
        """All models under the first seed, then under the next."""
        return repeats(self.models, self.seeds)

    def depends_on(self, cell: Repeat[Cell]) -> Settings:
        """Scale, seed, and how much is computed."""
        size = self.size
        of_scale = {"epochs": size.epochs, "samples": size.samples, "terms": SAMPLES}
        seldom = {} if size.validate_every == 10 else {"epochs until it is validated": size.validate_every}
        return {"scale": self.scale, "seed": cell.seed, **of_scale, **seldom}

    def run(self, cell: Repeat[Cell], folder: Path) -> Judged:
        """Train and judge one model."""
        return train_and_judge(cell.cell, self.size, cell.seed, folder, self.depends_on(cell))

    def rows(self, found: Mapping[Repeat[Cell], Judged]) -> list[Row]:
        """Means over seeds with the error over seeds; of a single seed, with that over its test digits."""
        return [
            Row(cell.name, metric, mean(runs, metric), error(runs, metric), None, unit)
            for cell, runs in _figures(found).items()
            for metric, unit in METRICS.items()
            if all(metric in run for run in runs)
        ]

    def pictures(self, found: Mapping[Repeat[Cell], Judged]) -> dict[str, Figure]:
        """What the NELBO is made of; and what is generated from pseudo-inputs, by the first seed."""
        pictures = {"priors": priors_picture({cell.name: (cell.terms, runs) for cell, runs in _figures(found).items()})}
        seed = min(repeat.seed for repeat in found)
        first = {repeat.cell.name: result.images for repeat, result in found.items() if repeat.seed == seed}
        images = {name: each for name, each in first.items() if each is not None}
        return pictures | ({"pseudo-inputs": pseudo_inputs_picture(images)} if images else {})

    def settings(self, found: Mapping[Repeat[Cell], Judged]) -> Settings:
        """Seeds, steps, and how log-likelihoods were estimated."""
        first = next(iter(found.values())).figures
        return {
            "seeds": seeds_of(found),
            "steps a cell": int(first["steps"]),
            "samples of the terms": SAMPLES,
            "K of the log-likelihood": self.size.samples,
            "test digits": TEST_DIGITS,
        }

    def table(self, rows: Sequence[Row]) -> Lines:
        """One line for each model."""
        return wide(rows)


def named(models: str) -> list[Cell]:
    """The cells of these folders, in the order of the study; ValueError for a name that is none of them."""
    wanted = {name.strip() for name in models.split(",")}
    if unknown := wanted - {cell.path for cell in CELLS}:
        known = ", ".join(cell.path for cell in CELLS)
        raise ValueError(f"--models of priors takes some of {known}, with commas; got {', '.join(sorted(unknown))}")
    return [cell for cell in CELLS if cell.path in wanted]


def _figures(found: Mapping[Repeat[Cell], Judged]) -> dict[Cell, list[Figures]]:
    return {cell: [run.figures for run in runs] for cell, runs in by_cell(found).items()}
