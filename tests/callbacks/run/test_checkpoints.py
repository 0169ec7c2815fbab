"""Checkpoints: the last one after every epoch and at its interval, each whole or not there."""

from __future__ import annotations

import re
import resource
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import lightning.pytorch as pl
import pytest
import torch
from support.crafted import whole
from support.models import hashing, newsgroups, trainer

from vae_lightning.callbacks import AtomicCheckpointIO, LastCheckpoint


class Steps(AtomicCheckpointIO):
    """Notes the step of each checkpoint."""

    def __init__(self) -> None:
        self.seen: list[int] = []

    def save_checkpoint(self, checkpoint: dict[str, Any], path: str | Path, storage_options: Any | None = None) -> None:
        super().save_checkpoint(checkpoint, path, storage_options)
        self.seen.append(checkpoint["global_step"])


@pytest.mark.parametrize(("every", "steps"), [(None, [7, 14]), (3, [3, 6, 7, 9, 12, 14]), (7, [7, 14])], ids=str)
def test_when_it_is_written(every: int | None, steps: list[int], miniature: Path, tmp_path: Path) -> None:
    io = Steps()
    run = trainer(LastCheckpoint(every), folder=tmp_path, max_epochs=2, enable_checkpointing=True, plugins=[io])
    run.fit(hashing(), datamodule=newsgroups(miniature))
    assert [step for step in io.seen if step] == steps
    written = torch.load(tmp_path / "version_0" / "checkpoints" / "last.ckpt", weights_only=True)
    assert written["global_step"] == 14
    assert written["optimizer_states"]


def test_a_dry_run_writes_none(miniature: Path, tmp_path: Path) -> None:
    run = trainer(LastCheckpoint(1), folder=tmp_path, enable_checkpointing=True, fast_dev_run=True)
    run.fit(hashing(), datamodule=newsgroups(miniature))
    assert not list(tmp_path.rglob("*.ckpt"))


@pytest.mark.parametrize("every", [0, -1])
def test_an_interval_is_at_least_one(every: int) -> None:
    with pytest.raises(ValueError, match=f"every_n_steps >= 1, or null for epochs alone; got {every}"):
        LastCheckpoint(every)


def test_a_full_disk_leaves_the_old_checkpoint(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The failure comes after some bytes were written."""

    def full(checkpoint: object, file: Any) -> None:
        file.write(b"half")
        raise OSError(28, "No space left on device")

    target, io = tmp_path / "new" / "last.ckpt", AtomicCheckpointIO()
    io.save_checkpoint(whole(state_dict={"weight": torch.ones(2)}), target)
    monkeypatch.setattr(torch, "save", full)
    with pytest.raises(OSError, match="No space"):
        io.save_checkpoint(whole(state_dict={"weight": torch.zeros(2)}), target)
    assert torch.equal(io.load_checkpoint(target)["state_dict"]["weight"], torch.ones(2))
    assert [path.name for path in target.parent.iterdir()] == ["last.ckpt"]


@pytest.fixture
def small_files() -> Iterator[None]:
    """No file can become larger than 100 kB, as on a disk that has no more left."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, before[1]))
    yield
    resource.setrlimit(resource.RLIMIT_FSIZE, before)


def test_a_disk_that_becomes_full_is_named_by_the_path(tmp_path: Path, small_files: None) -> None:
    """Where torch says `unexpected pos 704 vs 598`."""
    target, io = tmp_path / "last.ckpt", AtomicCheckpointIO()
    io.save_checkpoint({"weight": torch.ones(2)}, target)
    with pytest.raises(OSError, match=re.escape(f"File too large: '{target}'")):
        io.save_checkpoint({"weight": torch.ones(100_000)}, target)
    assert torch.equal(torch.load(target, weights_only=True)["weight"], torch.ones(2))
    assert [path.name for path in tmp_path.iterdir()] == ["last.ckpt"]


class Anything:
    """Not a plain value."""


def test_only_plain_checkpoints_load_whatever_the_caller_says(tmp_path: Path) -> None:
    torch.save({"object": Anything()}, tmp_path / "pickled.ckpt")
    with pytest.raises(Exception, match="Weights only load failed"):
        AtomicCheckpointIO().load_checkpoint(tmp_path / "pickled.ckpt", weights_only=False)


def test_weights_that_are_not_finite_do_not_replace_the_last_good_ones(miniature: Path, tmp_path: Path) -> None:
    class Break(pl.Callback):
        def on_train_batch_end(self, trainer: pl.Trainer, pl_module: Any, *_: Any) -> None:
            if trainer.global_step == 5:
                with torch.no_grad():
                    pl_module.model.decoder.network.output.bias[0] = float("inf")

    run = trainer(
        Break(), LastCheckpoint(1), folder=tmp_path, enable_checkpointing=True, plugins=[AtomicCheckpointIO()]
    )
    with pytest.raises(ValueError, match=r"parameters not finite after step 5: model\.decoder\.network\.output\.bias"):
        run.fit(hashing(), datamodule=newsgroups(miniature))
    good = torch.load(tmp_path / "version_0" / "checkpoints" / "last.ckpt", weights_only=True)
    assert good["global_step"] == 4
