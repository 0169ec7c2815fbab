"""The guides to one's own data -> a notebook of each, executed, beside this file: `make notebooks`.

A guide is the one source: its text and its code become cells, and what a reader sees of them is kept. Each notebook is
executed in an empty folder. Arguments choose some, as in `python docs/notebooks/make.py own-table`.
"""

from __future__ import annotations

import os
import re
import sys
import tempfile
from pathlib import Path
from typing import NamedTuple

HERE = Path(__file__).parent
GUIDES = HERE.parent / "guides"
NAMES = ("own-text", "own-table", "own-images", "own-network")
START = """import os
import tempfile

os.chdir(tempfile.mkdtemp())  # an empty folder, for what is written here
os.environ.pop("FORCE_COLOR", None)  # commands print plain text"""
BLOCK = re.compile(r"^```(\w+)\n(.*?)^```\n", re.DOTALL | re.MULTILINE)
LINES = 8  # of an output of more than twice as many: a training prints one an epoch


class Cell(NamedTuple):
    """A cell: `markdown` or `code`, and what is in it."""

    kind: str
    source: str


def cells(guide: str) -> list[Cell]:
    """Those of a guide: text as it is, Python and commands as code; what they print, the notebook shows itself."""
    found, texts = [Cell("code", START)], BLOCK.split(guide)
    for text, language, code in zip(texts[::3], [*texts[1::3], ""], [*texts[2::3], ""], strict=True):
        if told := _told(text):
            found.append(Cell("markdown", told))
        if language in ("python", "sh"):
            found.append(Cell("code", ("%%sh\n" if language == "sh" else "") + code.strip()))
    return [found[1], found[0], *found[2:]]  # the title first


def _told(text: str) -> str:
    """Text whose links lead from here; without pictures, which the cells draw."""
    drawn = re.sub(r"^!\[.*\]\(.*\)$", "", text, flags=re.MULTILINE)
    return re.sub(r"\]\((?!https?:)(?=[^.#])", "](../guides/", drawn).strip()


def executed(name: str) -> str:
    """A guide's notebook with what its cells print and draw, as JSON."""
    import nbformat  # noqa: PLC0415 - of the extra docs, which cells need not have
    from nbclient import NotebookClient  # noqa: PLC0415

    make = {"markdown": nbformat.v4.new_markdown_cell, "code": nbformat.v4.new_code_cell}
    book = nbformat.v4.new_notebook()
    for number, cell in enumerate(cells((GUIDES / f"{name}.md").read_text(encoding="utf-8"))):
        book.cells.append(make[cell.kind](cell.source, id=f"{name}-{number}"))
    with tempfile.TemporaryDirectory() as folder:
        options = {"timeout": 600, "record_timing": False, "coalesce_streams": True}
        NotebookClient(book, resources={"metadata": {"path": folder}}, **options).execute()
    for cell in book.cells:
        cell.get("outputs", [])[:] = [_kept(output) for output in cell.get("outputs", []) if _is_shown(output)]
    book.metadata = {"kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}}
    return nbformat.writes(book) + "\n"


def _is_shown(output: dict) -> bool:
    """Whether it is for the reader: what is printed and drawn, not logs and bars, which differ from run to run."""
    return output.get("name") == "stdout" or "image/png" in output.get("data", {})


def _kept(output: dict) -> dict:
    """The output: of a long one its end, of a picture no second format."""
    if output["output_type"] == "stream" and len(lines := output["text"].splitlines()) > 2 * LINES:
        output["text"] = "\n".join(["...", *lines[-LINES:]]) + "\n"
    output.get("data", {}).pop("image/jpeg", None)
    return output


if __name__ == "__main__":
    os.environ["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"  # where vae-lightning is
    for name in sys.argv[1:] or NAMES:
        (HERE / f"{name}.ipynb").write_text(executed(name), encoding="utf-8")
        print(HERE / f"{name}.ipynb")
