"""Every Python block of docs/ runs, page by page; what the documents name is there."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path
from typing import Any

import pytest
from diagnostics import SMALL, imported

ROOT = Path(__file__).parent.parent
PYTHON = re.compile(r"```python\n(.*?)```", re.DOTALL)
DOCUMENTS = [*sorted((ROOT / "docs").glob("*.md")), *(ROOT / name for name in ("README.md", "CONTRIBUTING.md"))]
PAGES = [page for page in DOCUMENTS if PYTHON.search(page.read_text())]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_page_runs(page: Path) -> None:
    names: dict[str, Any] = {}
    for block in PYTHON.findall(page.read_text()):
        exec(compile(block, page.name, "exec"), names)


@pytest.mark.parametrize("page", DOCUMENTS, ids=lambda page: page.stem)
def test_links_lead_to_files(page: Path) -> None:
    links = re.findall(r"\]\(([^)#:]+)\)", page.read_text())
    assert [link for link in links if not (page.parent / link).exists()] == []


@pytest.mark.parametrize("page", DOCUMENTS, ids=lambda page: page.stem)
def test_configs_and_classes_that_are_named_exist(page: Path) -> None:
    text = page.read_text()
    assert [path for path in re.findall(r"configs/[\w/]+\.yaml", text) if not (ROOT / path).is_file()] == []
    for path in set(re.findall(r"\bvae_lightning(?:\.[a-z_]+)+\.[A-Z]\w+\b", text)) - {"vae_lightning.callbacks.NAME"}:
        assert isinstance(imported(path), type), path


def test_the_readme_names_every_diagnostic_of_a_gaussian_vae() -> None:
    assert set(re.findall(r"`(\w+)`", (ROOT / "README.md").read_text())) >= SMALL.keys()


def test_the_table_of_layers_is_the_one_that_lint_enforces() -> None:
    (contract,) = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"]
    lines = (ROOT / "CONTRIBUTING.md").read_text().partition("| layer, from the top")[2].splitlines()[2:]
    table = [set(re.findall(r"`(\w+)`", line.split(" | ")[0])) for line in lines if line.startswith("|")]
    assert table == [set(layer.split(" | ")) for layer in contract["layers"]]
