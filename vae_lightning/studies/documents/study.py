"""RBM against VAE: documents and digits, the claim that the one is the other, and what both make of few data."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from matplotlib.figure import Figure

from vae_lightning.studies.cell_study import CellStudy
from vae_lightning.studies.documents.cell import Cell, DocumentsSize, cells_of
from vae_lightning.studies.documents.domains import Domain, digits, text
from vae_lightning.studies.documents.pictures import documents_picture
from vae_lightning.studies.documents.training import train_and_judge
from vae_lightning.studies.names import Scale
from vae_lightning.studies.provenance import Settings
from vae_lightning.studies.repeats import Repeat, by_cell, error, mean, repeats, seeds_of
from vae_lightning.studies.report import Lines, Row, wide
from vae_lightning.studies.store import Figures, Plain

_BITS = (8, 16, 32, 64)
_FEW: tuple[int | None, ...] = (100, 300, 1000, None)
_MORE = {"text": (100, 300, 1000, 3000, None), "digits": _FEW}
_QUICK = {"text": (100, 1000, None), "digits": _FEW}
_MEDIUM = DocumentsSize({"text": 1700, "digits": 10_000}, 10, 1, _BITS, _MORE, 50, 100, 1000)
SIZES: dict[Scale, DocumentsSize] = {
    "quick": DocumentsSize({"text": 300, "digits": 2000}, 3, 1, _BITS, _QUICK, 10, 50, 200),
    "medium": _MEDIUM,
    "full": replace(_MEDIUM, seeds=5),
}
"""Full is medium under five seeds, ten hours of a core: its errors are those of training, too."""

METRICS = {
    "log_likelihood": "nats",
    "elbo": "nats",
    "perplexity": "a word",
    "elbo_perplexity": "a word",
    "precision": "at 100",
}
"""What is reported of the test split. All have log l!/prod x_k! in them, but for perplexities."""

READ_AS = {
    "": "{}",
    "as_rbm/": "{}, read as an RBM",
    "tied/": "{}, its encoder tied to the decoder",
    "as_vae/": "{}, read as a VAE",
}


class DocumentsStudy(CellStudy[DocumentsSize, Repeat[Cell], Figures]):
    """Train every cell for every seed, choose the epoch by validation, and judge it on the test split, once.

    The claim: of text, the best VAE, linear in encoder and decoder, is a multinomial-Bernoulli RBM. So each is also
    judged as the other. The hypothesis: few data favour the RBM, and a VAE's pull towards it. So both are also trained
    on N observations. Both figures are nats an observation: log p(x), with the multinomial coefficient, a bound L_K of
    it for VAEs, exact or annealed for RBMs.

    Args:
        scale: one of `sizes`.
        seed: the first of the study's seeds.
        size: in place of the scale's.
        domains: `text` and `digits` by these names, in place of the study's own.
        only: the folder of a cell, or of several.
    """

    title = "RBM against VAE: test split"
    sizes = SIZES
    format = Plain()

    def __init__(
        self,
        scale: Scale,
        seed: int,
        size: DocumentsSize | None = None,
        domains: Mapping[str, Domain] | None = None,
        only: str | None = None,
    ) -> None:
        super().__init__(scale, seed, size, only)
        self.seeds = range(seed, seed + self.size.seeds)
        self.domains = {"text": text(), "digits": digits()} if domains is None else domains

    def all_cells(self) -> list[Repeat[Cell]]:
        """All models under the first seed, then under the next."""
        return repeats(cells_of(self.size, self.domains["text"], self.domains["digits"]), self.seeds)

    def depends_on(self, cell: Repeat[Cell]) -> Settings:
        """Scale, seed, and how much is computed."""
        size = self.size
        trained = {"scale": self.scale, "seed": cell.seed, "steps": size.steps[cell.cell.domain.name]}
        return {**trained, "K": size.samples, "chains": size.chains, "AIS steps": size.ais_steps}

    def run(self, cell: Repeat[Cell], folder: Path) -> Figures:
        """Train and judge one model."""
        return train_and_judge(cell.cell, self.size, cell.seed, folder, self.depends_on(cell))

    def rows(self, found: Mapping[Repeat[Cell], Figures]) -> list[Row]:
        """Means over seeds with the error over seeds; of a single seed, with that over its test observations."""
        return [row for cell, runs in by_cell(found).items() for row in _rows(cell, runs)]

    def pictures(self, found: Mapping[Repeat[Cell], Figures]) -> dict[str, Figure]:
        """Text by bits, and the curves of few data."""
        return {"documents": documents_picture(by_cell(found))}

    def settings(self, found: Mapping[Repeat[Cell], Figures]) -> Settings:
        """Seeds, steps, and how log-likelihoods were estimated."""
        size = self.size
        return {
            "seeds": seeds_of(found),
            **{f"steps a cell, {name}": f"at least {steps}" for name, steps in size.steps.items()},
            "K of the VAEs' log-likelihood": size.samples,
            "AIS": f"{size.chains} chains, {size.ais_steps} steps",
        }

    def table(self, rows: Sequence[Row]) -> Lines:
        """One line for each model."""
        return wide(rows)


def _rows(cell: Cell, runs: Sequence[Figures]) -> Iterator[Row]:
    """The rows of one model, read as itself and as what else it can be read as."""
    for prefix, reading in READ_AS.items():
        for metric, unit in METRICS.items():
            name = prefix + metric
            if all(name in run for run in runs) and not (metric == "precision" and cell.n):  # of 100 in few
                yield Row(reading.format(cell.name), metric, mean(runs, name), error(runs, name), None, unit)
