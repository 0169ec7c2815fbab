"""Rows of the study -> paragraphs under Table 2: whether its claims hold, retrieval, the minima, and what is beside."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from itertools import combinations

from vae_lightning.studies.newsgroups.cell import Cell
from vae_lightning.studies.newsgroups.paper import ENCODERS, PAPER, Place
from vae_lightning.studies.newsgroups.table import Grid, by_bits
from vae_lightning.studies.report import Row, markdown_table

FAR = 0.03
"""The share of the paper's figure from which on ours is said to differ."""

LEVEL = 0.05
"""Nats: a smaller difference counts as none; it is half of the last digit that the table shows."""

READING = (
    "Deviance: the NELBO relative to the saturated multinomial, in nats a document, of the epoch that validation "
    "chose; the test split is read after that."
)
MARKS = (
    " In brackets the paper's, which is the least over all epochs. Bold: the best encoder of a decoder; underlined "
    "too: the best pair of so many bits."
)
LEAST = (
    "As the paper reports it: the training deviance of the last epoch, and the least test deviance after any epoch. "
    "The latter is chosen on the test split, and so too good; it chose nothing else."
)
BESIDE = (
    "Linear decoders, test deviance. ARM and RLOO evaluate the decoder as often in a step as the table's DisARM does, "
    "twice. `e3, scaled` is e3 with its frequencies multiplied by one number, the mean length of a document, so that "
    "Adam moves it as fast as e1. `e1, by documents` has the words that are in most documents, in place of the most "
    "frequent. The RBM's is -log p(x) in the same units; its posterior is exact."
)


def remarks_of(rows: Sequence[Row], cells: Sequence[Cell], places: Mapping[str, Place]) -> list[str]:
    """All that there are figures for."""
    return [READING + MARKS * bool(places), *_of_table(Grid(rows, places)), *_of_linear(rows, cells)]


def _of_table(grid: Grid) -> Iterator[str]:
    found = {place: row for place, row in grid.of("deviance").items() if not math.isnan(row.value)}
    yield from _claims(found)
    if far := _far(found):
        yield f"Ours differ from the paper's by more than {FAR:.0%} of it on the test split at: {far}."
    for metric, title in {"precision": "precision at 100", "precision_within_2": "precision within radius 2"}.items():
        if grid.of(metric):
            yield f"Retrieval: {title}, of test documents among training documents of the same group."
            yield markdown_table(grid.table({metric: title}, max, 3))
    if grid.of("least_test_deviance"):
        yield LEAST
        yield markdown_table(grid.table({"last_train_deviance": "Training", "least_test_deviance": "Test"}))


def _of_linear(rows: Sequence[Row], cells: Sequence[Cell]) -> Iterator[str]:
    linear = [cell for cell in cells if cell.model.linear or cell.model.place(cell.bits) is None]
    if any(cell.model.place(cell.bits) is None for cell in linear):
        named = {cell.name: (cell.model.name.removeprefix("depth 0, "), cell.bits) for cell in linear}
        yield BESIDE
        yield markdown_table(by_bits(rows, named, "deviance", 1))
        yield "Their precision at 100."
        yield markdown_table(by_bits(rows, named, "precision", 3))


def _claims(found: Mapping[Place, Row]) -> Iterator[str]:
    """The paper's: e1 is best everywhere, and before e2, which is before e3; linear decoders are best of many bits."""
    settings = [place[:2] for place in dict.fromkeys((bits, depth, "") for bits, depth, _ in found)]
    whole = [setting for setting in settings if all((*setting, encoder) in found for encoder in ENCODERS)]
    if not whole:
        return
    values = {setting: [found[*setting, encoder].value for encoder in ENCODERS] for setting in whole}
    first = [setting for setting, of in values.items() if of[0] - min(of) < LEVEL]
    ordered = [setting for setting, of in values.items() if all(a - b < LEVEL for a, b in combinations(of, 2))]
    yield (
        f"e1 is the best encoder in {len(first)} of {len(whole)} settings{_but(whole, first)}, and e1 <= e2 <= e3 in "
        f"{len(ordered)}{_but(whole, ordered)}; a difference below {LEVEL} nats counts as none."
    )
    for bits in sorted({bits for bits, _ in whole}):
        depths = {depth: min(values[bits, depth]) for of, depth in whole if of == bits}
        if len(depths) > 1:
            yield f"{bits} bits: the best decoder has depth {min(depths, key=lambda depth: depths[depth])}."


def _but(settings: Sequence[tuple[int, int]], held: Sequence[tuple[int, int]]) -> str:
    others = [f"{bits} bits and depth {depth}" for bits, depth in settings if (bits, depth) not in held]
    return f" (not at {', '.join(others)})" if others else ""


def _far(found: Mapping[Place, Row]) -> str:
    papers = {place: PAPER["test"][place] for place in found if place in PAPER["test"]}
    far = {place: found[place].value / paper - 1 for place, paper in papers.items()}
    return ", ".join(
        f"{bits} bits, depth {depth}, {encoder} ({share:+.1%})"
        for (bits, depth, encoder), share in far.items()
        if abs(share) > FAR
    )
