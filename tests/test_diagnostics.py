"""All diagnostics together, inside real runs on digits: on two processes as on one, and described by the command."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest
from support.command import ROOT, command, figures, forked
from support.diagnostics import FIGURES, PICTURES, as_option
from support.models import events

from vae_lightning import callbacks

CONFIG = ROOT / "configs" / "digits" / "vamp.yaml"
SMALLER = [
    *("--model.latent_dim", "2", "--model.prior.latent_shape", "2", "--model.prior.num_components", "9"),
    *("--model.encoder.hidden", "[16]", "--model.decoder.hidden", "[16]", "--data.eval_batch_size", "32"),
    *("--trainer.max_epochs", "1", "--trainer.enable_progress_bar", "false"),
]
ONE: Sequence[str | Path] = ("--trainer.accelerator", "cpu", "--trainer.devices", "1")
TWO: Sequence[str | Path] = ("--config", ROOT / "configs" / "trainer" / "ddp.yaml")


@pytest.fixture(scope="module")
def fitted(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a `fit` in two processes, every diagnostic watching: 180 digits in 6 batches, the last of 20."""
    out = tmp_path_factory.mktemp("two")
    options = [*SMALLER, *as_option(out / "fid"), "--trainer.logger.save_dir", out]
    done = forked("fit", "--config", CONFIG, *TWO, *options, processes=2)
    assert done.returncode == 0, done.stderr
    return out / "version_0"


def test_every_diagnostic_reports_once_inside_a_fit_on_two_processes(fitted: Path) -> None:
    logged = events(fitted)
    for name in FIGURES:
        assert len(logged.Scalars(f"val/{name}")) == 1, name
    in_fit = PICTURES - {"active_units"} | {name for name in PICTURES if f"val/{name}" in logged.Tags()["images"]}
    for name in in_fit:
        assert len(logged.Images(f"val/{name}")) == 1, name
    assert logged.Scalars("train/gradient_variance")


def test_two_processes_give_the_figures_of_one(fitted: Path, tmp_path: Path) -> None:
    """359 digits in 12 batches, the last of 7; every figure to six digits (what is logged is float32)."""
    found = {}
    for name, where, processes in (("one", ONE, 1), ("two", TWO, 2)):
        out = tmp_path / name
        options = [*SMALLER, *as_option(tmp_path / "fid" / name), "--trainer.logger.save_dir", out]
        checkpoint = ["--ckpt_path", fitted / "checkpoints" / "last.ckpt"]
        done = forked("test", "--config", CONFIG, *where, *options, *checkpoint, processes=processes)
        assert done.returncode == 0, done.stderr
        found[name] = {k: v for k, v in figures(out / "version_0").items() if k.startswith("test/")}
        assert {f"test/{picture}" for picture in PICTURES} <= set(events(out / "version_0").Tags()["images"])
    assert {f"test/{name}" for name in FIGURES} <= found["one"].keys()
    assert found["two"] == pytest.approx(found["one"], rel=1e-6, abs=1e-6)


@pytest.mark.parametrize(
    "name", [n for n in callbacks.__all__ if issubclass(getattr(callbacks, n), callbacks.Diagnostic)]
)
def test_help_teaches_what_the_docstring_says(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    """What it estimates, in which units, at which cost, after whom: what a reader of the class sees."""
    with pytest.raises(SystemExit):
        command("fit", f"--trainer.callbacks.help=vae_lightning.callbacks.{name}")
    printed = " ".join(capsys.readouterr().out.split())
    text = getattr(callbacks, name).__doc__
    assert text is not None
    assert " ".join(text.partition("Args:")[0].split()) in printed
