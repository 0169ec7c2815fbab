"""Rows of the study -> Table 2, ours beside the paper's, the best marked as there; and tables of the same form."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

from vae_lightning.studies.newsgroups.cell import Cell
from vae_lightning.studies.newsgroups.paper import PAPER, Place
from vae_lightning.studies.repeats import error, mean
from vae_lightning.studies.report import Lines, Row
from vae_lightning.studies.store import Figures

METRICS = {
    "train_deviance": "nats",
    "deviance": "nats",
    "last_train_deviance": "nats",
    "least_test_deviance": "nats",
    "nelbo": "nats",
    "kl": "nats",
    "perplexity": "a word",
    "precision": "at 100",
    "precision_within_2": "share",
    "found_within_2": "of the documents",
    "bit_entropy": "bits",
    "epoch": "chosen",
    "epochs": "trained",
}
"""What is reported, of the test split but for `..._train_...`, and of the chosen epoch but for `last_`, `least_`."""

SPLITS = {
    "train_deviance": "train",
    "last_train_deviance": "train",
    "deviance": "test",
    "least_test_deviance": "test",
}
"""The figures that the paper has, of which it reports the least over epochs."""

Best = Callable[[Iterable[float]], float]


def rows_of(cell: Cell, runs: Sequence[Figures]) -> Iterator[Row]:
    """A row for each figure that there is of a cell: the mean over seeds."""
    place = cell.model.place(cell.bits)
    for metric, unit in METRICS.items():
        if all(metric in run for run in runs):
            paper = PAPER[SPLITS[metric]].get(place) if metric in SPLITS and place is not None else None
            yield Row(cell.name, metric, mean(runs, metric), error(runs, metric), paper, unit)


class Grid:
    """Figures of the cells that have a place in the paper's table.

    Args:
        rows: of the study.
        places: of its cells, by their names.
    """

    def __init__(self, rows: Iterable[Row], places: Mapping[str, Place]) -> None:
        self.places = sorted(set(places.values()))
        self.rows = {(row.metric, places[row.cell]): row for row in rows if row.cell in places}

    def table(self, metrics: Mapping[str, str], best: Best = min, decimals: int = 1) -> Lines:
        """A line for each metric, by its title, and number of bits; a column for each decoder and encoder.

        The best encoder of each decoder is bold, and the best pair of all underlined as well.
        """
        columns = list(dict.fromkeys(place[1:] for place in self.places))
        lines = [["", "bits", *(f"depth {depth}, {encoder}" for depth, encoder in columns)]]
        for metric, title in metrics.items():
            for bits in dict.fromkeys(bits for bits, *_ in self.places):
                texts = self._marked(metric, bits, best, decimals)
                if texts:
                    lines.append([title, str(bits), *(texts.get(column, "") for column in columns)])
        return lines

    def of(self, metric: str) -> dict[Place, Row]:
        """The rows of a metric."""
        return {place: row for (name, place), row in self.rows.items() if name == metric}

    def _marked(self, metric: str, bits: int, best: Best, decimals: int) -> dict[tuple[int, str], str]:
        rows = {place[1:]: row for place, row in self.of(metric).items() if place[0] == bits}
        values = {column: row.value for column, row in rows.items() if not math.isnan(row.value)}
        texts = {}
        for column, row in rows.items():
            of_depth = [value for (depth, _), value in values.items() if depth == column[0]]
            text = f"{row.value:.{decimals}f}"
            if len(values) > len(of_depth) and row.value == best(values.values()):
                text = f"<ins>{text}</ins>"
            if len(of_depth) > 1 and row.value == best(of_depth):
                text = f"**{text}**"
            error = f" ± {row.stderr:.{decimals}f}" if row.stderr else ""
            texts[column] = text + error + ("" if row.paper is None else f" [{row.paper:.0f}]")
        return texts


def by_bits(rows: Sequence[Row], named: Mapping[str, tuple[str, int]], metric: str, decimals: int) -> Lines:
    """A line for each model, by its title, and a column for each number of bits: of cells by their names."""
    values = {named[row.cell]: row for row in rows if row.metric == metric and row.cell in named}
    bits = sorted({number for _, number in values})
    lines = [["", *(f"{number} bits" for number in bits)]]
    for title in dict.fromkeys(title for title, _ in named.values()):
        mine = [values.get((title, number)) for number in bits]
        if any(mine):
            lines.append([title, *("" if row is None else _text(row, decimals) for row in mine)])
    return lines


def _text(row: Row, decimals: int) -> str:
    return f"{row.value:.{decimals}f}" + (f" ± {row.stderr:.{decimals}f}" if row.stderr else "")
