"""StudyFolder: the folder of `vae-lightning reproduce` -> its table, how it came about, and its pictures."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from markdown_it import MarkdownIt

LARGEST = 1 << 20
"""Bytes of a table."""


@dataclass(frozen=True)
class StudyFolder:
    """A folder that `vae-lightning reproduce` has written: results.json, table.md and pictures."""

    folder: Path

    @property
    def name(self) -> str:
        """What a person calls it."""
        return self.folder.resolve().name

    @cached_property
    def title(self) -> str:
        """The heading of its table."""
        first, *_ = [*self._text.splitlines(), ""]
        return first.removeprefix("# ").strip() or self.name

    @cached_property
    def html(self) -> str:
        """Its table and remarks as HTML. What is HTML in the file is shown as text; there are no links and images."""
        page = (
            MarkdownIt("commonmark", {"html": False}).enable("table").disable(["image", "link", "autolink", "heading"])
        )
        return str(page.render(self._text.partition("\n")[2]))

    @property
    def pictures(self) -> dict[str, Path]:
        """By their names."""
        return {file.stem: file for file in sorted(self.folder.glob("*.png"))}

    @cached_property
    def _text(self) -> str:
        file = self.folder / "table.md"
        if (size := file.stat().st_size) > LARGEST:
            raise ValueError(f"{file} has {size:,} bytes, and a table of at most {LARGEST:,} is shown")
        return file.read_text(errors="replace")


def is_study(folder: Path) -> bool:
    """Whether a study has written here."""
    return (folder / "results.json").is_file() and (folder / "table.md").is_file()
