"""Long trainings, damaged checkpoints, runs that start at once, clocks that jump, random kills: all hold.

The suite tries each in small. `make soak` sets ENDURANCE, for a thousand epochs, ten runs at once and all models, and
RANDOM_KILLS, for so many kills of each.
"""

from __future__ import annotations

import gc
import itertools
import os
import resource
import shutil
import time
from functools import partial
from pathlib import Path
from unittest.mock import patch

import lightning.pytorch as pl
import pytest
from support.command import command, figures, left_with
from support.endured import in_a_child, unlike, whole
from support.interrupted import Probe, end, forked, go_on, plain
from support.interruptions import WORLDS, Bench
from support.killed import FORK, KILLS, always_ends_alike
from support.short_run import saved, tiny

from vae_lightning.files import locked
from vae_lightning.training import TrainingCLI

AS_NAMED = "ENDURANCE" in os.environ
EPOCHS = 1_000 if AS_NAMED else 20
STARTS = 10 if AS_NAMED else 3
# single kills of models are in tests/test_interrupted.py
KILLED = (*WORLDS, "hvae", "mrf-vae", "sweep") if AS_NAMED else ("sweep",)
MEGABYTE = 2**20


@pytest.fixture(scope="module")
def config(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny(tmp_path_factory.mktemp("config"))


@pytest.fixture(scope="module")
def run(config: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return whole(config, tmp_path_factory.mktemp("whole"))


class Meter(pl.Callback):
    """Writes down the memory in use, the open files and the threads, at a tenth of the epochs and at the end."""

    def __init__(self, file: Path) -> None:
        self.file = file

    def on_train_epoch_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        if trainer.current_epoch in (EPOCHS // 10, EPOCHS - 1):
            gc.collect()
            pages = int(Path("/proc/self/statm").read_text().split()[1])
            handles, threads = (len(os.listdir(f"/proc/self/{name}")) for name in ("fd", "task"))  # noqa: PTH208
            with self.file.open("a") as out:
                print(pages * resource.getpagesize(), handles, threads, file=out)


def test_memory_and_handles_stay_flat_over_many_epochs(config: Path, tmp_path: Path) -> None:
    """A thousand epochs in `make soak`; logging, checkpoints and validation in each."""
    meter = Meter(tmp_path / "meter")
    arguments = ["fit", "--config", str(config), "--trainer.max_epochs", str(EPOCHS)]

    def train() -> int:
        TrainingCLI.run(arguments, observers=[meter])
        return 0

    status, told = in_a_child(train, tmp_path, patience=60 + 3 * EPOCHS)
    assert status == 0, told
    (memory, handles, threads), last = (tuple(map(int, line.split())) for line in meter.file.read_text().splitlines())
    print(f"{EPOCHS} epochs: {memory / MEGABYTE:.1f} and {last[0] / MEGABYTE:.1f} MB, {handles} and {last[1]} handles")
    assert last[1:] == (handles, threads)
    assert last[0] - memory < 16 * MEGABYTE


def test_runs_that_start_at_once_are_all_whole(config: Path, run: Path, tmp_path: Path) -> None:
    """Each has a folder of its own, and ends as one that was alone: ten in `make soak`."""
    typed = ["fit", "--config", str(config), "--trainer.max_epochs", "3"]
    runs = [FORK.Process(target=in_a_child, args=(partial(left_with, typed), tmp_path)) for _ in range(STARTS)]
    for each in runs:
        each.start()
    for each in runs:
        each.join()
    assert {path.name for path in (tmp_path / "runs").iterdir()} == {f"version_{number}" for number in range(STARTS)}
    assert [unlike(folder, run) for folder in (tmp_path / "runs").iterdir()] == [[]] * STARTS


@pytest.mark.parametrize(("given", "damage"), [("folder", "shortened"), ("last", "a flipped bit")])
def test_of_a_damaged_newest_checkpoint_the_one_before_is_taken(
    given: str, damage: str, config: Path, run: Path, tmp_path: Path
) -> None:
    """`best.ckpt` of step 20 for `last.ckpt` of step 25, which is said; the run ends with the same bits."""
    begin = ("fit", "--config", config, "--trainer.logger.save_dir", tmp_path)
    command(*begin, "--last.every_n_steps", "1", "--trainer.max_epochs", "-1", "--trainer.max_steps", "25")
    last = tmp_path / "version_0" / "checkpoints" / "last.ckpt"
    content = bytearray(last.read_bytes())
    content[len(content) // 2] ^= 1
    last.write_bytes(content[: len(content) // 2] if damage == "shortened" else content)
    on = ("fit", "--ckpt_path", last.parents[1]) if given == "folder" else (*begin, "--ckpt_path", "last")
    said = r"last\.ckpt is not a whole checkpoint .*: the run goes on from best\.ckpt before it, of step 20"
    with pytest.warns(UserWarning, match=said):
        command(*on, "--trainer.max_epochs", "3", "--trainer.max_steps", "-1")
    assert unlike(last.parents[1], run) == []


def test_a_damaged_file_that_was_named_itself_is_refused(run: Path, tmp_path: Path) -> None:
    copy = shutil.copytree(run, tmp_path / "run")
    last = copy / "checkpoints" / "last.ckpt"
    last.write_bytes(last.read_bytes()[:1000])
    status, told = in_a_child(partial(left_with, ["fit", "--ckpt_path", str(last)]), tmp_path)
    assert status == 1
    assert f"{last} is not a whole checkpoint" in told.splitlines()[-1]


@pytest.mark.parametrize("jump", [-86_400.0, 86_400.0])
def test_a_clock_that_jumps_changes_nothing(jump: float, config: Path, run: Path, tmp_path: Path) -> None:
    """By a day at the fifth time that somebody asks for it, and again and again; an interrupted run goes on, too."""
    clock, asked = time.time, itertools.count()

    def train(arguments: list[str]) -> int:
        with patch("time.time", side_effect=lambda: clock() + jump * (next(asked) // 5)):
            return left_with(arguments)

    begin = ["fit", "--config", str(config), "--trainer.max_epochs", "1"]
    assert in_a_child(partial(train, begin), tmp_path)[0] == 0
    status, told = in_a_child(partial(train, ["fit", "--ckpt_path", "runs/version_0", *begin[3:-1], "3"]), tmp_path)
    assert status == 0, told
    assert "(-" not in told  # no epoch took less than no time
    assert unlike(tmp_path / "runs" / "version_0", run) == []


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Bench:
    return Bench(tmp_path_factory.mktemp("bench"))


@pytest.mark.parametrize("world", KILLED)
def test_killed_at_random_moments_all_ends_with_the_same_bits(
    world: str, bench: Bench, config: Path, tmp_path: Path
) -> None:
    """Every model of tests/support/interruptions.py, and a sweep of two of them: twenty kills each in `make soak`."""
    folder = tmp_path / "parts"
    if world == "sweep":
        typed, parts = ["sweep", "--config", str(config), "--grid.model.latent_dim", "2,3", "--jobs", "1"], sweep_end
    else:
        typed, parts = [*bench.worlds[world], "--last.every_n_steps", "2"], end

    def work(patience: float | None) -> int:
        folder.mkdir(exist_ok=True)
        on = [] if world == "sweep" else go_on(folder)
        with locked(folder / "runs" / "sweep" / "sweep"):
            pass  # the run that a killed sweep had begun goes on to its end, and until then keeps others away
        (status,) = forked(folder, [*typed, *on], Probe(), patience=patience)
        return status

    wholes = always_ends_alike(work, folder, parts)
    print(f"{world}: {KILLS} kills at random moments, {wholes} whole, all with the same bits")


def sweep_end(folder: Path) -> dict[str, object]:
    """What the runs of a sweep leave, in plain types."""
    runs = sorted((folder / "runs" / "sweep").glob("latent_dim=*"))
    assert len(runs) == 2
    ends = {run.name: saved(run / "checkpoints" / "last.ckpt") for run in runs}
    kept = {name: {part: plain(end[part]) for part in ("state_dict", "optimizer_states")} for name, end in ends.items()}
    return kept | {f"figures of {run.name}": figures(run) for run in runs}
