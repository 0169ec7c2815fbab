"""What version 0.1 wrote: its checkpoints load, are worth what they were, and their runs go on.

`fixtures/v0.1` holds the checkpoint of 20 Newsgroups that 0.1 shipped, and a run of `fit --config digits/vae` of two
epochs with hidden layers of 16, latent_dim 4 and no diagnostics. The figures in figures.json were taken at 0.1.
"""

from __future__ import annotations

import importlib
import json
import shutil
import sys
from pathlib import Path

import pytest
import torch
from support.command import command, figures

import vae_lightning as vl
from vae_lightning.counts import Counts
from vae_lightning.models import HashingVAE

KEPT = Path(__file__).parent / "fixtures" / "v0.1"
FIGURES = json.loads((KEPT / "figures.json").read_text())


def documents() -> Counts:
    """Six, whose words are some function of their numbers."""
    places = torch.arange(6 * 10_000).reshape(6, -1)
    return Counts.from_dense((places * 7919 % 1009 < 3).float())


def test_the_shipped_checkpoint_has_the_same_hashes_and_exact_likelihood() -> None:
    """log p(x) = log sum_z p(z) p(x | z) over all 256 codes."""
    vae = vl.load(KEPT / "newsgroups-8bit.ckpt")
    assert isinstance(vae, HashingVAE)
    x, codes = documents(), torch.cartesian_prod(*[torch.tensor([0.0, 1.0])] * 8)[:, None]
    with torch.no_grad():
        joint = vae.model.prior().log_prob(codes) + vae.model.decoder(codes).log_prob(x)
    found = {"hashes": vae.hashes(x).int().tolist(), "log_likelihood": joint.logsumexp(0).tolist()}
    assert found["hashes"] == FIGURES["newsgroups"]["hashes"]
    assert found["log_likelihood"] == pytest.approx(FIGURES["newsgroups"]["log_likelihood"], rel=1e-5)


@pytest.fixture
def run(tmp_path: Path) -> Path:
    """The run, where it may be written to."""
    return shutil.copytree(KEPT / "digits", tmp_path / "digits")


def test_a_run_is_tested_to_the_same_figures(run: Path, tmp_path: Path) -> None:
    command("test", "--ckpt_path", run, "--trainer.logger.save_dir", tmp_path, "--trainer.logger.version", "tested")
    found = figures(tmp_path / "tested")
    assert {name: found[name] for name in FIGURES["test"]} == pytest.approx(FIGURES["test"], rel=1e-4)


def test_a_run_goes_on_in_its_folder(run: Path) -> None:
    """With the optimizer's state, the order of the data and the noise of a training that was never interrupted."""
    command("fit", "--ckpt_path", run, "--trainer.max_epochs", "3", "--trainer.accelerator", "cpu")
    found = figures(run)
    assert torch.load(run / "checkpoints" / "last.ckpt", weights_only=True)["global_step"] == 60
    assert {name: found[name] for name in FIGURES["fit"]} == pytest.approx(FIGURES["fit"], rel=1e-4)


def test_a_place_that_moved_is_found_and_warns(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever gets another name calls `messages.moved` under its old one."""
    monkeypatch.delitem(sys.modules, "vae_lightning.studies.executors", raising=False)
    with pytest.warns(FutureWarning, match=r"^vae_lightning\.studies\.executors is vae_lightning\.executors now"):
        old = importlib.import_module("vae_lightning.studies.executors")
    new = importlib.import_module("vae_lightning.executors")
    assert {name: vars(old)[name] for name in old.__all__} == {name: vars(new)[name] for name in old.__all__}
