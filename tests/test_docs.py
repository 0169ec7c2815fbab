"""Every Python block of docs/ and README.md runs, page by page, as it shows; all that they name is there."""

from __future__ import annotations

import re
import runpy
import sys
import tomllib
from pathlib import Path

import pytest
import torch
from PIL import Image
from support.diagnostics import SMALL, imported
from support.pages import blocks, differences, shown_and_printed, unproduced
from torch.utils.tensorboard.writer import SummaryWriter

ROOT = Path(__file__).parent.parent
BENCHMARKS = "benchmarks/RESULTS.md", "benchmarks/bench.md"
OTHERS = "README.md", "CONTRIBUTING.md", *BENCHMARKS, "checkpoints/newsgroups-8bit.md"
DOCUMENTS = [*sorted((ROOT / "docs").rglob("*.md")), *(ROOT / name for name in OTHERS)]
TOUR = ROOT / "docs" / "tour.md"
PARTS = ("models", "diagnostics", "studies")  # whose pages run in test_part_pages.py
PAGES = [
    page
    for page in DOCUMENTS
    if {block.language for block in blocks(page.read_text())} & {"python", "text"}
    and page.parent.name not in PARTS
    and page != TOUR
]
OWN = sorted((ROOT / "docs" / "guides").glob("own-*.md"))
MEASURED = [page for page in DOCUMENTS if page.relative_to(ROOT).parts[0] in ("docs", "benchmarks")]


def name(page: Path) -> str:
    """What a test of a page is called by."""
    return str(page.relative_to(ROOT))


@pytest.mark.parametrize("page", [page for page in PAGES if page not in OWN], ids=name)
def test_page_runs_and_prints_what_it_shows(page: Path) -> None:
    assert [line for pair in shown_and_printed(page.read_text()) for line in differences(*pair)] == []


@pytest.mark.parametrize("page", OWN, ids=name)
def test_a_guide_to_own_data_runs_in_an_empty_folder(
    page: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All its commands, too: those that show nothing write files for those that do."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    pairs = shown_and_printed(page.read_text(), every_command=True)
    assert [line for pair in pairs for line in differences(*pair)] == []
    assert len(page.read_text().splitlines()) < 60
    code = [line for block in blocks(page.read_text()) if block.language != "text" for line in block.text.splitlines()]
    assert len([line for line in code if line]) < 40


def test_the_tour_runs_in_an_empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With an epoch in place of forty; its figures and pictures come from docs/pictures/tour.py, which runs all."""
    monkeypatch.chdir(tmp_path)
    brief = TOUR.read_text().replace("--trainer.max_epochs 40", "--trainer.max_epochs 1")
    brief = brief.replace("beta.steps 200", "beta.steps 10").replace(" test ", " test --trainer.limit_test_batches 1 ")
    pairs = shown_and_printed(brief, every_command=True)
    shapes = [[line.split()[0] for line in text.splitlines()] for pair in pairs for text in pair]
    assert shapes[::2] == shapes[1::2]
    assert (tmp_path / "report.html").stat().st_size > 10_000


@pytest.mark.parametrize("page", DOCUMENTS, ids=name)
def test_no_page_shows_output_that_nothing_is_compared_with(page: Path) -> None:
    assert unproduced(page.read_text()) == []


@pytest.mark.parametrize("page", DOCUMENTS, ids=name)
def test_links_lead_to_files(page: Path) -> None:
    links = re.findall(r"\]\(([^)#:]+)\)", page.read_text())
    assert [link for link in links if not (page.parent / link).exists()] == []


@pytest.mark.parametrize("page", DOCUMENTS, ids=name)
def test_configs_and_classes_that_are_named_exist(page: Path) -> None:
    text = page.read_text()
    assert [path for path in re.findall(r"configs/[\w/]+\.yaml", text) if not (ROOT / path).is_file()] == []
    for path in set(re.findall(r"\bvae_lightning(?:\.[a-z_]+)+\.[A-Z]\w+\b", text)) - {"vae_lightning.callbacks.NAME"}:
        assert isinstance(imported(path), type), path


@pytest.mark.parametrize("page", MEASURED, ids=name)
def test_tables_of_figures_name_their_commit_and_the_command_that_reruns_them(page: Path) -> None:
    for section in re.split(r"^#+ ", page.read_text(), flags=re.MULTILINE):
        if re.search(r"^\|.*\d\.\d", section, re.MULTILINE):
            title = section.splitlines()[0]
            assert re.search(r"\b(?=[a-f]*\d)[0-9a-f]{7}\b", section), title
            assert re.search(r"^ *(OMP_NUM_THREADS=1 )?(vae-lightning|python|make) ", section, re.MULTILINE), title


def test_the_table_of_priors_adds_up() -> None:
    """-ELBO = reconstruction + mutual information + marginal KL, but for what rounding four figures can add up to."""
    table = (ROOT / "docs" / "results" / "priors.md").read_text().partition("| --- |")[2]
    rows = [re.findall(r"\| (-?\d+\.\d\d)", line) for line in table.splitlines() if line.startswith("| ")]
    whole = [row for row in rows if len(row) == 6]  # of two levels there are no such terms
    assert len(whole) == 8
    for _, elbo, *terms, _ in (map(float, row) for row in whole):
        assert abs(elbo + sum(terms)) < 0.021


def test_the_guide_names_every_diagnostic_of_a_gaussian_vae() -> None:
    table = (
        (ROOT / "docs" / "guides" / "diagnostics.md").read_text().partition("| diagnostic |")[2].partition("\n\n")[0]
    )
    assert set(re.findall(r"`(\w+)`", table)) >= SMALL.keys()


def test_the_table_of_layers_is_the_one_that_lint_enforces() -> None:
    (contract,) = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"]
    lines = (ROOT / "CONTRIBUTING.md").read_text().partition("| layer, from the top")[2].splitlines()[2:]
    table = [set(re.findall(r"`(\w+)`", line.split(" | ")[0])) for line in lines if line.startswith("|")]
    assert table == [set(layer.split(" | ")) for layer in contract["layers"]]


def test_the_layers_of_the_architecture_page_are_those_that_lint_enforces() -> None:
    (contract,) = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"]
    assert "".join(f"    {layer}\n" for layer in contract["layers"]) in (ROOT / "docs" / "architecture.md").read_text()


def test_the_picture_of_the_flow_is_what_its_script_draws(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    drawn = tmp_path / "flow.svg"
    run_script("flow.py", monkeypatch, drawn)
    assert drawn.read_text() == (ROOT / "docs" / "pictures" / "flow.svg").read_text()


TAGS = ("val/samples", "val/pseudo_inputs", "val/reconstructions", "val/active_units")


@pytest.mark.parametrize("tags", [TAGS, TAGS[:1] + TAGS[2:], TAGS[1:3], TAGS[:1]])
def test_the_pictures_of_a_run_are_drawn_side_by_side(
    tags: tuple[str, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Those that it has: a run without VampPrior has no pseudo-inputs."""
    with SummaryWriter(str(tmp_path)) as writer:
        for tag in tags:
            writer.add_image(tag, torch.zeros(3, 40, 80))
    run_script("digits.py", monkeypatch, tmp_path, tmp_path / "picture.png")
    said = capsys.readouterr().err
    assert [tag for tag in TAGS if tag in said] == [tag for tag in TAGS if tag not in tags]
    picture = Image.open(tmp_path / "picture.png")
    columns, rows = (2, 2) if len(tags) == 4 else (len(tags), 1)
    assert picture.width == 900
    each = (900 - 20 * (columns - 1)) / columns / 2  # twice as wide as high
    assert picture.height == rows * int(each) + 20 * (rows - 1)


@pytest.mark.parametrize(("folder", "said"), [("empty", "has no val/samples, "), ("nowhere", "nowhere is no folder")])
def test_a_run_without_pictures_is_said(
    folder: str, said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(SystemExit, match=said):
        run_script("digits.py", monkeypatch, tmp_path / folder, tmp_path / "picture.png")


def run_script(name: str, monkeypatch: pytest.MonkeyPatch, *arguments: Path) -> None:
    monkeypatch.setattr(sys, "argv", [name, *map(str, arguments)])
    runpy.run_path(str(ROOT / "docs" / "pictures" / name), run_name="__main__")
