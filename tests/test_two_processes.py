"""Two real processes (gloo) through the command: the figures, the codes and the steps of one."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from support import leaving_probe
from support.command import HASHING, ROOT, command, figures, forked, on_miniature, process
from support.models import events
from support.process_probe import Notes
from torch.testing import assert_close

from vae_lightning.trust import read_checkpoint

TWO = ("--config", ROOT / "configs" / "trainer" / "ddp.yaml")
RUN, LAST = "version_0", Path("version_0") / "checkpoints" / "last.ckpt"


def without_accelerator(options: list[str]) -> list[str]:
    at = options.index("--trainer.accelerator")
    return options[:at] + options[at + 2 :]


def in_two(subcommand: str, *options: str | Path) -> str:
    """Run it in two processes and give back what they printed."""
    done = forked(subcommand, "--config", HASHING, *TWO, *options, processes=2)
    assert done.returncode == 0, done.stderr
    return done.stdout


def every_watcher(notes: Path) -> list[str]:
    """All diagnostics in every epoch, and notes of what each process did."""
    watchers: list[dict[str, Any]] = [{"class_path": f"{Notes.__module__}.Notes", "init_args": {"folder": str(notes)}}]
    for name in ("BitUse", "NearestWords", "LogitsByLength", "HammingPrecision"):
        watchers.append({"class_path": f"vae_lightning.callbacks.{name}", "init_args": {"every_n_epochs": 1}})
    arguments = {"every_n_steps": 3, "num_draws": 2}
    watchers.append({"class_path": "vae_lightning.callbacks.GradientVariance", "init_args": arguments})
    return ["--trainer.callbacks", json.dumps(watchers)]


def notes_of(folder: Path) -> tuple[dict[str, Any], dict[str, Any]]:
    one, other = (json.loads((folder / f"rank{rank}.json").read_text()) for rank in (0, 1))
    return one, other


def figures_of_test(run: Path) -> dict[str, float]:
    return {name: value for name, value in figures(run).items() if name.startswith("test/")}


def assert_same_figures(one: dict[str, float], two: dict[str, float]) -> None:
    names = ["nelbo", "deviance", "reconstruction", "kl", "perplexity", "bit_entropy", "bit_uncertainty"]
    names += ["precision@100", "precision_within_2", "found_within_2"]
    assert one.keys() == two.keys() == {f"test/{name}" for name in names}
    assert two == pytest.approx(one, rel=1e-5)


@pytest.fixture(scope="module")
def on_small(miniature: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[list[str], Path]:
    """Options for the miniature archive, and the folder of a run of one process, tested and predicted."""
    out = tmp_path_factory.mktemp("one")
    options = on_miniature(miniature, out)
    command("fit", "--config", HASHING, *options)
    for subcommand in ("test", "predict"):
        command(subcommand, "--config", HASHING, *options, "--ckpt_path", out / LAST)
    return without_accelerator(on_miniature(miniature, Path("unused"))), out / RUN


def test_figures_of_uneven_batches(on_small: tuple[list[str], Path], tmp_path: Path) -> None:
    """61 documents in 8 batches, the last of 5: four batches for each process."""
    options, one = on_small
    saved = one / "checkpoints" / "last.ckpt"
    in_two("test", *options, "--trainer.logger.save_dir", tmp_path, "--ckpt_path", saved)
    assert_same_figures(figures_of_test(one), figures_of_test(tmp_path / RUN))


def test_codes_are_the_same_file(on_small: tuple[list[str], Path], tmp_path: Path) -> None:
    options, one = on_small
    saved = one / "checkpoints" / "last.ckpt"
    printed = in_two("predict", *options, "--trainer.logger.save_dir", tmp_path, "--ckpt_path", saved)
    assert printed.count("codes.npz") == 1
    assert [path.name for path in (tmp_path / RUN).glob("codes*")] == ["codes.npz"]
    with np.load(one / "codes.npz") as expected, np.load(tmp_path / RUN / "codes.npz") as found:
        for name in ("ids", "labels", "codes"):
            assert np.array_equal(expected[name], found[name]), name
        assert found["ids"].tolist() == list(range(1, 62))


def test_training_with_every_diagnostic(on_small: tuple[list[str], Path], tmp_path: Path) -> None:
    """100 documents, 16 a process and step: 4 steps an epoch, the last of 2 each; one model, one checkpoint."""
    options, _ = on_small
    in_two("fit", *options, "--trainer.logger.save_dir", tmp_path, *every_watcher(tmp_path))
    first, second = notes_of(tmp_path)
    assert first == second
    assert first["steps"] == 8
    assert first["documents"] == 100  # of each process: 50 in each of 2 epochs
    assert [path.name for path in tmp_path.iterdir() if path.is_dir()] == [RUN]
    assert sorted(path.name for path in (tmp_path / RUN / "checkpoints").iterdir()) == ["best.ckpt", "last.ckpt"]
    assert torch.load(tmp_path / LAST, weights_only=True)["global_step"] == 8
    assert_watched(tmp_path / RUN, epochs=2)


@pytest.mark.skipif(sys.platform != "linux", reason="reads the names of threads in /proc")
def test_no_thread_of_gloo_is_left_to_the_end_of_the_interpreter(
    on_small: tuple[list[str], Path], tmp_path: Path
) -> None:
    """One that drops its last tensor while the interpreter is finalized aborts a process whose run went well."""
    options = ["fit", "--config", HASHING, *TWO, *on_small[0], "--trainer.logger.save_dir", tmp_path]
    done = process(*options, program=(str(Path(leaving_probe.__file__)),))
    assert done.returncode == 0, done.stderr
    left = [line for line in done.stdout.splitlines() if line.startswith("left by rank")]
    assert sorted(line.partition(":")[0] for line in left) == ["left by rank 0", "left by rank 1"]
    assert "python" in left[0]
    assert "gloo" not in "".join(left)
    assert figures(tmp_path / RUN)["val/nelbo"] > 0


def test_a_last_step_that_does_not_divide(tmp_path: Path) -> None:
    """An exact gradient of 101 points: steps of 32, the last of 5, of which one process has 3 and the other 2."""
    fit = (
        "fit",
        "--config",
        ROOT / "configs" / "mixture.yaml",
        "--data.sizes",
        "[101, 61, 61]",
        "--data.eval_batch_size",
        "8",
    )
    fit += ("--trainer.callbacks", "[]", "--trainer.max_epochs", "3", "--trainer.enable_model_summary", "false")
    for processes, batch, more in ((1, "32", ()), (2, "16", TWO)):
        options = ("--data.batch_size", batch, "--trainer.logger.save_dir", tmp_path / str(processes), *more)
        done = forked(*fit, *options, processes=processes)
        assert done.returncode == 0, done.stderr
    one, two = (read_checkpoint(tmp_path / folder / LAST)["state_dict"] for folder in "12")
    for name, value in one.items():
        assert_close(two[name], value, rtol=1e-4, atol=1e-5, msg=name)


def assert_watched(run: Path, epochs: int) -> None:
    """Each figure and picture once an epoch: only the first process writes."""
    logged = events(run)
    for name in ("val/nelbo", "val/bit_entropy", "val/precision@100", "val/found_within_2"):
        assert len(logged.Scalars(name)) == epochs, name
    for name in ("val/nearest_words", "val/logits_by_length"):
        assert len(logged.Images(name)) == epochs, name
    assert logged.Scalars("train/gradient_variance")[0].value > 0


@pytest.fixture(scope="module")
def on_real(real_newsgroups: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[list[str], Path]:
    """Options for the real archive, and the folder of a run of two processes that made five steps."""
    out = tmp_path_factory.mktemp("real")
    options = ["--data.path", str(real_newsgroups), "--model.evaluation_samples", "1"]
    brief = ["--trainer.max_epochs", "1", "--trainer.limit_train_batches", "5"]
    in_two("fit", *options, *brief, "--trainer.logger.save_dir", out, *every_watcher(out))
    return options, out


def test_training_on_the_real_archive(on_real: tuple[list[str], Path]) -> None:
    _, out = on_real
    first, second = notes_of(out)
    assert first == second
    assert (first["steps"], first["documents"]) == (5, 640)
    assert_watched(out / RUN, epochs=1)


def test_figures_of_the_real_archive(on_real: tuple[list[str], Path], tmp_path: Path) -> None:
    """7,505 documents in 15 batches, the last of 337: eight for the first process, seven for the other."""
    options, out = on_real
    one = ["--trainer.accelerator", "cpu", "--trainer.devices", "1", "--trainer.logger.save_dir", tmp_path / "one"]
    command("test", "--config", HASHING, *options, *one, "--ckpt_path", out / LAST)
    in_two("test", *options, "--trainer.logger.save_dir", tmp_path / "two", "--ckpt_path", out / LAST)
    assert_same_figures(figures_of_test(tmp_path / "one" / RUN), figures_of_test(tmp_path / "two" / RUN))
