"""`training.trainer`: the Trainer from Python as from the command; it writes nothing unasked, checkpoints are whole."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from lightning.pytorch.callbacks import ModelCheckpoint, RichProgressBar
from lightning.pytorch.plugins import TorchCheckpointIO
from support.models import digits, gaussian_vae

from vae_lightning.callbacks import AtomicCheckpointIO, LastCheckpoint
from vae_lightning.training import TrainingCLI, trainer
from vae_lightning.training.defaults import Unwatched

SHORT = {"max_epochs": 1, "accelerator": "cpu", "limit_train_batches": 2, "limit_val_batches": 1}


def test_nothing_is_written_or_printed_that_was_not_asked_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    trainer(**SHORT).fit(gaussian_vae(), digits())
    assert list(tmp_path.iterdir()) == []
    assert capsys.readouterr().out == ""


def test_a_folder_gets_logs_and_a_callback_its_checkpoints(tmp_path: Path) -> None:
    for _ in range(2):
        trainer(tmp_path, callbacks=LastCheckpoint(), **SHORT).fit(gaussian_vae(), digits())
    for version in ("version_0", "version_1"):
        assert list((tmp_path / version).glob("events*"))
        assert (tmp_path / version / "checkpoints" / "last.ckpt").is_file()


def test_checkpoints_are_written_atomically_unless_another_plugin_writes_them() -> None:
    class Own(TorchCheckpointIO):
        """A user's."""

    assert isinstance(trainer().strategy.checkpoint_io, AtomicCheckpointIO)
    assert isinstance(trainer(plugins=Own()).strategy.checkpoint_io, Own)


def test_a_barebones_trainer_is_refused_nothing_that_nobody_asked_for() -> None:
    run = trainer(barebones=True, **SHORT)
    run.fit(gaussian_vae(), digits())
    assert (run.global_step, run.log_every_n_steps) == (2, 0)


def test_a_profiler_records_only_what_somebody_asked_for() -> None:
    run = trainer(**SHORT)
    assert isinstance(run.profiler, Unwatched)
    with run.profiler.profile("a"), run.profiler.profile("a"):
        assert run.profiler.summary() == ""
    run = trainer(profiler="simple", **SHORT)
    run.fit(gaussian_vae(), digits())
    assert "run_training_batch" in run.profiler.summary()


def test_changes_win_and_the_rest_is_what_the_command_has(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    bar = RichProgressBar()
    changed = trainer(callbacks=[bar, ModelCheckpoint("somewhere")], log_every_n_steps=3, num_sanity_val_steps=1)
    assert (changed.log_every_n_steps, changed.num_sanity_val_steps) == (3, 1)
    assert changed.progress_bar_callback is bar
    config = str(Path(__file__).parents[2] / "configs" / "mixture.yaml")
    none = ["--trainer.max_epochs=0", "--trainer.logger=false", "--trainer.callbacks=null"]
    command = TrainingCLI.run(["fit", "--config", config, *none]).trainer
    ours = trainer()
    for name in ("log_every_n_steps", "num_sanity_val_steps"):
        assert getattr(ours, name) == getattr(command, name)
    samplers = [run._accelerator_connector.use_distributed_sampler for run in (ours, command)]
    assert samplers[0] == samplers[1]


BUFFERS = """
import ctypes
import torch
from vae_lightning.process.own import _MMAP_THRESHOLD
from vae_lightning.training import trainer

class MallocInfo(ctypes.Structure):
    # glibc's mallinfo2; hblks are the buffers that are the system's, which it has back when they are freed
    _fields_ = [(name, ctypes.c_size_t) for name in ("arena", "ordblks", "smblks", "hblks")]
    _fields_ += [("others", ctypes.c_size_t * 6)]

libc = ctypes.CDLL("libc.so.6")
libc.mallinfo2.restype = MallocInfo

def of_the_system():
    before = libc.mallinfo2().hblks
    buffer = torch.ones(6 << 20)
    return libc.mallinfo2().hblks - before

libc.mallopt(_MMAP_THRESHOLD, 1 << 17)  # as a process begins
print(of_the_system())
trainer(logger=False)
print(of_the_system())
"""


def test_large_buffers_are_kept_as_in_the_command() -> None:
    """What a step frees need not be asked of the system again, page by page, at the next; in a process of its own."""
    ran = subprocess.run([sys.executable, "-c", BUFFERS], capture_output=True, text=True, check=True)
    assert ran.stdout.split() == ["1", "0"]
