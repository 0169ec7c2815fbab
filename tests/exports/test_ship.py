"""A checkpoint to send: the model and how its data are read, without the training and without places."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from support.command import HASHING, ROOT, command, left_with, on_miniature
from support.crafted import LOOP, spec, whole, written

import vae_lightning as vl
from vae_lightning.models import HashingVAE


def shipped(source: Path, target: Path) -> Path:
    command("export", "--ckpt", source, "--to", target)
    return target


def test_a_run_is_shipped_without_what_only_training_needs(
    miniature: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    options = [*on_miniature(miniature, tmp_path), "--trainer.max_epochs", "1", "--seed_everything", "3"]
    command("fit", "--config", HASHING, *options)
    source, target = tmp_path / "version_0" / "checkpoints" / "best.ckpt", tmp_path / "shipped.ckpt"
    capsys.readouterr()
    shipped(tmp_path / "version_0", target)
    assert capsys.readouterr().out.startswith(f"exported: {target} (")
    trained, kept = (torch.load(path, weights_only=True) for path in (source, target))
    assert trained["optimizer_states"]
    assert trained["datamodule_hyper_parameters"]["path"] == str(miniature)
    assert kept["datamodule_hyper_parameters"]["path"] is None
    assert str(miniature).encode() not in target.read_bytes()
    assert kept["seed"] == 3
    assert kept["Newsgroups"] == trained["Newsgroups"]
    ours, theirs = (HashingVAE.load_from_checkpoint(path, weights_only=True).state_dict() for path in (target, source))
    assert all(torch.equal(ours[name], weight) for name, weight in theirs.items())
    assert isinstance(vl.load(target), HashingVAE)


def test_whatever_a_model_and_its_data_need_is_shipped(tmp_path: Path) -> None:
    """Objects that were given, records of any data module, and no place where data lay that there is none of."""
    parts = {"given_as_objects": ["observed"], "Digits": {"seed": 4}, "of_my_model": {"temperature": 0.5}}
    named = {"datamodule_hyper_parameters": {"val_size": 61}, "hyper_parameters": {"latent_dim": 2}}
    run = {"optimizer_states": [], "lr_schedulers": [], "callbacks": {}, "loops": {"fit_loop": LOOP}, "logged": {}}
    run |= {"current_model_state": {}, "averaging_state": {}}  # of ExponentialMovingAverage
    target = shipped(written(tmp_path / "run.ckpt", **parts, **named, **run), tmp_path / "shipped.ckpt")
    assert torch.load(target, weights_only=True) == whole(**parts, **named)


def test_half_a_checkpoint_is_the_same_model_to_its_rounding(tmp_path: Path) -> None:
    """2^-11 of each weight; vectors, such as biases, are kept whole."""
    source, target = ROOT / "checkpoints" / "newsgroups-8bit.ckpt", tmp_path / "half.ckpt"
    trained = vl.load(source)
    command("export", "--ckpt", source, "--to", target, "--half")
    kept, loaded = torch.load(target, weights_only=True)["state_dict"], vl.load(target).state_dict()
    for name, weight in trained.state_dict().items():
        assert kept[name].dtype == (torch.float16 if weight.ndim > 1 else weight.dtype)
        assert loaded[name].dtype == weight.dtype
        torch.testing.assert_close(loaded[name], weight, rtol=2**-11 if weight.ndim > 1 else 0, atol=2**-25)


def test_data_within_data_have_no_place_either(tmp_path: Path) -> None:
    """Those of FullBatch: it is built of them again."""
    inner = {"class_path": "vae_lightning.data.MNIST", "init_args": {"path": "/home/me", "val_size": 5}}
    data = {"_class_path": "vae_lightning.data.FullBatch", "data": inner, "steps": 5}
    source = written(tmp_path / "run.ckpt", datamodule_hyper_parameters=data)
    kept = torch.load(shipped(source, tmp_path / "shipped.ckpt"), weights_only=True)["datamodule_hyper_parameters"]
    assert kept == data | {"data": {**inner, "init_args": {"path": None, "val_size": 5}}}


def test_files_that_parts_of_the_data_name_are_named_without_their_folders(tmp_path: Path) -> None:
    """A reader's vocabulary, which the preparation has, too, and a list of stop words."""
    reader = spec("vae_lightning.data.texts.SparseArrays", vocabulary="/home/me/words.txt")
    stop_words = spec("vae_lightning.data.texts.StopWordsFile", path="/home/me/stop.txt")
    data = {"_class_path": "vae_lightning.data.Texts", "path": "/home/me/x.npz"}
    data |= {"reader": reader, "stop_words": stop_words}
    preparation = spec("vae_lightning.data.texts.preparation.TextPreparation", words=["a"], reader=reader)
    source = written(tmp_path / "run.ckpt", datamodule_hyper_parameters=data, preparation=preparation)
    target = shipped(source, tmp_path / "shipped.ckpt")
    assert b"/home/me" not in target.read_bytes()
    kept = torch.load(target, weights_only=True)
    assert kept["preparation"]["init_args"]["reader"]["init_args"]["vocabulary"] == "words.txt"
    assert kept["datamodule_hyper_parameters"]["stop_words"]["init_args"]["path"] == "stop.txt"


def test_what_cannot_be_exported_is_said_in_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    source = written(tmp_path / "run.ckpt")
    taken = tmp_path / "taken.ckpt"
    taken.write_text("mine")
    for source_path, to, complaint in (
        (tmp_path / "none.ckpt", "new.ckpt", "there is no checkpoint"),
        (source, "new.zip", "give a name that ends in .ckpt, .pt2 or .onnx"),
        (source, "taken.ckpt", "taken.ckpt exists: give --overwrite to replace it"),
        (source, "run.ckpt", "run.ckpt is the checkpoint itself"),
    ):
        assert left_with(["export", "--ckpt", str(source_path), "--to", str(tmp_path / to)]) == 1
        (line,) = capsys.readouterr().err.splitlines()
        assert complaint in line
    assert left_with(["export", "--ckpt", str(source), "--to", str(tmp_path / "new.pt2"), "--half"]) == 1
    assert "--half is for a checkpoint, whose name ends in .ckpt" in capsys.readouterr().err
    assert sorted(path.name for path in tmp_path.iterdir()) == ["run.ckpt", "taken.ckpt"]
    assert taken.read_text() == "mine"


def test_what_is_beyond_half_a_checkpoint_is_kept_whole(tmp_path: Path) -> None:
    """Observations in the units of the data, which `AggregatedPosterior` keeps, would be infinite."""
    weights = {"small": torch.tensor([[1.5, 2.0]]), "large": torch.tensor([[1e5, 1.0]])}
    command(
        "export", "--ckpt", written(tmp_path / "run.ckpt", state_dict=weights), "--to", tmp_path / "a.ckpt", "--half"
    )
    kept = torch.load(tmp_path / "a.ckpt", weights_only=True)["state_dict"]
    assert kept["small"].dtype == torch.float16
    assert torch.equal(kept["large"], weights["large"])
