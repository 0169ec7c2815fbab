"""Rows -> lines of Markdown."""

from __future__ import annotations

from collections.abc import Mapping

JSONRow = Mapping[str, object]
HEAD = "| work | beside | unit | ours | the other | ratio | aim | met |\n|---|---|---|---|---|---|---|---|"


def line(row: JSONRow) -> str:
    """One row."""
    met = {True: "yes", False: "no", None: ""}[row["met"]]  # type: ignore[index]
    numbers = [_number(row[name]) for name in ("ours", "other", "ratio")]
    note = "; ".join(str(row[name]) for name in ("why", "note") if row.get(name))
    work = f"{row['work']} ({note})" if note else row["work"]
    cells = [work, row["peer"], row["unit"], *numbers, row["aim"] or "", met]
    return f"| {' | '.join(str(cell) for cell in cells)} |"


def _number(value: object) -> str:
    if not isinstance(value, float | int):
        return ""
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.3g}"
