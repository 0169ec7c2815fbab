"""Costs of contestants -> rows: `work`, `ours`, `other`, `ratio`, `aim`, `met`, and who the other is."""

from __future__ import annotations

import statistics
from dataclasses import asdict, dataclass

from comparisons.relations import AsFast, Relation
from comparisons.turns import Absent, Costs


@dataclass(frozen=True)
class Row:
    """One comparison of one run.

    `ours` and `other` are medians over the rounds in turns, `ratio` is the median of the ratios of each round, `middle`
    the two quartiles of these. What could not be measured is None, and `why` says why.
    """

    work: str
    ours: float | None
    other: float | None
    ratio: float | None
    aim: str | None
    met: bool | None
    peer: str
    unit: str
    middle: tuple[float, float] | None = None
    why: str = ""
    note: str = ""

    def as_json(self) -> dict[str, object]:
        """Its fields, those that say something or that every row has; numbers to four digits."""
        fields = {name: _rounded(value) for name, value in asdict(self).items()}
        always = ("work", "ours", "other", "ratio", "aim", "met", "peer", "unit")
        return {name: value for name, value in fields.items() if name in always or value}


@dataclass(frozen=True)
class Comparison:
    """Which two contestants are compared.

    Args:
        work: what both do, or what ours is where the other is a part of it; with `peer` it names the row.
        ours: a contestant.
        other: a contestant.
        relation: what is divided by what, and the aim.
        unit: of both costs.
        peer: who the other is, in the table; by default `other`.
        note: what else there is to say.
    """

    work: str
    ours: str
    other: str
    relation: Relation = AsFast()  # noqa: RUF009  (frozen)
    unit: str = "ms"
    peer: str = ""
    note: str = ""

    def row(self, costs: Costs | Absent) -> Row:
        """What was measured of it."""
        ours, other = (costs if isinstance(costs, Absent) else costs[name] for name in (self.ours, self.other))
        middles = [None if isinstance(cost, Absent) else statistics.median(cost) for cost in (ours, other)]
        ratio = middle = met = None
        if not isinstance(ours, Absent) and not isinstance(other, Absent):
            ratios = [self.relation.ratio(a, b) for a, b in zip(ours, other, strict=True)]
            ratio = statistics.median(ratios)
            met = self.relation.met(ratio)
            if len(ratios) > 2:
                lower, _, upper = statistics.quantiles(ratios, n=4, method="inclusive")
                middle = lower, upper
        why = next((cost.why for cost in (ours, other) if isinstance(cost, Absent)), "")
        aim, peer = str(self.relation) or None, self.peer or self.other
        return Row(self.work, *middles, ratio, aim, met, peer, self.unit, middle, why, self.note)


def limit(work: str, ours: float, most: float, unit: str, relation: Relation, note: str = "") -> Row:
    """One figure against what it may be at most."""
    costs: Costs = {"ours": [ours], "the limit": [most]}
    return Comparison(work, "ours", "the limit", relation, unit, note=note).row(costs)


def _rounded(value: object) -> object:
    if isinstance(value, tuple):
        return [_rounded(part) for part in value]
    return float(f"{value:.4g}") if isinstance(value, float) else value
