"""InMemoryDataModule inside a real Trainer: exact order after a resume, shares of processes, plain checkpoints."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from lightning.pytorch import LightningModule, Trainer, seed_everything
from lightning.pytorch.callbacks import ModelCheckpoint
from torch import Tensor

from vae_lightning.data import InMemoryDataModule, Observations


class Numbers(InMemoryDataModule):
    """Thirty numbers for training, 11 for validation, 7 for the test."""

    def load(self) -> tuple[Observations, Observations, Observations]:
        parts = torch.arange(48.0).split([30, 11, 7])
        train, val, test = (Observations(x, x.long(), x.long() + 100) for x in parts)
        return train, val, test


class Recorder(LightningModule):
    """Remembers what it was shown."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = torch.nn.Parameter(torch.zeros(()))
        self.seen: list[tuple[int, list[int]]] = []
        self.evaluated: list[list[int]] = []

    def training_step(self, batch: tuple[Tensor, Tensor]) -> Tensor:
        self.seen.append((self.current_epoch, batch[1].tolist()))
        return (self.weight * batch[0]).mean()

    def validation_step(self, batch: tuple[Tensor, Tensor]) -> None:
        self.evaluated.append(batch[1].tolist())

    test_step = predict_step = validation_step

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.SGD(self.parameters(), lr=0.1)


def trainer(folder: Path, *callbacks: ModelCheckpoint, **options: object) -> Trainer:
    silent = {"logger": False, "enable_progress_bar": False, "enable_model_summary": False}
    if not callbacks:
        silent["enable_checkpointing"] = False
    return Trainer(
        default_root_dir=folder, accelerator="cpu", devices=1, callbacks=list(callbacks), **silent, **options
    )


SAVES = {
    "after each step": {"every_n_train_steps": 1},
    "after each validation": {"every_n_epochs": 1},
    "at the end of each epoch": {"every_n_epochs": 1, "save_on_train_epoch_end": True},
}


@pytest.mark.parametrize("save", SAVES.values(), ids=SAVES)
@pytest.mark.parametrize("validations", [0.5, 1.0], ids=["validation in mid-epoch", "validation at the end"])
def test_a_resumed_fit_sees_what_an_uninterrupted_one_sees(
    tmp_path: Path, save: dict[str, object], validations: float
) -> None:
    seed_everything(7, verbose=False)
    whole, options = Recorder(), {"max_epochs": 3, "val_check_interval": validations}
    keep_all = ModelCheckpoint(tmp_path, filename="{step}", save_top_k=-1, **save)
    trainer(tmp_path, keep_all, **options).fit(whole, datamodule=Numbers(8, 4))
    checkpoints = sorted(tmp_path.glob("*.ckpt"))
    assert len(checkpoints) >= 3
    for checkpoint in checkpoints:
        step = torch.load(checkpoint, weights_only=True)["global_step"]
        seed_everything(99, verbose=False)  # the seed of the order comes from the checkpoint
        resumed = Recorder()
        trainer(tmp_path, **options).fit(resumed, datamodule=Numbers(8, 4), ckpt_path=checkpoint, weights_only=True)
        assert resumed.seen == whole.seen[step:], checkpoint.name


@pytest.mark.parametrize("before", ["tested", "resumed"])
def test_a_fit_after_others_of_the_same_data_has_its_own_order(tmp_path: Path, before: str) -> None:
    """The seed of a checkpoint is for the fit that goes on from it, and for none that follows on the same object."""
    data, seen = Numbers(8, 4), []
    for seed in (7, 8):
        seed_everything(seed, verbose=False)
        run = Recorder()
        fit = trainer(tmp_path, max_epochs=1)
        fit.fit(run, datamodule=data)
        seen.append(run.seen)
        fit.save_checkpoint(tmp_path / "run.ckpt")
        if before == "tested":
            fit.test(run, datamodule=data, ckpt_path=tmp_path / "run.ckpt", weights_only=True, verbose=False)
        else:
            longer = trainer(tmp_path, max_epochs=2)
            longer.fit(Recorder(), datamodule=data, ckpt_path=tmp_path / "run.ckpt", weights_only=True)
    alone = Recorder()
    seed_everything(8, verbose=False)
    trainer(tmp_path, max_epochs=1).fit(alone, datamodule=Numbers(8, 4))
    assert seen[1] == alone.seen != seen[0]


def test_the_seed_of_the_run_sets_the_order() -> None:
    def order(seed: int) -> list[int]:
        seed_everything(seed, verbose=False)
        data = Numbers(8, 4)
        data.setup()
        return [n for _, y in data.train_dataloader() for n in y.tolist()]

    assert order(1) == order(1) != order(2)


def test_evaluation_sees_each_observation_once_in_order(tmp_path: Path) -> None:
    data, model = Numbers(8, 4), Recorder()
    trainer(tmp_path).validate(model, data, verbose=False)
    trainer(tmp_path).test(model, data, verbose=False)
    assert model.evaluated == [list(range(n, min(n + 4, 41))) for n in (30, 34, 38)] + [[41, 42, 43, 44], [45, 46, 47]]


@pytest.mark.parametrize(("split", "numbers"), [("train", range(30)), ("val", range(30, 41)), ("test", range(41, 48))])
def test_predictions_are_named_by_ids(tmp_path: Path, split: str, numbers: range) -> None:
    data, model = Numbers(8, 4, predict_split=split), Recorder()
    trainer(tmp_path).predict(model, data)
    assert [n for batch in model.evaluated for n in batch] == list(numbers)
    for n, batch in enumerate(model.evaluated):
        assert data.predict_ids(n).tolist() == [number + 100 for number in batch]


def test_the_processes_of_a_trainer_share_the_batches() -> None:
    seen: dict[str, list[int]] = {"train": [], "test": []}
    for rank in range(3):
        data = Numbers(2, 1)
        data.setup()
        data.trainer = SimpleNamespace(global_rank=rank, world_size=3, overfit_batches=0.0)
        seen["train"] += [n for _, y in data.train_dataloader() for n in y.tolist()]
        seen["test"] += [n for _, y in data.test_dataloader() for n in y.tolist()]
        assert data.predict_ids(0).tolist() == [141 + rank]
    assert sorted(seen["train"]) == list(range(30))
    assert sorted(seen["test"]) == list(range(41, 48))


def test_every_process_has_something_to_evaluate() -> None:
    """Of 7 test observations; one without a batch would skip the end of the split, where the others wait for it."""
    few, many = Numbers(2, 4), Numbers(2, 3)
    for data in (few, many):
        data.setup()
        data.trainer = SimpleNamespace(global_rank=2, world_size=3, overfit_batches=0.0)
    assert len(many.test_dataloader()) == 1
    with pytest.raises(ValueError, match=r"7 test observations in batches of 4 .* 3 processes .* at most 2, or use"):
        few.test_dataloader()


def test_wrong_use() -> None:
    with pytest.raises(ValueError, match="Numbers has no data yet: call setup"):
        Numbers(8, 4).train_dataloader()
    with pytest.raises(ValueError, match="eval_batch_size must be at least 1, got 0"):
        Numbers(8, 0)
