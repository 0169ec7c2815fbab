"""What all benchmarks share: contestants that are timed in turns -> rows of a table, each with a ratio and its aim.

A benchmark is a file that names its contestants and what of them is compared, and ends with `main(SECTIONS, __doc__)`.
`python benchmarks/run.py`, or `make bench`, runs them all and keeps their rows in bench.json.
"""

from comparisons.command import SECTIONS, Section, faces, main
from comparisons.relations import AsFast, AsLikely, Relation, Share
from comparisons.rows import Comparison, Row, limit
from comparisons.turns import Absent, Contestants, Costs, Measure, given_data, in_turns, peer, timed

__all__ = [
    "SECTIONS",
    "Absent",
    "AsFast",
    "AsLikely",
    "Comparison",
    "Contestants",
    "Costs",
    "Measure",
    "Relation",
    "Row",
    "Section",
    "Share",
    "faces",
    "given_data",
    "in_turns",
    "limit",
    "main",
    "peer",
    "timed",
]
