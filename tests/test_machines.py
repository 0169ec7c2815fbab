"""Two machines without a shared disk: the bits of two processes, and a run that goes on when either is lost."""

from __future__ import annotations

import os
import re
import signal
import time
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import pytest
from support.command import ROOT, figures, left_with
from support.forked import free_port, in_children
from support.interrupted import Moment, Probe, differences, end
from support.machines import Machine, machines, of_run, why_not

pytestmark = pytest.mark.skipif(bool(why_not()), reason=why_not() or "")

QUIET = ("--trainer.enable_progress_bar", "false", "--trainer.enable_model_summary", "false")
SHORT = (*QUIET, "--trainer.max_epochs", "2", "--trainer.log_every_n_steps", "2", "--last.every_n_steps", "1")
DDP = ("--config", str(ROOT / "configs" / "trainer" / "ddp.yaml"))
TWO = (*DDP, "--trainer.devices", "1", "--trainer.num_nodes", "2")
KILLED = Moment("on_before_backward", 4)  # in the second epoch, of 3 steps
RUN = Path("runs", "version_0")

DIGITS = ("fit", "--config", str(ROOT / "configs" / "digits" / "vae.yaml"), *SHORT, "--trainer.callbacks", "[]")
DIGITS += ("--data.val_size", "61", "--data.test_size", "1635", "--data.batch_size", "20")
DIGITS += ("--data.eval_batch_size", "31", "--model.encoder.hidden", "[8]")
"""A stochastic gradient; 101 images, in the last step of an epoch 11 and 10; of 61 others 31 and 30."""

MIXTURE = ("fit", "--config", str(ROOT / "configs" / "mixture.yaml"), *SHORT, "--trainer.callbacks", "[]")
MIXTURE += ("--data.sizes", "[96, 61, 61]", "--data.eval_batch_size", "8")
"""An exact gradient; 3 steps an epoch of 32 points; of 61 others 8 batches, the last of 5."""


@dataclass
class Pair:
    """Two machines, and what their processes print."""

    machines: list[Machine]
    told: Path

    def run(self, *arguments: str, killed: int | None = None, alone: int | None = None) -> list[int]:
        """The command on both, or on one alone; one may be killed in mid-epoch. Exit statuses, in the order of both."""
        port = free_port()
        on = [each for each in self.machines if alone in (None, each.number)]
        runs = [partial(_on, each, self.machines[0], len(on), port, arguments, each.number == killed) for each in on]
        self.told.unlink(missing_ok=True)
        return in_children(runs, self.told.parent, self.told, self.told, 60)

    @property
    def lines(self) -> list[str]:
        """Those of this project."""
        return [line for line in self.told.read_text().splitlines() if line.startswith("vae-lightning: ")]


def _on(each: Machine, first: Machine, number: int, port: int, arguments: tuple[str, ...], killed: bool) -> int:
    each.enter()
    if number > 1:
        os.environ.update(of_run(each, first, number, port))
    Probe({KILLED: signal.SIGKILL} if killed else {}).install()
    return left_with(arguments)


@pytest.fixture
def pair(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Pair]:
    monkeypatch.setenv("OMP_NUM_THREADS", "1")  # otherwise Lightning shares a machine's cores by its processes
    with machines(tmp_path / "machines") as two:
        yield Pair(two, tmp_path / "told")


def here(folder: Path, *arguments: str, processes: int = 1) -> Path:
    """The run, on one machine."""
    folder.mkdir()
    told = folder / "told"
    assert in_children([partial(left_with, arguments)] * processes, folder, told, told) == [0] * processes, (
        told.read_text()
    )
    return folder


def assert_same_files(one: Machine, other: Machine, *names: str) -> None:
    for name in names:
        assert (one.disk / RUN / name).read_bytes() == (other.disk / RUN / name).read_bytes(), name


def test_the_bits_of_two_processes_though_a_machine_was_killed(pair: Pair, tmp_path: Path) -> None:
    expected = end(here(tmp_path / "here", *DIGITS, *DDP, processes=2))
    first, second = pair.machines
    began = time.monotonic()
    assert pair.run(*DIGITS, *TWO, killed=1) == [1, -signal.SIGKILL], pair.told.read_text()
    assert time.monotonic() - began < 60
    (line,) = pair.lines
    assert line.startswith(
        "vae-lightning: another process of this run has ended; go on with: vae-lightning fit --config"
    )
    assert_same_files(first, second, "config.yaml", "checkpoints/last.ckpt", "checkpoints/best.ckpt")
    assert sorted(path.name for path in (second.disk / RUN).rglob("*") if path.is_file()) == (
        ["best.ckpt", "config.yaml", "last.ckpt"]
    )

    of_second = second.disk / RUN / "checkpoints"
    (of_second / "best.ckpt").replace(
        of_second / "last.ckpt"
    )  # as if it had been killed before it had got the last one
    assert pair.run("fit", "--ckpt_path", str(RUN)) == [0, 0], pair.told.read_text()
    found = [each for each in differences(expected, end(first.disk)) if not each.startswith("/config")]
    assert found == []
    assert_same_files(first, second, "config.yaml", "checkpoints/last.ckpt", "checkpoints/best.ckpt")


def test_the_machine_that_is_left_goes_on_alone(pair: Pair, tmp_path: Path) -> None:
    """The one whose folder the run had is lost; the other one, with twice the batch, has the figures of one process."""
    one = figures(here(tmp_path / "here", *MIXTURE, "--data.batch_size", "32") / RUN)
    _, left = pair.machines
    assert pair.run(*MIXTURE, "--data.batch_size", "16", *TWO, killed=0) == [-signal.SIGKILL, 1], pair.told.read_text()
    (line,) = pair.lines
    told = re.search(r"on one machine add: (.*)", line)
    assert told is not None, line
    assert pair.run("fit", "--ckpt_path", str(RUN), *told[1].split(), alone=1) == [0], pair.told.read_text()
    assert figures(left.disk / RUN) == pytest.approx(one, rel=1e-5)


def test_another_run_of_a_machine_is_not_written_over(pair: Pair) -> None:
    _, second = pair.machines
    (second.disk / RUN).mkdir(parents=True)
    (second.disk / RUN / "config.yaml").write_text("another's")
    assert pair.run(*MIXTURE, *TWO) == [1, 1]
    assert [line.split(":")[1].strip() for line in pair.lines] == ["runs/version_0 holds another run on machine1"] * 2
    assert [path.name for path in (second.disk / RUN).iterdir()] == ["config.yaml"]
