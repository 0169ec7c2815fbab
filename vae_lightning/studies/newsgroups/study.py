"""Table 2: semantic hashing of 20 Newsgroups by the number of bits, the decoder's depth and the encoder."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from matplotlib.figure import Figure

from vae_lightning.data import Newsgroups
from vae_lightning.data.texts.vocabulary import Ranking
from vae_lightning.studies.cell_study import CellStudy
from vae_lightning.studies.names import Scale
from vae_lightning.studies.newsgroups.cell import Cell, cells_of, models_of
from vae_lightning.studies.newsgroups.paper import Place
from vae_lightning.studies.newsgroups.pictures import table_two_picture
from vae_lightning.studies.newsgroups.remarks import remarks_of
from vae_lightning.studies.newsgroups.size import SIZES, NewsgroupsSize
from vae_lightning.studies.newsgroups.table import Grid, rows_of
from vae_lightning.studies.newsgroups.training import Table2
from vae_lightning.studies.provenance import Settings
from vae_lightning.studies.repeats import Repeat, by_cell, seeds_of
from vae_lightning.studies.report import Lines, Row, wide
from vae_lightning.studies.store import Figures, Plain

Corpus = Callable[[Ranking], Newsgroups]
"""How words are ranked -> the documents, over the best of them."""


def official(ranking: Ranking) -> Newsgroups:
    """20 Newsgroups, its 10,000 best words."""
    return Newsgroups(ranking=ranking)


class NewsgroupsStudy(CellStudy[NewsgroupsSize, Repeat[Cell], Figures]):
    """Train a VAE for each place of the table, choose the epoch by validation, and judge it on both splits.

    Beside the table's models are others that explain it: other estimators at equal cost, e3 in e1's units, another
    choice of words, and the RBM. A training that is killed goes on in its last epoch, and ends with the same figures.

    Args:
        scale: one of `sizes`.
        seed: the first of the study's seeds.
        size: in place of the scale's.
        only: the folder of a cell, or of several: run these and no other.
        models: `paper`, `all`, or some by their labels, with commas; in place of the size's.
        test_every_epoch: also find the least test deviance over epochs, which the paper reports.
        corpus: where the documents are from.
    """

    title = "Semantic hashing of 20 Newsgroups: deviances, in nats a document"
    sizes = SIZES
    options = CellStudy.options | {"models", "test_every_epoch"}
    format = Plain()

    def __init__(
        self,
        scale: Scale,
        seed: int,
        size: NewsgroupsSize | None = None,
        only: str | None = None,
        models: str | None = None,
        test_every_epoch: bool = False,
        corpus: Corpus = official,
    ) -> None:
        super().__init__(scale, seed, size, only)
        self.table_two, self.corpus = Table2(self.size, test_every_epoch), corpus
        self.models = models_of(models or self.size.models)

    def all_cells(self) -> list[Repeat[Cell]]:
        """All models under the first seed, then those of linear decoders under the next."""
        return cells_of(self.size, self.models, self.seed)

    def depends_on(self, cell: Repeat[Cell]) -> Settings:
        """What the training does, and how many documents are retrieved."""
        return {**self.table_two.trained_by(cell.cell, cell.seed), "retrieved": self.size.retrieved}

    def run(self, cell: Repeat[Cell], folder: Path) -> Figures:
        """Train and judge one model."""
        return self.table_two.run(cell.cell, cell.seed, self.corpus(cell.cell.model.ranking), folder)

    def rows(self, found: Mapping[Repeat[Cell], Figures]) -> list[Row]:
        """Means over seeds with the error over them, where there are several."""
        return [row for cell, runs in by_cell(found).items() for row in rows_of(cell, runs)]

    def pictures(self, found: Mapping[Repeat[Cell], Figures]) -> dict[str, Figure]:
        """Table 2, drawn."""
        drawn = table_two_picture(Grid(self.rows(found), self._places))
        return {} if drawn is None else {"newsgroups": drawn}

    def settings(self, found: Mapping[Repeat[Cell], Figures]) -> Settings:
        """Seeds, epochs, and how a model was trained."""
        size = self.size
        return {
            "seeds": seeds_of(found),
            "epochs": size.epochs,
            "further epochs, of ten samples": size.many_epochs,
            "epochs without a better validation that end a training on counts": size.patience or "any",
            "Adam's rate": size.rate or "as validation chose for each model",
            "samples of z, in evaluation": size.samples,
            "epochs of an RBM": size.rbm_epochs,
        }

    def table(self, rows: Sequence[Row]) -> Lines:
        """The paper's Table 2, with ours in it; of models that it does not have, a line for each."""
        if not self._places:
            return wide(rows, 3)
        return Grid(rows, self._places).table({"train_deviance": "Training", "deviance": "Test"})

    def remarks(self, rows: Sequence[Row]) -> list[str]:
        """Whether the paper's claims hold, and the tables of what it does not have."""
        return remarks_of(rows, self._alone, self._places)

    @property
    def _alone(self) -> list[Cell]:
        return list(dict.fromkeys(cell.cell for cell in self.cells()))

    @property
    def _places(self) -> dict[str, Place]:
        places = {cell.name: cell.model.place(cell.bits) for cell in self._alone}
        return {name: place for name, place in places.items() if place is not None}
