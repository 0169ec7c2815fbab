"""Runs that start at once have a folder each."""

from __future__ import annotations

import os
from functools import partial
from pathlib import Path

import pytest
from support.command import left_with
from support.forked import in_children
from support.short_run import tiny

from vae_lightning.training.loggers import RunCSV, RunTensorBoard


def opens(kind: type[RunTensorBoard | RunCSV], runs: Path, gate: Path) -> int:
    """Wait for all others, and log something."""
    gate.touch()
    while len(list(gate.parent.iterdir())) < 10:
        pass
    logger = kind(runs, name="")
    logger.log_metrics({"val/nelbo": float(os.getpid())}, 0)
    logger.finalize("success")
    print(logger.version)
    return 0


@pytest.mark.parametrize("kind", [RunTensorBoard, RunCSV])
def test_ten_that_start_at_once_land_in_ten_folders(kind: type[RunTensorBoard | RunCSV], tmp_path: Path) -> None:
    gates, runs = tmp_path / "gates", tmp_path / "runs"
    gates.mkdir()
    out, err = tmp_path / "out", tmp_path / "err"
    each = [partial(opens, kind, runs, gates / str(number)) for number in range(10)]
    assert in_children(each, tmp_path, out, err) == [0] * 10, err.read_text()
    assert sorted(int(version) for version in out.read_text().split()) == list(range(10))
    assert sorted(path.name for path in runs.iterdir()) == [f"version_{number}" for number in range(10)]
    assert all(list(path.iterdir()) for path in runs.iterdir())


def test_a_folder_of_runs_that_cannot_be_made_is_named_with_the_way_out(tmp_path: Path) -> None:
    runs = tmp_path / "file" / "runs"
    runs.parent.touch()
    with pytest.raises(NotADirectoryError) as caught:
        RunCSV(runs, name="").version  # noqa: B018
    (note,) = caught.value.__notes__
    assert str(runs) in note
    assert "--trainer.logger.save_dir" in note


def test_two_fits_that_start_at_once_have_a_run_each(tmp_path: Path) -> None:
    """A run is one process here, not two of one run: they know nothing of each other."""
    config = tiny(tmp_path)
    fit = ["fit", "--config", str(config), "--trainer.max_epochs", "1"]
    children = [partial(alone, fit), partial(alone, fit)]
    assert in_children(children, tmp_path, tmp_path / "out", tmp_path / "err") == [0, 0]
    for number in range(2):
        assert (tmp_path / f"runs/version_{number}/checkpoints/best.ckpt").is_file()
    assert not (tmp_path / "runs/version_2").exists()


def alone(arguments: list[str]) -> int:
    for name in ("MASTER_ADDR", "MASTER_PORT", "WORLD_SIZE", "NODE_RANK", "LOCAL_RANK"):
        os.environ.pop(name, None)
    return left_with(arguments)
