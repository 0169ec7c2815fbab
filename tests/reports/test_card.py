"""The model card of a run: what its files say, and what is to be filled in."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest
from support.command import ROOT, command, figures, left_with
from support.report_folders import run_folder

from vae_lightning.reports import card


def test_a_card_says_what_the_run_is_and_what_file_it_is_of(
    run_with_figures: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    command("card", run_with_figures, "--out", tmp_path / "card.md")
    assert capsys.readouterr().out == f"card: {tmp_path}/card.md\n"
    text = (tmp_path / "card.md").read_text()
    best = run_with_figures / "checkpoints" / "best.ckpt"
    assert text.startswith(
        "# GaussianVAE on Digits\n\nA GaussianVAE of 2,244 parameters trained on Digits (200 to train"
    )
    assert f"| SHA-256 | `{hashlib.sha256(best.read_bytes()).hexdigest()}` |" in text
    assert "| Seed | 0 |" in text
    value = figures(run_with_figures)["test/nelbo"]
    assert f"| {value:.2f} | nats | negative ELBO" in text
    assert "- **Active units** (" in text
    assert text.count("TO FILL IN") == 2, "intended use and license"
    assert "model = vl.load('best.ckpt')" in text
    assert f"vae-lightning fit --config {run_with_figures}/config.yaml" in text


def test_a_card_has_what_the_shipped_one_has(run_with_figures: Path, tmp_path: Path) -> None:
    by_hand = (ROOT / "checkpoints" / "newsgroups-8bit.md").read_text()
    text = card(run_with_figures, tmp_path / "card.md").read_text()
    for word in ("Seed", "Data", "Training", "Figures", "License", "```sh"):
        assert word in by_hand
        assert word in text


def test_another_checkpoint_is_named(run_with_figures: Path, tmp_path: Path) -> None:
    assert "`last.ckpt`" in card(run_with_figures / "checkpoints" / "last.ckpt", tmp_path / "card.md").read_text()


def test_what_comes_from_files_is_text_alone(tmp_path: Path) -> None:
    hostile = "<b>|`![x](y)`\n# no"
    run = run_folder(tmp_path / "run", {"test/nelbo": 1.0, f"test/{hostile}": 2.0}, latent_dim=hostile)
    (run / "checkpoints").mkdir()
    (run / "checkpoints" / "best.ckpt").write_bytes(b"weights")
    text = card(run, tmp_path / "card.md").read_text()
    assert r"| latent dim | \<b\>\|\`!\[x\](y)\` \# no |" in text
    assert "\n# no" not in text


def test_what_has_no_card_is_said_in_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    one, two = (run_folder(tmp_path / "sweep" / name, {"val/nelbo": 1.0}) for name in ("one", "two"))
    for path, complaint in ((one, "one has no checkpoint"), (two.parent, "sweep holds 2 runs: a card is of one")):
        assert left_with(["card", str(path), "--out", str(tmp_path / "card.md")]) == 1
        (line,) = capsys.readouterr().err.splitlines()
        assert complaint in line
    assert not (tmp_path / "card.md").exists()
