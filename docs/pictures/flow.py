"""The way of a batch through the rooms -> docs/pictures/flow.svg.

python docs/pictures/flow.py docs/pictures/flow.svg
"""

from __future__ import annotations

import sys
from pathlib import Path
from xml.sax.saxutils import escape

WIDTH, HEIGHT, GAP, LEFT, TOP, ROW = 160, 64, 36, 20, 44, 118
TITLES = "a command", "a training step", "inside the model", "an evaluation batch"
BOXES = {  # (column, row): what it is called, and two lines of what comes in and what goes out
    (0, 0): ("configs/*.yaml", "one experiment,", "parts by class path"),
    (1, 0): ("cli", "a command line", "to one of six commands"),
    (2, 0): ("training", "options to a Trainer,", "a model and data"),
    (3, 0): ("Trainer", "Lightning's loop,", "epochs and steps"),
    (0, 1): ("data", "files to three splits", "of Observations"),
    (1, 1): ("loader", "(seed, epoch)", "to batches (x, y)"),
    (2, 1): ("model.loss", "(batch, step)", "to -bound.mean()"),
    (3, 1): ("objective", "(model, x)", "to a bound (B,)"),
    (4, 1): ("estimator", "(q, f, aggregate) to the", "bound and its gradient"),
    (1, 2): ("prior", "nothing", "to p(z)"),
    (2, 2): ("family", "natural parameters", "to a Distribution"),
    (3, 2): ("conditional", "encoder: x to q(z | x)", "decoder: z to p(x | z)"),
    (4, 2): ("model.draw", "(x, q, z), z (S, B, *Z),", "to a Draw"),
    (0, 3): ("model.evaluate", "(batch, index)", "to one Draw a batch"),
    (1, 3): ("Draw", "x, z, q, p and log-terms", "(S, B)"),
    (2, 3): ("callbacks", "when, on which split,", "under which name"),
    (3, 3): ("metrics", "float64 sums over", "batches and processes"),
    (4, 3): ("logger, files", "TensorBoard events,", "metrics.json, *.ckpt"),
}
STRAIGHT = (  # from one box to another in the same row or column
    ((0, 0), (1, 0)), ((1, 0), (2, 0)), ((2, 0), (3, 0)), ((2, 0), (2, 1)),
    ((0, 1), (1, 1)), ((1, 1), (2, 1)), ((2, 1), (3, 1)), ((3, 1), (4, 1)),
    ((4, 1), (4, 2)), ((3, 1), (3, 2)), ((4, 2), (3, 2)), ((3, 2), (2, 2)), ((1, 2), (2, 2)),
    ((0, 3), (1, 3)), ((1, 3), (2, 3)), ((2, 3), (3, 3)), ((3, 3), (4, 3)),
)  # fmt: skip
BENT = (((2, 0), (0, 1)), ((4, 2), (1, 2)), ((4, 2), (1, 3)))  # along the space between two rows
Cell = tuple[int, int]


def corner(cell: Cell) -> tuple[int, int]:
    """The upper left corner of a box."""
    return LEFT + cell[0] * (WIDTH + GAP), TOP + cell[1] * ROW


def box(cell: Cell) -> str:
    """A box with its name and two lines."""
    x, y = corner(cell)
    name, *lines = map(escape, BOXES[cell])
    said = "".join(f'<text x="{x + WIDTH // 2}" y="{y + 38 + 15 * k}">{line}</text>' for k, line in enumerate(lines))
    return (
        f'<rect x="{x}" y="{y}" width="{WIDTH}" height="{HEIGHT}" rx="6"/>'
        f'<text class="name" x="{x + WIDTH // 2}" y="{y + 20}">{name}</text>{said}'
    )


def straight(one: Cell, other: Cell) -> str:
    """An arrow between neighbours."""
    (x, y), (u, v) = corner(one), corner(other)
    if one[0] == other[0]:
        return arrow(f"M{x + WIDTH // 2},{y + HEIGHT} V{v - 3}")
    start, end = (x + WIDTH, u - 3) if x < u else (x, u + WIDTH + 3)
    return arrow(f"M{start},{y + HEIGHT // 2} H{end}")


def bent(one: Cell, other: Cell) -> str:
    """An arrow that leaves a box below, runs between two rows, and ends at the top or the bottom of the other."""
    (x, y), (u, v) = corner(one), corner(other)
    between = y + HEIGHT + 14 + 10 * (v > y)
    end = v - 3 if v > y else v + HEIGHT + 3
    return arrow(f"M{x + WIDTH // 2 - 20},{y + HEIGHT} V{between} H{u + WIDTH // 2 + 40} V{end}")


def arrow(path: str) -> str:
    """A line with a head."""
    return f'<path d="{path}" marker-end="url(#head)"/>'


def picture() -> str:
    """All of it."""
    width, height = 2 * LEFT + 5 * (WIDTH + GAP) - GAP, TOP + 4 * ROW - 26
    titles = [f'<text class="row" x="{LEFT}" y="{TOP + k * ROW - 12}">{name}</text>' for k, name in enumerate(TITLES)]
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" height="{height}">',
        '<defs><marker id="head" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="8" markerHeight="8" orient="auto">'
        '<path d="M0,0 L8,4 L0,8 z" style="fill:#345;stroke:none"/></marker></defs>',
        "<style>text{font:12px sans-serif;text-anchor:middle;fill:#234}.name{font:bold 14px monospace}"
        ".row{font:italic 13px sans-serif;text-anchor:start;fill:#678}rect{fill:#eef4fa;stroke:#345}"
        "path{fill:none;stroke:#345;stroke-width:1.3}</style>",
        f'<rect width="{width}" height="{height}" style="fill:white;stroke:none"/>',
        *(straight(*ends) for ends in STRAIGHT),
        *(bent(*ends) for ends in BENT),
        *map(box, BOXES),
        *titles,
        "</svg>\n",
    ]
    return "\n".join(parts)


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit("python docs/pictures/flow.py PICTURE, such as docs/pictures/flow.svg")
    Path(sys.argv[1]).write_text(picture())
