"""Options beside a checkpoint: what is typed counts where it can, and is refused where it cannot."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import yaml
from support.command import ROOT, command, figures
from support.models import digits, events
from support.short_run import CONFIG, saved, tiny

from vae_lightning.models import GaussianVAE

SHIPPED = ROOT / "checkpoints" / "newsgroups-8bit.ckpt"


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a run."""
    out = tmp_path_factory.mktemp("trained")
    command("fit", "--config", tiny(out), "--trainer.default_root_dir", out)
    return out / "version_0"


@pytest.fixture
def run(trained: Path, tmp_path: Path) -> Path:
    """A copy of its own for each test: a run that was moved."""
    return Path(shutil.copytree(trained, tmp_path / "moved"))


@pytest.fixture
def refused(capsys: pytest.CaptureFixture[str]) -> Callable[..., str]:
    """The one line that a command ends in."""

    def line(*arguments: str | Path) -> str:
        with pytest.raises(SystemExit):
            command(*arguments)
        return capsys.readouterr().err.strip().splitlines()[-1]

    return line


def groups(run: Path) -> list[dict[str, Any]]:
    return saved(run / "checkpoints/last.ckpt")["optimizer_states"][0]["param_groups"]


def test_model_and_data_come_from_the_checkpoint_and_the_figures_are_its_own(run: Path) -> None:
    """The same validation by the folder, by the file and with the configuration: nothing else was said."""
    validated = figures(run)["val/nelbo"]
    for named in ([run], [run / "checkpoints/best.ckpt"], [run, "--config", run / "config.yaml"]):
        (run / "metrics.json").unlink()
        command("validate", "--ckpt_path", *named)
        assert figures(run)["val/nelbo"] == pytest.approx(validated, rel=1e-6)


def test_what_is_typed_counts_in_evaluation(run: Path) -> None:
    """200 samples an observation have a mean of their own: that of the model as Python loads and changes it."""
    command("test", "--ckpt_path", run)
    one = figures(run)["test/nelbo"]
    command("test", "--config", run / "config.yaml", "--ckpt_path", run, "--model.evaluation_samples", "200")
    many = figures(run)["test/nelbo"]
    assert many != one
    module = GaussianVAE.load_from_checkpoint(run / "checkpoints/best.ckpt", evaluation_samples=200)
    data = digits(eval_batch_size=256)
    data.setup()
    losses = [module.figures(module.evaluate(x, number))["nelbo"] for number, x in enumerate(data.test_dataloader())]
    assert many == pytest.approx(float(torch.cat(losses).mean()), rel=1e-5)


def test_options_of_the_data_count(run: Path) -> None:
    command("predict", "--ckpt_path", run, "--data.predict_split", "val")
    assert len(np.load(run / "codes.npz")["codes"]) == 61


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--model.latent_dim", "7"], "--model.latent_dim is 7, 2 in the checkpoint"),
        (["--model.encoder.hidden", "[3]"], "--model.encoder.hidden is [3], [16] in the checkpoint"),
        (["--model.observed", "vae_lightning.families.Normal", "--model.observed.event_shape", "[1, 8, 8]"],
         "--model.observed is vae_lightning.families.Normal, vae_lightning.families.Bernoulli in the checkpoint"),
    ],
)  # fmt: skip
def test_what_its_weights_do_not_fit_is_refused_by_name(
    options: list[str], said: str, run: Path, refused: Callable[..., str]
) -> None:
    before = sorted(run.rglob("*"))
    assert said in refused("fit", "--ckpt_path", run, *options)
    assert sorted(run.rglob("*")) == before


def test_another_experiments_configuration_does_not_lose_its_model(
    run: Path, tmp_path: Path, refused: Callable[..., str]
) -> None:
    other = tmp_path / "other.yaml"
    other.write_text(yaml.safe_dump(CONFIG).replace("latent_dim: 2", "latent_dim: 5"))
    assert "--model.latent_dim is 5, 2 in the checkpoint" in refused("test", "--config", other, "--ckpt_path", run)


def test_a_new_learning_rate_takes_effect_in_a_run_that_goes_on(run: Path) -> None:
    """And all else of the optimizer is the checkpoint's: the steps of its moments go on."""
    command("fit", "--ckpt_path", run, "--trainer.max_epochs", "3", "--model.optimizer", "torch.optim.Adam",
            "--model.optimizer.lr", "0.25", "--model.optimizer.weight_decay", "0.125")  # fmt: skip
    (group,) = groups(run)
    assert (group["lr"], group["weight_decay"], group["betas"]) == (0.25, 0.125, (0.9, 0.999))
    state = saved(run / "checkpoints/last.ckpt")["optimizer_states"][0]["state"]
    assert {int(each["step"]) for each in state.values()} == {30}


def test_without_a_new_one_the_checkpoints_learning_rate_stands(run: Path) -> None:
    """A run that goes on by its folder takes its own configuration: epochs to come are all that was said."""
    command("fit", "--ckpt_path", run, "--trainer.max_epochs", "3")
    assert groups(run)[0]["lr"] == 1e-3
    assert saved(run / "checkpoints/last.ckpt")["global_step"] == 30
    assert [event.step for event in events(run).Scalars("val/nelbo")] == [9, 19, 29]


def test_options_that_a_run_goes_on_with_are_kept_beside_those_it_began_with(run: Path) -> None:
    """Of steps that are taken anew by the options of before, nothing is left; and a start without a step adds none."""
    last, later = run / "checkpoints/last.ckpt", run / "config-00000020.yaml"
    before = shutil.copy(last, run / "before.ckpt")
    command(
        "fit", "--ckpt_path", last, "--trainer.max_epochs", "3", "--data.batch_size", "10", "--seed_everything", "7"
    )
    command("fit", "--ckpt_path", run, "--trainer.max_epochs", "3")
    assert list(run.glob("config-*")) == [later]
    kept = yaml.safe_load(later.read_text())
    assert (kept["trainer"]["max_epochs"], kept["data"]["init_args"]["batch_size"]) == (3, 10)
    assert (kept["seed_everything"], kept["ckpt_path"]) == (0, None)
    shutil.copy(before, last)
    command("fit", "--config", run / "config.yaml", "--ckpt_path", last)
    assert later.exists()
    command("fit", "--ckpt_path", run, "--trainer.max_epochs", "3")
    assert yaml.safe_load(later.read_text())["data"]["init_args"]["batch_size"] == 20


def test_a_scheduler_makes_of_a_new_rate_what_it_made_of_the_old(tmp_path: Path) -> None:
    schedule = ("--model.scheduler", "torch.optim.lr_scheduler.StepLR", "--model.scheduler.step_size", "1")
    schedule += ("--model.scheduler.gamma", "0.5", "--model.optimizer", "torch.optim.SGD", "--model.optimizer.lr")
    command("fit", "--config", tiny(tmp_path), "--trainer.default_root_dir", tmp_path, *schedule, "0.008")
    run = tmp_path / "version_0"
    command("fit", "--ckpt_path", run, "--model.optimizer.lr", "0.8", "--trainer.max_epochs", "3")
    assert groups(run)[0]["lr"] == pytest.approx(0.8 / 8)
    assert groups(run)[0]["initial_lr"] == 0.8


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--model.optimizer", "torch.optim.SGD", "--model.optimizer.lr", "0.1"], "--model.optimizer is SGD, Adam in"),
        (["--model.scheduler", "torch.optim.lr_scheduler.StepLR", "--model.scheduler.step_size", "1"],
         "--model.scheduler is torch.optim.lr_scheduler.StepLR, None in the checkpoint: it cannot take the state"),
    ],
)  # fmt: skip
def test_another_optimizer_or_scheduler_cannot_take_the_old_state(
    options: list[str], said: str, run: Path, refused: Callable[..., str]
) -> None:
    line = refused("fit", "--ckpt_path", run, "--trainer.max_epochs", "3", *options)
    assert said in line
    assert "--start_from" in line


def test_a_new_run_starts_from_weights_alone(run: Path, tmp_path: Path) -> None:
    """With another optimizer, its own seed, step 0, and a folder of its own."""
    start = saved(run / "checkpoints/best.ckpt")["state_dict"]
    options = ("--model.optimizer", "torch.optim.SGD", "--model.optimizer.lr", "0.0", "--seed_everything", "5")
    options += ("--trainer.default_root_dir", str(tmp_path / "new"), "--trainer.max_epochs", "1")
    command("fit", "--start_from", run, *options)
    new = saved(tmp_path / "new/version_0/checkpoints/last.ckpt")
    assert all(torch.equal(new["state_dict"][name], value) for name, value in start.items())
    assert (new["seed"], new["global_step"]) == (5, 10)


def test_weights_alone_do_not_go_on_and_the_line_says_what_does(refused: Callable[..., str]) -> None:
    line = refused("fit", "--ckpt_path", SHIPPED)
    assert (
        f"holds weights alone, from which no run goes on: start a new one from them by --start_from {SHIPPED}" in line
    )


def test_shipped_weights_are_a_start(miniature: Path, tmp_path: Path, refused: Callable[..., str]) -> None:
    """Of a model of 10,000 words; of one of 80 they are refused."""
    config = ROOT / "configs/newsgroups/8bit.yaml"
    small = ("--data.path", miniature, "--data.hashes", "null", "--data.num_words", "80", "--model.num_words", "80")
    line = refused("fit", "--config", config, *small, "--data.val_size", "20", "--start_from", SHIPPED,
                   "--trainer.default_root_dir", tmp_path)  # fmt: skip
    assert "--model.num_words is 80, 10000 in the checkpoint" in line
    assert not list(tmp_path.iterdir())


def test_last_and_best_are_of_the_newest_run(tmp_path: Path, refused: Callable[..., str]) -> None:
    out = ("--trainer.default_root_dir", tmp_path / "runs")
    assert "no run in" in refused("fit", "--config", tiny(tmp_path), *out, "--ckpt_path", "last")
    for dim in ("2", "3"):
        command("fit", "--config", tiny(tmp_path), *out, "--trainer.max_epochs", "1", "--model.latent_dim", dim)
    command("fit", "--ckpt_path", "last", *out, "--trainer.max_epochs", "2", "--trainer.enable_progress_bar", "false")
    assert saved(tmp_path / "runs/version_1/checkpoints/last.ckpt")["global_step"] == 20
    command("test", "--ckpt_path", "best", *out)
    assert "test/nelbo" in figures(tmp_path / "runs/version_1")


def test_a_checkpoint_without_a_name_is_no_new_run(refused: Callable[..., str]) -> None:
    """As of `--ckpt_path "$RUN"` where that is not set; it trained from scratch."""
    for option in ("--ckpt_path", "--start_from"):
        assert f"{option} is empty" in refused("fit", "--config", CONFIG, f"{option}=")


@pytest.mark.parametrize("word", ["hpc", "registry", "registry:model:version:v2"])
def test_stores_that_are_not_there_are_refused(word: str, refused: Callable[..., str]) -> None:
    assert f"--ckpt_path {word}: there is no such store here" in refused("fit", "--ckpt_path", word)


def test_a_folder_without_what_is_needed_says_what_it_has(run: Path, refused: Callable[..., str]) -> None:
    (run / "checkpoints/best.ckpt").unlink()
    (run.parent / "nothing").mkdir()
    line = refused("test", "--ckpt_path", run)
    assert f"has no checkpoints/best.ckpt; it has {run / 'checkpoints/last.ckpt'}: give the file" in line
    assert "it is no run's folder" in refused("test", "--ckpt_path", run.parent / "nothing")


@pytest.mark.parametrize("subcommand", ["fit", "validate", "test", "predict"])
def test_the_help_of_ckpt_path_says_what_works(subcommand: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        command(subcommand, "--help")
    said = " ".join(capsys.readouterr().out.split())
    assert "the folder of a run" in said
    assert "'last' or 'best'" in said
    assert "registry" not in said.partition("--ckpt_path CKPT_PATH")[2]


def test_a_run_folder_is_data_and_builds_only_what_is_trusted(
    run: Path, tmp_path: Path, refused: Callable[..., str]
) -> None:
    config = yaml.safe_load((run / "config.yaml").read_text())
    bad = {"class_path": "subprocess.Popen", "init_args": {"args": ["touch", str(tmp_path / "x")]}}
    config["trainer"]["callbacks"] = [bad]
    (run / "config.yaml").write_text(yaml.safe_dump(config))
    line = refused("test", "--ckpt_path", run)
    assert "config.yaml is no configuration to go by" in line
    assert "subprocess.Popen" in line
    assert not (tmp_path / "x").exists()


@pytest.mark.parametrize(
    ("part", "key", "place"),
    [
        ("best", "dirpath", "/etc"),
        ("best", "dirpath", "elsewhere"),  # in the folder that the command is started in
        ("best", "filename", "../../best"),
        ("trainer", "profiler", {"class_path": "SimpleProfiler", "init_args": {"dirpath": "~", "filename": "p"}}),
        ("trainer", "logger", {"class_path": "TensorBoardLogger", "init_args": {"save_dir": "", "sub_dir": "../x"}}),
        ("trainer", "callbacks", ["lightning.pytorch.callbacks.SpikeDetection"]),  # whose place the checkpoint may say
    ],
)
def test_a_run_folder_has_nothing_written_outside_it(
    part: str, key: str, place: object, run: Path, refused: Callable[..., str]
) -> None:
    if isinstance(place, dict):
        place["class_path"] = f"lightning.pytorch.{key}s.{place['class_path']}"
    config = yaml.safe_load((run / "config.yaml").read_text())
    config[part][key] = place
    (run / "config.yaml").write_text(yaml.safe_dump(config))
    line = refused("test", "--ckpt_path", run)
    assert "outside this run's folder: give the file by --config if it is yours" in line
