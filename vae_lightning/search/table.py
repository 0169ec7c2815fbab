"""Tables: what was found -> lines of a table, or of JSON."""

from __future__ import annotations

import json
from typing import Any

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from vae_lightning.messages import printable
from vae_lightning.search.hits import Hits

PLAIN_WIDTH = 160  # columns of the table where there is no terminal to ask
_COLUMNS = {"name": "document", "label": "label", "title": "title", "words": "top words"}


def console() -> Console:
    """Standard output."""
    found = Console(highlight=False)
    if not found.is_terminal:
        found.width = PLAIN_WIDTH
    return found


def show(hits: Hits, query: int, out: Console) -> None:
    """A table, without lines where the output is not a terminal, of the columns that have something."""
    rows, terminal = hits.of(query), out.is_terminal
    table = Table(box=box.ROUNDED if terminal else None, pad_edge=terminal)
    table.add_column("distance", justify="right", min_width=len("distance"))
    shown = [name for name in _COLUMNS if name in ("name", "words") or any(row[name] for row in rows)]
    for name in shown:
        table.add_column(_COLUMNS[name], no_wrap=name == "name")
    for row in rows:
        table.add_row(str(row["distance"]), *(Text(printable(row[name])) for name in shown))
    out.print(table)
    if hits.tied[query]:
        out.print(f"{hits.tied[query]:,} more at distance {rows[-1]['distance']}")


def as_json(hits: Hits, query: int, asked: dict[str, Any]) -> str:
    """One line: what was asked, and all that was found."""
    found = {"unknown": list(hits.unknown[query]), "hits": hits.of(query), "tied": hits.tied[query]}
    return json.dumps(asked | found, ensure_ascii=False)
