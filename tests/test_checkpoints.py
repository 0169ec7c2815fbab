"""Shipped checkpoints: small, plain, and worth what their cards say."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
import torch
from support.command import ROOT, command, figures

import vae_lightning as vl
from vae_lightning.data import Newsgroups
from vae_lightning.models import HashingVAE
from vae_lightning.search import CodeIndex

SHIPPED = sorted((ROOT / "checkpoints").glob("*.ckpt"))


def test_there_are_some() -> None:
    assert {"newsgroups-8bit", "celeba", "celeba-features"} <= {path.stem for path in SHIPPED}
    assert sum(path.stat().st_size for path in SHIPPED) < 20e6


@pytest.mark.parametrize("checkpoint", SHIPPED, ids=lambda path: path.stem)
def test_it_is_small_plain_and_has_a_card(checkpoint: Path) -> None:
    content = torch.load(checkpoint, weights_only=True)
    assert content["seed"] == 0
    assert content.get("datamodule_hyper_parameters", {}).get("path") is None
    assert "optimizer_states" not in content
    card = checkpoint.with_suffix(".md").read_text()
    assert all(word in card for word in ("Config", "Command", "Commit", "Seed", "Figures"))


def test_the_text_model_gives_its_row_of_the_results(real_newsgroups: Path, tmp_path: Path) -> None:
    """Recomputed by the command on the real test documents; the row is that of docs/results/newsgroups-fit.json."""
    rows = json.loads((ROOT / "docs" / "results" / "newsgroups-fit.json").read_text())
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


def test_the_first_search_needs_no_archive(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Newsgroups, "setup", lambda *_: pytest.fail("the archive was read"))
    checkpoint = ROOT / "checkpoints" / "newsgroups-8bit.ckpt"
    index = CodeIndex.open(f"{checkpoint}.index")
    assert index.path.stat().st_size < 5e5
    assert len(index) == 10_706
    assert index.encoder.path.samefile(checkpoint)
    command("search", "--ckpt", checkpoint, "--query", "the shuttle reached its orbit", "--k", "10")
    printed = capsys.readouterr()
    assert printed.out.count("sci.space") == 10
    assert printed.err == ""


def test_the_model_of_faces_paints_and_reads_them() -> None:
    """What is painted is in range and no two are alike; what is painted at a code is read as that code, nearly."""
    model = vl.load(ROOT / "checkpoints" / "celeba.ckpt")
    torch.manual_seed(0)
    with torch.no_grad():
        z = torch.randn(64, 100)
        p = model.model.decoder(z)
        q = model.model.encoder(p.sample())
    assert p.mean.shape == (64, 3, 64, 64)
    assert float(p.mean.abs().max()) <= 1
    assert torch.pdist(p.mean.flatten(1)).min() > 5
    correlation = torch.corrcoef(torch.stack([q.mean.flatten(), z.flatten()]))[0, 1]
    assert correlation > 0.45  # measured: 0.486
    assert float(((z - q.mean) / q.stddev).square().mean()) == pytest.approx(1, abs=0.25)
