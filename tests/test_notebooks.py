"""Notebooks are their guides, executed: the same text and code, the output that the guides show, no error."""

from __future__ import annotations

import json
import os
import runpy
import sys
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from support.pages import blocks, differences

ROOT = Path(__file__).parent.parent
FOLDER = ROOT / "docs" / "notebooks"
MAKE = runpy.run_path(str(FOLDER / "make.py"))
GUIDES = [ROOT / "docs" / "guides" / f"{name}.md" for name in sorted(MAKE["NAMES"])]


def notebook(guide: Path) -> dict[str, Any]:
    return json.loads((FOLDER / f"{guide.stem}.ipynb").read_text(encoding="utf-8"))


def printed(cell: dict[str, Any]) -> str:
    return "".join("".join(output.get("text", "")) for output in cell.get("outputs", []))


def test_every_guide_to_own_data_has_a_notebook() -> None:
    assert sorted(MAKE["NAMES"]) == [guide.stem for guide in GUIDES]
    assert sorted(path.stem for path in FOLDER.glob("*.ipynb")) == [guide.stem for guide in GUIDES]


@pytest.mark.parametrize("guide", GUIDES, ids=lambda guide: guide.stem)
def test_a_notebook_is_up_to_date_with_its_guide(guide: Path) -> None:
    """`make notebooks` makes it anew."""
    found = [(cell["cell_type"], "".join(cell["source"])) for cell in notebook(guide)["cells"]]
    assert found == [tuple(cell) for cell in MAKE["cells"](guide.read_text(encoding="utf-8"))]


@pytest.mark.parametrize("guide", GUIDES, ids=lambda guide: guide.stem)
def test_a_notebook_was_executed_and_printed_what_the_guide_shows(guide: Path) -> None:
    page, book = blocks(guide.read_text(encoding="utf-8")), notebook(guide)
    cells = [cell for cell in book["cells"] if cell["cell_type"] == "code"]
    assert [cell["execution_count"] for cell in cells] == list(range(1, len(cells) + 1))
    outputs = {"".join(cell["source"]).removeprefix("%%sh\n"): printed(cell) for cell in cells}
    shown = [(code, text) for code, text in pairwise(page) if text.language == "text"]
    assert shown
    assert [line for code, text in shown for line in differences(text.text, outputs[code.text.strip()])] == []
    assert (FOLDER / f"{guide.stem}.ipynb").stat().st_size < 100_000


def test_a_notebook_links_to_the_guides() -> None:
    title, _ = MAKE["cells"]("# A\n\n[b](b.md), [c](../c.md), [d](https://d.e)\n\n![f](../f.png)\n")
    assert title.source == "# A\n\n[b](../guides/b.md), [c](../c.md), [d](https://d.e)"


def test_a_notebook_executes(monkeypatch: pytest.MonkeyPatch) -> None:
    """The code of all guides runs in `test_docs.py`; this runs one of them as a notebook, its commands as processes."""
    pytest.importorskip("nbclient")
    monkeypatch.setenv("PATH", f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}")
    book = json.loads(MAKE["executed"]("own-network"))
    found = [printed(cell) for cell in book["cells"] if cell["cell_type"] == "code"]
    kept = [printed(cell) for cell in notebook(GUIDES[1])["cells"] if cell["cell_type"] == "code"]
    assert GUIDES[1].stem == "own-network"
    assert found[-1]
    assert differences(kept[-1], found[-1]) == []
