"""The smallest study there can be: it takes no time."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from matplotlib.figure import Figure

from vae_lightning.studies.cell_study import CellStudy
from vae_lightning.studies.names import Scale
from vae_lightning.studies.provenance import Settings
from vae_lightning.studies.report import Row
from vae_lightning.studies.store import Figures, Plain


@dataclass(frozen=True)
class Power:
    """A cell: 2^n."""

    n: int

    @property
    def name(self) -> str:
        return f"n = {self.n}"

    @property
    def path(self) -> str:
        return f"power-{self.n}"


SIZES: dict[Scale, int] = {"quick": 2, "medium": 3, "full": 4}


class Powers(CellStudy[int, Power, Figures]):
    """Two to the power of every number below the size."""

    title = "Powers of two"
    sizes = SIZES
    format = Plain()
    breaks_at = -1

    def all_cells(self) -> list[Power]:
        return [Power(n) for n in range(self.size)]

    def depends_on(self, cell: Power) -> Settings:
        return {"seed": self.seed}

    def run(self, cell: Power, folder: Path) -> Figures:
        if cell.n == self.breaks_at:
            raise KeyboardInterrupt
        return {"power": 2.0**cell.n}

    def rows(self, found: Mapping[Power, Figures]) -> list[Row]:
        return [Row(cell.name, "power", figures["power"], 0.0, None, "ones") for cell, figures in found.items()]

    def pictures(self, found: Mapping[Power, Figures]) -> dict[str, Figure]:
        picture = Figure()
        picture.add_subplot().plot([cell.n for cell in found], [figures["power"] for figures in found.values()])
        return {"powers": picture}

    def settings(self, found: Mapping[Power, Figures]) -> Settings:
        return {"base": 2}

    def remarks(self, rows: list[Row]) -> list[str]:
        return [f"There are {len(rows)}."]
