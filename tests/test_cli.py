"""What the command says to whoever uses it: its help, and nothing of its own insides."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from running import ROOT, command, process

from vae_lightning.cli import COMMANDS, HELP


def test_help_names_every_command_and_fits_a_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    command("--help")
    assert capsys.readouterr().out == HELP
    assert re.findall(r"^  (\w+)  ", HELP, re.MULTILINE) == list(COMMANDS)
    assert max(map(len, HELP.splitlines())) <= 120


def test_configs_of_the_help_are_there() -> None:
    named = re.findall(r"configs/\S+\.yaml", HELP)
    assert named
    assert all((ROOT / path).is_file() for path in named)


def test_a_fit_says_nothing_of_its_insides(tmp_path: Path) -> None:
    """An untrained code tells nothing: CollapseWatch says so in one line, without the place in the code."""
    options = ["--trainer.max_epochs", "1", "--trainer.accelerator", "cpu", "--trainer.logger.save_dir", tmp_path]
    watch = '[{"class_path": "vae_lightning.callbacks.CollapseWatch", "init_args": {"every_n_epochs": 1}}]'
    done = process("fit", "--config", ROOT / "configs/digits/vae.yaml", *options, "--trainer.callbacks", watch)
    assert done.returncode == 0, done.stderr
    assert re.search(r"^vae-lightning: epoch 0, val: posterior collapse: ", done.stderr, re.MULTILINE)
    assert not re.search(r"\.py:\d+|TPU|Warning", done.stderr)
