"""A line for each epoch, where no bar can move."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from lightning.pytorch.callbacks import RichProgressBar
from support.command import command
from support.models import digits, gaussian_vae, trainer
from support.short_run import tiny

from vae_lightning.callbacks import EpochLines
from vae_lightning.training.defaults import own_callbacks

OPTIONS = {"barebones": False, "enable_checkpointing": True, "callbacks": None, "enable_progress_bar": True}


def lines(said: str) -> list[str]:
    return [line for line in said.splitlines() if line.startswith("epoch ")]


def test_each_epoch_has_a_line_with_its_figures(capsys: pytest.CaptureFixture[str]) -> None:
    trainer(EpochLines(seconds=0.0), max_epochs=3).fit(gaussian_vae(), digits())
    said = lines(capsys.readouterr().out)
    assert [line.partition(":")[0] for line in said] == ["epoch 1/3", "epoch 2/3", "epoch 3/3"]
    assert all(re.search(r"val/nelbo [\d.]+.* \(\d+\.\d s\)$", line) for line in said)


def test_fast_epochs_share_lines_but_the_last_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    trainer(EpochLines(seconds=1e4), max_epochs=3).fit(gaussian_vae(), digits())
    assert lines(capsys.readouterr().out)[-1].startswith("epoch 3/3")


def test_the_command_prints_them_into_a_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    options = ("--trainer.logger.save_dir", tmp_path, "--trainer.enable_progress_bar", "true")
    command("fit", "--config", tiny(tmp_path), *options)
    said = capsys.readouterr().out
    assert lines(said)[-1].startswith("epoch 2/2")
    assert "━━" not in said.partition("epoch 2/2")[2]


def test_on_a_terminal_there_is_a_bar(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FORCE_COLOR", "1")
    assert any(isinstance(each, RichProgressBar) for each in own_callbacks(OPTIONS, []))
    monkeypatch.delenv("FORCE_COLOR")
    assert any(isinstance(each, EpochLines) for each in own_callbacks(OPTIONS, []))
    assert not any(isinstance(each, EpochLines) for each in own_callbacks(OPTIONS | {"enable_progress_bar": False}, []))
