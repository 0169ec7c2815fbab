"""Where a run lands: a folder of its own, the same one when it goes on, by one rule for every logger and every path."""

from __future__ import annotations

import csv
import errno
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml
from lightning.pytorch.loggers import CSVLogger, Logger
from support.command import command, figures, left_with
from support.models import events
from support.short_run import CONFIG, saved, tiny

from vae_lightning.training.records import keep_rows

ONE = ("--trainer.max_epochs", "1")


class Elsewhere(Logger):
    """A logger that keeps figures somewhere else, as W&B's does, and has a folder for what else a run writes."""

    def __init__(self, save_dir: str = ".", project: str = "vae") -> None:
        super().__init__()
        self._save_dir = save_dir

    name, version = "vae", "x1y2z3"

    @property
    def save_dir(self) -> str:
        return self._save_dir

    def log_metrics(self, metrics: Mapping[str, float], step: int | None = None) -> None:
        """Nothing."""

    def log_hyperparams(self, params: Any, *args: Any, **kwargs: Any) -> None:
        """Nothing."""


ELSEWHERE = "test_place.Elsewhere"


@pytest.fixture(autouse=True)
def here(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Each test in a folder of its own, from which modules of this folder are found."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(Path(__file__).parent))
    monkeypatch.setenv("VAE_LIGHTNING_TRUST", "test_place")
    tiny(tmp_path)


def fit(*options: str | Path) -> None:
    command("fit", "--config", "tiny.yaml", *ONE, *options)


def refused(capsys: pytest.CaptureFixture[str], *arguments: str | Path) -> str:
    with pytest.raises(SystemExit):
        command(*arguments)
    return capsys.readouterr().err.strip().splitlines()[-1]


def files(folder: Path) -> dict[Path, bytes]:
    return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.mark.parametrize(
    ("place", "folder"),
    [
        (["--trainer.logger.version", "exp1"], "runs/exp1"),
        (["--trainer.logger", "false"], "."),
        (["--trainer.logger", ELSEWHERE, "--trainer.logger.save_dir", "wandb"], "wandb"),
        (
            ["--trainer.logger", "lightning.pytorch.loggers.CSVLogger", "--trainer.logger.version", "7"],
            "runs/version_7",
        ),
    ],
)
def test_a_folder_holds_one_run_and_the_same_run_goes_on_in_it(
    place: list[str], folder: str, capsys: pytest.CaptureFixture[str]
) -> None:
    run = Path(folder)
    fit(*place)
    before = files(run)
    assert {run / name for name in ("config.yaml", "metrics.json", "checkpoints/best.ckpt")} <= before.keys()
    line = refused(capsys, "fit", "--config", "tiny.yaml", *place, "--model.latent_dim", "5")
    assert f"{run.name} holds a run already" in line
    assert "go on with that run by --ckpt_path" in line
    assert files(run) == before
    command("fit", "--ckpt_path", run, "--trainer.max_epochs", "2")
    assert saved(run / "checkpoints/last.ckpt")["global_step"] == 20
    assert sorted({path.parent for path in run.rglob("last.ckpt")}) == [run / "checkpoints"]


def test_runs_land_in_the_default_root_unless_the_logger_has_a_place() -> None:
    fit("--trainer.default_root_dir", "out")
    assert (Path("out/version_0/checkpoints/best.ckpt")).is_file()
    fit("--config", "out/version_0/config.yaml", *ONE, "--trainer.default_root_dir", "again")
    assert Path("again/version_0").is_dir()
    fit("--trainer.default_root_dir", "out", "--trainer.logger.save_dir", "logs")
    assert Path("logs/version_0").is_dir()
    assert not Path("runs").exists()


def test_every_path_is_expanded_wherever_it_is_written(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """In YAML, after `=` and behind an option: one folder, nothing half here and half there."""
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv("OUT", "outputs")
    place = {"save_dir": "~/$OUT/runs", "name": ""}
    logger = {"class_path": "lightning.pytorch.loggers.TensorBoardLogger", "init_args": place}
    config = CONFIG | {"trainer": CONFIG["trainer"] | {"logger": logger}}
    (tmp_path / "home").mkdir()
    (tmp_path / "home/own.yaml").write_text(yaml.safe_dump(config))
    command("fit", "--config=~/own.yaml", *ONE, "--best.dirpath=~/kept")
    run = tmp_path / "home/outputs/runs/version_0"
    assert (run / "checkpoints/last.ckpt").is_file()
    assert (tmp_path / "home/kept/best.ckpt").is_file()
    command("test", "--ckpt_path=~/${OUT}/runs/version_0/checkpoints/last.ckpt")
    assert "test/nelbo" in figures(run)
    assert not [path for path in tmp_path.rglob("*") if path.name in ("~", "$OUT", "${OUT}")]


def test_an_unset_variable_is_no_folder(capsys: pytest.CaptureFixture[str]) -> None:
    line = refused(capsys, "fit", "--config", "tiny.yaml", "--trainer.default_root_dir", "$NO_SUCH_NAME/runs")
    assert "needs $NO_SUCH_NAME, which is not set" in line
    assert [path.name for path in Path().iterdir()] == ["tiny.yaml"]


def test_a_run_that_was_moved_goes_on_where_it_is_now(capsys: pytest.CaptureFixture[str]) -> None:
    """Its best so far, too: a worse model does not take its place."""
    fit()
    shutil.move("runs/version_0", "archive")
    best = Path("archive/checkpoints/best.ckpt").read_bytes()
    config = Path("archive/config.yaml")
    worse = ("--model.optimizer", "torch.optim.Adam", "--model.optimizer.lr", "10.0")
    command(
        "fit", "--config", config, "--ckpt_path", "archive/checkpoints/last.ckpt", "--trainer.max_epochs", "2", *worse
    )
    assert saved(Path("archive/checkpoints/last.ckpt"))["global_step"] == 20
    assert Path("archive/checkpoints/best.ckpt").read_bytes() == best
    assert [event.step for event in events(Path("archive")).Scalars("val/nelbo")] == [9, 19]
    assert not list(Path("runs").iterdir())


def test_a_place_that_is_typed_counts() -> None:
    fit()
    command("test", "--ckpt_path", "runs/version_0", "--trainer.logger.save_dir", "other")
    assert "test/nelbo" in figures(Path("other/version_0"))
    assert "test/nelbo" not in figures(Path("runs/version_0"))


def test_rows_of_a_csv_logger_are_kept_when_the_run_goes_on() -> None:
    """One row for each step at which something was logged; what was logged after the checkpoint is logged once."""
    fit("--trainer.logger", "lightning.pytorch.loggers.CSVLogger", "--last.every_n_steps", "7")
    file = Path("runs/version_0/metrics.csv")
    command("fit", "--ckpt_path", "runs/version_0", "--trainer.max_epochs", "2")
    command("test", "--ckpt_path", "runs/version_0")
    with file.open() as rows:
        read = [(int(row["step"]), {name for name, value in row.items() if value}) for row in csv.DictReader(rows)]
    assert [step for step, names in read if "val/nelbo" in names] == [9, 19]
    assert [step for step, names in read if "train/loss" in names] == [4, 9, 14, 19]
    assert [step for step, names in read if "test/nelbo" in names] == [19]


def test_a_row_of_figures_that_was_not_written_whole_is_left_out(tmp_path: Path) -> None:
    """As of a run that was killed; going on ended in a KeyError."""
    logger = CSVLogger(tmp_path, "", "v")
    file = Path(logger.log_dir) / "metrics.csv"
    file.parent.mkdir()
    file.write_bytes(b"epoch,step,train/loss\n0,4,3.5\n0,9,3\n0\0\0")
    keep_rows(logger, 9)
    assert file.read_text() == "epoch,step,train/loss\n0,4,3.5\n"


@pytest.mark.parametrize("logger", ["lightning.pytorch.loggers.CSVLogger", "false"])
def test_what_is_said_last_is_there_and_only_pictures_that_are_lost_are_said_to_be(
    logger: str, capsys: pytest.CaptureFixture[str], recwarn: pytest.WarningsRecorder
) -> None:
    pictures = [{"class_path": f"vae_lightning.callbacks.{name}", "init_args": {"every_n_epochs": 1}}
                for name in ("Samples", "Reconstructions")]  # fmt: skip
    fit("--trainer.logger", logger, "--trainer.callbacks", yaml.safe_dump(pictures), "--trainer.max_epochs", "2")
    said = capsys.readouterr().out
    assert "tensorboard" not in said
    paths = [line.partition(": ")[2] for line in said.splitlines() if line.startswith(("figures", "checkpoint"))]
    assert len(paths) == 3
    assert all(Path(path).is_file() for path in paths)
    lost = [
        str(warning.message) for warning in recwarn if "pictures and histograms are not kept" in str(warning.message)
    ]
    assert len(lost) == (logger == "false")
    drawn = [
        "val-reconstructions-00000009",
        "val-reconstructions-00000019",
        "val-samples-00000009",
        "val-samples-00000019",
    ]
    assert sorted(path.stem for path in Path().rglob("*.png")) == ([] if logger == "false" else drawn)


def test_nothing_is_said_of_a_dry_run(capsys: pytest.CaptureFixture[str]) -> None:
    fit("--trainer.fast_dev_run", "true")
    assert "figures:" not in capsys.readouterr().out
    assert [path.name for path in Path().iterdir()] == ["tiny.yaml"]


def test_a_configuration_is_whole_or_not_there(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A run that goes on keeps the file it finds, and half of one would stay for ever."""

    def full(_: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("vae_lightning.files.os.fsync", full)
    assert left_with(["fit", "--config", str(tiny(tmp_path))]) == 1
    assert not (tmp_path / "runs/version_0/config.yaml").exists()
