"""LiBI's Table 1 and Figures 1 to 5: four worlds, five methods, all restarts of each as one ensemble."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import product
from pathlib import Path

from matplotlib.figure import Figure

from vae_lightning.models.latent_variable import LatentVariableModule
from vae_lightning.studies.cell_study import CellStudy
from vae_lightning.studies.libi.cell import POINTS, Cell, LiBISize
from vae_lightning.studies.libi.methods import METHODS, PAPER_GRID, Combined, Grid, Method, Ranked, Training, label
from vae_lightning.studies.libi.pictures import PictureData, posterior_picture, preference_picture
from vae_lightning.studies.libi.results import EvaluationsAndWeights, Result
from vae_lightning.studies.libi.table import CLOSED_FORMS, REMARKS, Found, closed_forms, gather, table_one
from vae_lightning.studies.libi.training import rebuilt, train_and_judge
from vae_lightning.studies.libi.worlds import WORLDS, World
from vae_lightning.studies.names import Scale
from vae_lightning.studies.provenance import Settings
from vae_lightning.studies.report import Lines, Row, long, markdown_table

_FEW = (0.5, 2.0), (1.0,), 1
_ONE = (1.0,), (0.2,), (0.2,)
_SIXTEEN = (0.001, 1.0, 10.0, 20.0), (0.2, 0.5), (0.2, 0.5)
# of `reproduce libi --scale medium` at 53251ac; docs/results/libi.md has the ranking
_OF_MEDIUM = Ranked(
    {
        "LinearJTEx": ((0.001, 0.5, 0.5, 1), (10.0, 0.5, 0.5, 1), (1.0, 0.5, 0.5, 1), (20.0, 0.5, 0.5, 1)),
        "CubicJTEx": ((10.0, 0.5, 0.2, 1), (1.0, 0.2, 0.2, 3), (0.001, 0.2, 0.2, 1), (1.0, 0.2, 0.2, 1)),
        "Gaussian": ((1.0, 0.2, 0.2, 3), (0.001, 0.2, 0.2, 1), (0.001, 0.2, 0.5, 1), (1.0, 0.2, 0.5, 1)),
        "Mobius": ((1.0, 0.2, 0.2, 3), (1.0, 0.5, 0.2, 1), (1.0, 0.2, 0.2, 1), (1.0, 0.2, 0.5, 1)),
    }
)
SIZES: dict[Scale, LiBISize] = {
    "quick": LiBISize(1, 4, Training(8_000, True), Grid(*_FEW, (Combined(*_ONE, (1,)),)), 5_000, 300),
    "medium": LiBISize(
        2, 4, Training(20_000, True), Grid(*_FEW, (Combined(*_SIXTEEN, (1,)), Combined(*_ONE, (3,)))), 5_000, 2_000
    ),
    "full": LiBISize(5, 10, Training(30_000, False), replace(PAPER_GRID, libi=(_OF_MEDIUM,)), 5_000, 20_000),
}
"""Full is the paper's protocol, with the settings of LiBI that medium ranks highest in place of the paper's 32.

The others have fewer steps, at a rate that decays.
"""

BEST = 4
"""How many settings of a method with more of them are named."""

FIGURES = (("LinearJTEx", "VAE"), ("LinearJTEx", "LiBI"), ("CubicJTEx", "VAE"), ("CubicJTEx", "LiBI"))
"""World and method of the paper's Figures 2 to 5; Figure 1 is of the first, too."""


class LiBIStudy(CellStudy[LiBISize, Cell, Result]):
    """Run every cell, choose hyper-parameters by validation, and put the table beside the paper's.

    Args:
        scale: one of `sizes`.
        seed: of the data sets and the members.
        size: in place of the scale's.
        worlds: some of them; by default all.
        methods: some of them; by default all.
        only: the folder of a cell, or of several.
    """

    title = "LiBI, Table 1"
    sizes = SIZES
    format = EvaluationsAndWeights()

    def __init__(
        self,
        scale: Scale,
        seed: int,
        size: LiBISize | None = None,
        worlds: Mapping[str, World] = WORLDS,
        methods: Mapping[str, Method] = METHODS,
        only: str | None = None,
    ) -> None:
        super().__init__(scale, seed, size, only)
        self.worlds, self.methods = worlds, methods

    def all_cells(self) -> list[Cell]:
        """World by world, method by method, one for each group of settings that may share an ensemble."""
        return [
            Cell(world, method, group, settings)
            for world in self.worlds.values()
            for method in self.methods.values()
            for group, settings in method.groups(world, self.size.grid).items()
        ]

    def depends_on(self, cell: Cell) -> Settings:
        """Seed, how much is computed, and the settings."""
        size = self.size
        return {
            "seed": self.seed,
            "data_sets": size.data_sets,
            "restarts": size.restarts,
            "steps": size.training.steps,
            "decays": size.training.decays,
            "samples": size.samples,
            "comparisons": size.comparisons,
            "settings": "; ".join(map(label, cell.settings)),
        }

    def run(self, cell: Cell, folder: Path) -> Result:
        """Train and judge one ensemble."""
        return train_and_judge(cell, self.size, self.seed, folder, self.depends_on(cell))

    def rows(self, found: Mapping[Cell, Result]) -> list[Row]:
        """The chosen setting of each method in each world beside the paper's, then closed forms of linear worlds."""
        gathered = self._finished(found)
        exact = [
            row
            for each in gathered
            if (module := self._chosen(found, each))
            for row in closed_forms(self.worlds[each.world], each.method, module)
        ]
        return [row for each in gathered for row in each.rows()] + exact

    def pictures(self, found: Mapping[Cell, Result]) -> dict[str, Figure]:
        """Figures 1 to 5, of the models chosen by validation, on the test split of the first data set."""
        pictures: dict[str, Figure] = {}
        finished = {(each.world, each.method): each for each in self._finished(found)}
        for number, names in enumerate(FIGURES, 2):
            if names in finished and (module := self._chosen(found, finished[names])):
                world, method = names
                data = PictureData.of(self.worlds[world], module, self.seed, self.size.training.steps)
                if number == 2:
                    pictures["figure-1"] = preference_picture(data)
                pictures[f"figure-{number}"] = posterior_picture(f"{method} on {world}", data)
        return pictures

    def settings(self, found: Mapping[Cell, Result]) -> Settings:
        """The protocol, what validation chose, and what failed."""
        size, gathered = self.size, self._gathered(found)
        settings: dict[str, str | int | float] = {
            "seed": self.seed,
            "data sets": size.data_sets,
            "restarts": size.restarts,
            "full-batch steps": size.training.steps,
            "learning rate": "0.01, decaying along a cosine in each phase" if size.training.decays else 0.01,
            "points a split": POINTS,
            "samples of Eq. 48": f"{size.samples}, variance times 2",
            "smooth k-NN": f"k = 1, alpha = 1, 100 a side, mean of {size.comparisons}",
            **({"settings of LiBI": "those that medium's validation ranks highest"} if self._by_rank else {}),
            "chosen by validation": "; ".join(f"{e.name} {e.chosen('validation')}" for e in gathered if e.searched),
        }
        if many := [each for each in gathered if len(each.settings) > BEST]:
            best = {each.name: ", ".join(each.ranked("validation")[:BEST]) for each in many}
            settings[f"the {BEST} settings that validation ranks highest"] = "; ".join(map(": ".join, best.items()))
        if failed := [each.name for each in gathered if not each.settings]:
            settings["no restart went to the end"] = "; ".join(failed)
        return settings

    def table(self, rows: Sequence[Row]) -> Lines:
        """The paper's table."""
        return table_one(rows)

    def remarks(self, rows: Sequence[Row]) -> list[str]:
        """What is known in closed form, and where ours and the paper's differ and why."""
        exact = [row for row in rows if row.metric in CLOSED_FORMS]
        table = [markdown_table(long(exact))] if exact else []
        worlds = dict.fromkeys(row.cell.partition(" / ")[0] for row in rows)
        return [*table, *(f"{world}: {REMARKS[world]}" for world in worlds)]

    @property
    def _by_rank(self) -> bool:
        return any(isinstance(some, Ranked) for some in self.size.grid.libi)

    def _gathered(self, found: Mapping[Cell, Result]) -> list[Found]:
        """What each method found in each world."""
        asked = {cell.pair for cell in self.cells()}
        pairs = [pair for pair in product(self.worlds, self.methods) if pair in asked]
        return [gather(*pair, [result for cell, result in found.items() if cell.pair == pair]) for pair in pairs]

    def _finished(self, found: Mapping[Cell, Result]) -> list[Found]:
        """The cells of which a restart went to the end."""
        return [each for each in self._gathered(found) if each.settings]

    def _chosen(self, found: Mapping[Cell, Result], of: Found) -> LatentVariableModule | None:
        """The module that validation chose, as trained on the first data set; None if all its restarts failed there."""
        name = of.chosen("validation")
        (cell, setting) = next(
            (cell, setting)
            for cell in found
            for setting in cell.settings
            if (*cell.pair, label(setting)) == (of.world, of.method, name)
        )
        weights = found[cell].learned.get(name)
        return None if weights is None else rebuilt(cell, setting, self.size, weights)
