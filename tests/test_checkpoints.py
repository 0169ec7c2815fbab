"""Shipped checkpoints: small, plain, and worth what their cards say."""

from __future__ import annotations

import json
import runpy
import shutil
import subprocess
from pathlib import Path

import pytest
import torch
from support.command import HASHING, ROOT, command, figures, forked, on_miniature
from support.crafted import LOOP, whole, written

from vae_lightning.models import HashingVAE

SHIPPED = sorted((ROOT / "checkpoints").glob("*.ckpt"))


def test_there_are_some() -> None:
    assert "newsgroups-8bit" in [path.stem for path in SHIPPED]


@pytest.mark.parametrize("checkpoint", SHIPPED, ids=lambda path: path.stem)
def test_it_is_small_plain_and_has_a_card(checkpoint: Path) -> None:
    assert checkpoint.stat().st_size < 5e6
    content = torch.load(checkpoint, weights_only=True)
    assert content["seed"] == 0
    assert content["datamodule_hyper_parameters"]["path"] is None
    assert "optimizer_states" not in content
    card = checkpoint.with_suffix(".md").read_text()
    assert all(word in card for word in ("Config", "Command", "Commit", "Seed", "Figures"))


def test_the_text_model_gives_its_row_of_the_results(real_newsgroups: Path, tmp_path: Path) -> None:
    """Recomputed by the command on the real test documents; the row is that of benchmarks/newsgroups.json."""
    rows = json.loads((ROOT / "benchmarks" / "newsgroups.json").read_text())
    (row,) = [row for row in rows if row["cell"] == "8 bits / depth 0 / e1" and row["seed"] == 0]
    config, checkpoint = ROOT / "configs" / "newsgroups" / "8bit.yaml", ROOT / "checkpoints" / "newsgroups-8bit.ckpt"
    options = ["--data.path", real_newsgroups, "--trainer.logger.save_dir", tmp_path, "--trainer.accelerator", "cpu"]
    command("test", "--config", config, "--ckpt_path", checkpoint, *options)
    found = figures(tmp_path / "version_0")
    for name in ("deviance", "nelbo", "kl", "perplexity", "precision@100", "precision_within_2", "bit_entropy"):
        assert found[f"test/{name}"] == pytest.approx(row[name], rel=1e-4), name


def test_the_text_model_finds_documents(
    real_newsgroups: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.copy(ROOT / "checkpoints" / "newsgroups-8bit.ckpt", tmp_path)
    query = "the shuttle reached its orbit around the moon after launch from the space center"
    command("search", "--ckpt", tmp_path / "newsgroups-8bit.ckpt", "--query", query, "--data", real_newsgroups)
    assert "sci.space" in capsys.readouterr().out


def test_the_text_model_writes_documents() -> None:
    model = HashingVAE.load_from_checkpoint(ROOT / "checkpoints" / "newsgroups-8bit.ckpt", weights_only=True)
    documents = model.sample(50)
    assert len(documents) == 50
    assert 30 < documents.total.median() < 500  # the training documents' median is 132 words


def ship(*arguments: Path) -> subprocess.CompletedProcess[str]:
    return forked(*arguments, script=ROOT / "checkpoints" / "ship.py")


def test_a_run_is_shipped_without_what_only_training_needs(miniature: Path, tmp_path: Path) -> None:
    options = [*on_miniature(miniature, tmp_path), "--trainer.max_epochs", "1", "--seed_everything", "3"]
    command("fit", "--config", HASHING, *options)
    source, target = tmp_path / "version_0" / "checkpoints" / "best.ckpt", tmp_path / "shipped.ckpt"
    assert ship(source, target).returncode == 0
    trained, shipped = (torch.load(path, weights_only=True) for path in (source, target))
    assert trained["optimizer_states"]
    assert "optimizer_states" not in shipped
    assert trained["datamodule_hyper_parameters"]["path"] == str(miniature)
    assert shipped["datamodule_hyper_parameters"]["path"] is None
    assert str(miniature).encode() not in target.read_bytes()
    assert shipped["seed"] == 3
    assert shipped["Newsgroups"] == trained["Newsgroups"]
    ours, theirs = (HashingVAE.load_from_checkpoint(path, weights_only=True).state_dict() for path in (target, source))
    assert all(torch.equal(ours[name], weight) for name, weight in theirs.items())


def test_whatever_a_model_and_its_data_need_is_shipped(tmp_path: Path) -> None:
    """Objects that were given, records of any data module, and no place where data lay that there is none of."""
    parts = {"given_as_objects": ["observed"], "Digits": {"seed": 4}, "of_my_model": {"temperature": 0.5}}
    named = {"datamodule_hyper_parameters": {"val_size": 61}, "hyper_parameters": {"latent_dim": 2}}
    run = {"optimizer_states": [], "lr_schedulers": [], "callbacks": {}, "loops": {"fit_loop": LOOP}}
    script = runpy.run_path(str(ROOT / "checkpoints" / "ship.py"))
    script["ship"](written(tmp_path / "run.ckpt", **parts, **named, **run), tmp_path / "shipped.ckpt")
    assert torch.load(tmp_path / "shipped.ckpt", weights_only=True) == whole(**parts, **named)


def test_shipping_says_how_it_is_used(tmp_path: Path) -> None:
    for arguments, complaint in (
        ((), "the following arguments are required: source, target"),
        ((tmp_path / "none.ckpt", tmp_path / "b.ckpt"), "there is no "),
    ):
        done = ship(*arguments)
        assert done.returncode == 2
        assert done.stderr.startswith("usage: ship.py [-h] source target")
        assert complaint in done.stderr
        assert not list(tmp_path.iterdir())
