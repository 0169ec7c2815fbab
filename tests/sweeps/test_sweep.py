"""A sweep: every combination is a run as `fit` would make it, kept when it is finished, resumed when it is not."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import lightning.pytorch as pl
import pytest
import torch
from support.command import command, figures, forked, left_with
from support.hparams import differing, metrics
from support.short_run import saved, tiny

from vae_lightning.files import locked
from vae_lightning.sweeps.comparison.options import differences, leaves, written
from vae_lightning.sweeps.record import settings

GRID = ("--grid.model.latent_dim", "2,3", "--grid.seed_everything", "0..1")
NAMES = [f"latent_dim={dim},seed_everything={seed}" for dim in (2, 3) for seed in (0, 1)]


class Ends(pl.Callback):
    """Ends the process of a run in its second epoch, the first time: in the way that its seed has here."""

    def __init__(self, **how: str) -> None:
        self.how = how

    def on_train_batch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule, *_: object) -> None:
        how, done = self.how.get(f"seed_{pl_module.seed}"), Path(f"done-{pl_module.seed}")
        if how is None or trainer.global_step != 15 or done.exists():
            return
        done.touch()
        if how == "raise":
            raise ValueError("this one fails\nin two lines")
        if how == "parent":
            os.kill(os.getppid(), signal.SIGTERM)
        else:
            os.kill(os.getpid(), signal.SIGKILL)


def ends(**how: str) -> tuple[str, str]:
    return "--trainer.callbacks+", json.dumps({"class_path": "test_sweep.Ends", "dict_kwargs": how})


@pytest.fixture(scope="module")
def config(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny(tmp_path_factory.mktemp("config"))


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(Path(__file__).parent))
    monkeypatch.setenv("VAE_LIGHTNING_TRUST", "test_sweep")
    monkeypatch.setenv("OMP_NUM_THREADS", "1")


@pytest.fixture(scope="module")
def swept(
    config: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[Path, subprocess.CompletedProcess[str]]]:
    """A whole sweep, two jobs at once."""
    folder = tmp_path_factory.mktemp("swept")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        yield folder / "runs/sweep", forked("sweep", "--config", config, *GRID, "--jobs", "2")


def equal(one: Path, other: Path) -> bool:
    """Whether two runs ended with the same weights, bit for bit, and the same figures."""
    states = [saved(run / "checkpoints/last.ckpt")["state_dict"] for run in (one, other)]
    same = states[0].keys() == states[1].keys() and all(torch.equal(states[0][k], states[1][k]) for k in states[0])
    return same and figures(one) == figures(other)


def test_every_combination_has_a_folder_that_says_what_differs(
    swept: tuple[Path, subprocess.CompletedProcess[str]],
) -> None:
    out, done = swept
    assert done.returncode == 0, done.stderr
    assert sorted(path.name for path in out.iterdir()) == NAMES
    for name in NAMES:
        assert {"config.yaml", "metrics.json", "output.txt", "sweep.json"} <= {p.name for p in (out / name).iterdir()}
    lines = [line for line in done.stderr.splitlines() if "val/nelbo" in line]
    assert [line.partition(" ")[0] for line in lines] == ["1/4", "2/4", "3/4", "4/4"]
    assert "compare: vae-lightning compare runs/sweep" in done.stderr


def test_a_run_is_what_fit_makes_of_its_options_and_two_jobs_are_as_one(
    swept: tuple[Path, subprocess.CompletedProcess[str]], config: Path
) -> None:
    out, _ = swept
    assert forked("fit", "--config", config, "--model.latent_dim=3", "--seed_everything=1").returncode == 0
    assert equal(out / NAMES[3], Path("runs/version_0"))
    assert (out / NAMES[3] / "config.yaml").read_text() == Path("runs/version_0/config.yaml").read_text()
    last = ("--grid.model.latent_dim", "3", "--grid.seed_everything", "1")
    assert forked("sweep", "--config", config, *last, "--jobs", "1", "--out", "one").returncode == 0
    assert equal(out / NAMES[3], Path("one") / NAMES[3])


def test_tensorboard_shows_what_differs(swept: tuple[Path, subprocess.CompletedProcess[str]]) -> None:
    assert differing(swept[0]) == {"model/latent_dim", "run/seed"}
    assert {"train/loss", "val/kl", "val/nelbo"} <= set(metrics(swept[0]))
    assert not [tag for tag in metrics(swept[0]) if tag.startswith(("final", "epoch", "hp_metric"))]


def test_a_second_call_trains_nothing_that_is_finished(config: Path) -> None:
    small = ("sweep", "--config", config, "--trainer.max_epochs", "1", "--grid.seed_everything")
    assert forked(*small, "0").returncode == 0
    before = Path("runs/sweep/seed_everything=0/checkpoints/last.ckpt").stat().st_mtime_ns
    more = forked(*small, "0,1")
    assert more.returncode == 0, more.stderr
    assert "1 of 2 runs are in runs/sweep and are kept" in more.stderr
    assert Path("runs/sweep/seed_everything=0/checkpoints/last.ckpt").stat().st_mtime_ns == before
    other = forked("sweep", "--config", config, "--trainer.max_epochs", "2", "--grid.seed_everything", "0")
    assert other.returncode == 1
    assert "holds a run with other options: trainer.max_epochs 1 there, 2 here" in other.stderr
    assert forked(*small[:4], "2", "--grid.seed_everything", "0", "--overwrite").returncode == 0
    assert saved(Path("runs/sweep/seed_everything=0/checkpoints/last.ckpt"))["global_step"] == 20
    command("fit", "--ckpt_path", "runs/sweep/seed_everything=0", "--trainer.max_epochs", "3")
    further = forked(*small[:4], "2", "--grid.seed_everything", "0")
    assert "holds a run with other options: trainer.max_epochs 3 there, 2 here" in further.stderr
    assert forked(*small[:4], "3", "--grid.seed_everything", "0").returncode == 0


@pytest.mark.parametrize("named", ["--model=model.yaml", "--config=whole.yaml"])
def test_a_file_that_an_option_or_a_configuration_names_counts_by_what_is_in_it(named: str) -> None:
    """A finished run was kept, whatever the file said by then."""
    Path("model.yaml").write_text("class_path: vae_lightning.models.GaussianVAE\n")
    Path("whole.yaml").write_text("model: model.yaml\n")
    before = settings([named])
    assert settings([named]) == before
    Path("model.yaml").write_text("class_path: vae_lightning.models.HashingVAE\n")
    assert settings([named]) != before


def test_a_configuration_may_have_its_own_name_in_it() -> None:
    """As what says where it came from: the sweep ended in a RecursionError."""
    Path("whole.yaml").write_text("trainer: {logger: {init_args: {name: whole.yaml}}}\n")
    (_, digest) = settings(["--config=whole.yaml"])
    assert digest.startswith("whole.yaml: ")


def test_what_runs_start_from_counts(tmp_path: Path) -> None:
    """A finished run was kept, whatever checkpoint it was to start from by then."""
    (tmp_path / "config.yaml").write_text("start_from: a.ckpt\nckpt_path: last.ckpt\n")
    assert differences(written(tmp_path), leaves({"start_from": "b.ckpt"})) == "start_from a.ckpt there, b.ckpt here"


def test_a_folder_that_cannot_be_made_is_said_before_the_first_run(
    config: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    Path("file").touch()
    assert left_with(["sweep", "--config", str(config), "--grid.seed_everything", "0", "--out", "file/runs"]) == 1
    (line,) = capfd.readouterr().err.splitlines()
    assert "Not a directory: 'file/runs'" in line


def test_those_that_fail_are_named_the_others_go_on_and_they_are_resumed_exactly(
    swept: tuple[Path, subprocess.CompletedProcess[str]], config: Path
) -> None:
    how = ends(seed_0="raise", seed_1="kill")
    arguments = ("sweep", "--config", config, "--grid.model.latent_dim", "3", "--grid.seed_everything", "0,1", *how)
    done = forked(*arguments)
    assert done.returncode == 1
    failed = [line for line in done.stderr.splitlines() if line.startswith("vae-lightning: latent_dim=3")]
    assert len(failed) == 2
    assert "seed_everything=0 failed: ValueError: this one fails in two lines (see runs/sweep/" in failed[0]
    assert "seed_everything=1 failed: its process was ended by SIGKILL" in failed[1]
    assert "2 failed; to try them again, go on with: vae-lightning sweep --config" in done.stderr
    again = forked(*arguments)
    assert again.returncode == 0, again.stderr
    for name in NAMES[2:]:
        assert equal(Path("runs/sweep") / name, swept[0] / name)


def test_a_signal_ends_all_when_their_steps_are_over_and_says_how_to_go_on(
    swept: tuple[Path, subprocess.CompletedProcess[str]], config: Path
) -> None:
    grid = ("--grid.model.latent_dim", "3", "--grid.seed_everything", "0")
    arguments = ("sweep", "--config", str(config), *grid, *ends(seed_0="parent"))
    done = forked(*arguments)
    assert done.returncode == 143
    last = done.stderr.splitlines()[-1]
    assert last.startswith("vae-lightning: stopped by SIGTERM; go on with: vae-lightning sweep --config")
    run = Path("runs/sweep") / NAMES[2]
    assert json.loads((run / "sweep.json").read_text())["state"] == "started"
    assert 10 < saved(run / "checkpoints/last.ckpt")["global_step"] < 20
    assert forked(*arguments).returncode == 0
    assert equal(run, swept[0] / NAMES[2])


def test_two_sweeps_in_one_folder_would_train_the_same_runs_at_once(
    config: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    with locked(Path("runs/sweep/sweep")):
        assert left_with(["sweep", "--config", str(config), "--grid.seed_everything", "0"]) == 1
    assert "another sweep is at work in runs/sweep: wait for it, or give this one" in capfd.readouterr().err
    assert [path.name for path in Path("runs/sweep").iterdir()] == []


@pytest.mark.parametrize(
    ("grid", "said"),
    [
        (("--grid.model.latent_dim", "2,three"), "latent_dim takes a whole number; got three"),
        (("--grid.model.latnt_dim", "2,3"), "did you mean latent_dim"),
    ],
)
def test_a_mistake_is_seen_before_the_first_run(grid: tuple[str, ...], said: str, config: Path) -> None:
    done = forked("sweep", "--config", config, *grid)
    assert done.returncode == 2
    assert said in done.stderr
    assert not Path("runs").exists()


def test_help_teaches(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        command("sweep", "--help")
    said = capsys.readouterr().out
    for word in ("--grid.OPTION", "0..9", "RAY_ADDRESS", "compare", "--space.OPTION", "--overwrite"):
        assert word in said


def test_the_example_of_the_help_trains(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        command("sweep", "--help")
    (example,) = re.findall(r"^  vae-lightning (sweep .*)$", capsys.readouterr().out, re.MULTILINE)
    brief = "--trainer.max_epochs 1 --trainer.limit_train_batches 1 --trainer.callbacks [] --trainer.accelerator cpu"
    done = forked(*example.replace("0..2", "0").split(), *brief.split())
    assert done.returncode == 0, done.stderr
