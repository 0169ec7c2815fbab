"""The pages of models, diagnostics and studies: none is missing, each has the same parts, and what it shows runs."""

from __future__ import annotations

import pkgutil
import re
import shlex
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import lightning.pytorch as pl
import pytest
from support.command import command, figures
from support.pages import Block, blocks, differences, shown_and_printed
from support.shipped import options

from vae_lightning import callbacks, metrics, models
from vae_lightning.studies.base import Study
from vae_lightning.studies.catalogue import STUDIES

DOCS = Path(__file__).parent.parent / "docs"
MODELS, DIAGNOSTICS, STUDIED = (sorted((DOCS / folder).glob("*.md")) for folder in ("models", "diagnostics", "studies"))
PAGES = MODELS + DIAGNOSTICS + STUDIED
BASES = {"Diagnostic", "MetricDiagnostic"}  # of which guides/own-metric.md makes one
MODULES = {name for name in models.__all__ if issubclass(getattr(models, name), pl.LightningModule)}
PARTS = ["When to use it", "The equation", "What it costs", "How to read it", "Run it"]
BRIEF = [
    *("--trainer.accelerator", "cpu", "--trainer.callbacks", "[]", "--trainer.limit_val_batches", "1"),
    "--trainer.logger.save_dir",
]


def name(page: Path) -> str:
    return f"{page.parent.name}/{page.stem}"


def described(page: Path) -> list[str]:
    """The full names in the first paragraph: what the page is about."""
    return re.findall(r"`(vae_lightning\.[\w.]+)`", page.read_text().split("\n\n")[1])


def code(page: Path, language: str) -> list[Block]:
    return [block for block in blocks(page.read_text()) if block.language == language]


def commands(page: Path) -> Iterator[list[str]]:
    """The words of each command behind `vae-lightning`."""
    for block in code(page, "sh"):
        for line in block.text.replace("\\\n", "").splitlines():
            program, *words = shlex.split(line, comments=True)
            assert program == "vae-lightning", line
            yield words


def test_no_model_lacks_a_page() -> None:
    named = {path.rsplit(".", 1)[1] for page in MODELS for path in described(page)}
    assert sorted(MODULES - named) == []


@pytest.mark.parametrize("room", [callbacks, metrics], ids=lambda room: room.__name__)
def test_no_callback_and_no_metric_lacks_a_page(room: ModuleType) -> None:
    """Callbacks that are no diagnostics share one, guides/callbacks.md."""
    pages = [*PAGES, DOCS / "guides" / "callbacks.md"]
    named = {path for page in pages for path in re.findall(r"`(vae_lightning\.[\w.]+)`", page.read_text())}
    assert [name for name in room.__all__ if f"{room.__name__}.{name}" not in named and name not in BASES] == []


def test_every_study_has_a_page_of_its_name() -> None:
    assert {page.stem for page in STUDIED} == set(STUDIES)
    for page in STUDIED:
        (path,) = described(page)
        assert pkgutil.resolve_name(path) is STUDIES[page.stem], page.stem


def test_nothing_has_two_pages() -> None:
    counted = Counter(path for page in PAGES for path in described(page))
    assert [path for path, times in counted.items() if times > 1] == []


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_a_page_is_short_and_has_the_parts_of_all(page: Path) -> None:
    text = page.read_text()
    assert re.findall(r"^## (.*)", text, re.MULTILINE) == PARTS
    assert 25 <= len(text.splitlines()) <= 60
    equation = text.partition("## The equation")[2].partition("\n## ")[0]
    assert re.search(r"^    \S", equation, re.MULTILINE), "an equation stands in a block of its own"
    assert re.search(r"\b(19|20)\d\d\b", equation), "and has a source"


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_its_twelve_lines_print_what_it_shows(page: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (program,) = code(page, "python")
    imports = ("import ", "from ")
    lines = [line for line in program.text.splitlines() if line and not line.startswith(imports)]
    assert len(lines) <= 12
    (pair,) = shown_and_printed(page.read_text())
    assert differences(*pair) == []


@pytest.mark.parametrize("page", MODELS, ids=name)
def test_the_command_of_a_model_trains_it(page: Path, tmp_path: Path) -> None:
    """For four steps, on data made here."""
    ((verb, option, config),) = commands(page)
    assert (verb, option) == ("fit", "--config")
    command("fit", *options(config, tmp_path, steps=4), *BRIEF, tmp_path)
    (path,) = {path for path in described(page) if path.rsplit(".", 1)[1] in MODULES}
    assert f"class_path: {path}" in (tmp_path / "version_0" / "config.yaml").read_text()


BASED = {"annealed-likelihood": "rbm/digits", "hashing": "newsgroups/8bit"}  # the others: digits with two codes
NEEDED = {
    "digits/vamp": ["--model.latent_dim", "2", "--model.prior.latent_shape", "2", "--model.prior.num_components", "9"],
    "rbm/digits": ["--best.monitor", "val/free_energy", "--trainer.check_val_every_n_epoch", "1"],
}


@pytest.mark.parametrize("config", ["digits/vamp", *BASED.values()])
def test_the_commands_of_diagnostics_watch_a_run(config: str, tmp_path: Path) -> None:
    """All that are of one kind of model in one command, which logs a figure or a picture of every page."""
    pages = [page for page in DIAGNOSTICS if BASED.get(page.stem, "digits/vamp") == config]
    small = [*options(config, tmp_path, steps=4), *NEEDED.get(config, ())]
    command("fit", *small, "--trainer.limit_train_batches", "4", *BRIEF, tmp_path)
    asked = {page: next(commands(page)) for page in pages}
    watchers = [word for words in asked.values() for word in words[3:]]
    run = tmp_path / "version_0"
    command("test", "--ckpt_path", run, "--trainer.limit_test_batches", "1", *watchers)
    logged = set(figures(run)) | {f"test/{path.name.split('-')[1]}" for path in (run / "pictures").glob("test-*")}
    for page, words in asked.items():
        if words[0] == "test":
            told = re.findall(r"`(\w+)`", page.read_text().partition("## How to read it")[2])
            assert logged & {f"test/{figure}" for figure in told}, page.name


@pytest.mark.parametrize("page", STUDIED, ids=name)
def test_the_command_of_a_study_begins_it(page: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The study is made as the words say; tests/studies run each of them."""
    begun: list[Study[Any, Any]] = []
    monkeypatch.setattr(Study, "reproduce", lambda study, out: begun.append(study) or [])
    monkeypatch.chdir(DOCS.parent)
    (words,) = commands(page)
    command(*words)
    (study,) = begun
    assert type(study) is STUDIES[page.stem]
    assert study.scale == "quick"
