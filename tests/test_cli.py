"""What the command says to whoever uses it: its help, and nothing of its own insides."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import warnings
from pathlib import Path

import pytest
import torch
from support.command import ROOT, command, process

from vae_lightning.cli import COMMANDS, HELP
from vae_lightning.commands import entries
from vae_lightning.training import shipped
from vae_lightning.training.mistakes import in_words


def test_help_names_every_command_and_fits_a_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    command("--help")
    assert capsys.readouterr().out == HELP
    assert re.findall(r"^  (\w+)  ", HELP, re.MULTILINE) == list(COMMANDS)
    assert max(map(len, HELP.splitlines())) <= 120


def test_configs_of_the_help_are_there() -> None:
    named = set(re.findall(r"--config ([a-z0-9/]+)", HELP))
    assert {"text", "table", "images"} < named
    assert named <= set(shipped.names())


def test_a_fit_says_nothing_of_its_insides(tmp_path: Path) -> None:
    """An untrained code tells nothing: CollapseWatch says so in one line, without the place in the code."""
    options = ["--trainer.max_epochs", "1", "--trainer.accelerator", "cpu", "--trainer.logger.save_dir", tmp_path]
    watch = '[{"class_path": "vae_lightning.callbacks.CollapseWatch", "init_args": {"every_n_epochs": 1}}]'
    done = process("fit", "--config", ROOT / "configs/digits/vae.yaml", *options, "--trainer.callbacks", watch)
    assert done.returncode == 0, done.stderr
    assert re.search(r"^vae-lightning: epoch 0, val: posterior collapse: ", done.stderr, re.MULTILINE)
    assert not re.search(r"\.py:\d+|TPU|Warning", done.stderr)


def said(capsys: pytest.CaptureFixture[str], *options: str) -> str:
    with pytest.raises(SystemExit):
        command("fit", "--config", ROOT / "configs/digits/vae.yaml", *options)
    return capsys.readouterr().err.strip().splitlines()[-1]


@pytest.mark.parametrize(
    ("options", "meant"),
    [
        (["--model.latent_dims", "3"], "latent_dim"),
        (["--model.encoder.hiden", "[3]"], "hidden"),
        (["--data.batchsize", "3"], "batch_size"),
        (["--modle.latent_dim", "3"], "--model.latent_dim"),
        (["--trainer.callbacks+", "EarlyStoping"], "EarlyStopping"),
        (["--model.encoder", "vae_lightning.nn.MPL"], "MLP"),
        (["--model", "vae_lightning.models.GausianVAE"], "GaussianVAE"),
    ],
)
def test_a_name_that_is_not_there_is_told_once_with_the_one_that_was_meant(
    options: list[str], meant: str, capsys: pytest.CaptureFixture[str]
) -> None:
    line = said(capsys, *options)
    assert line.count(f", did you mean {meant}?") == 1


@pytest.mark.parametrize("typed", ["--ckpt runs", "--start runs", "--conf digits/vae", "--trainer.max_epoch 1"])
def test_the_beginning_of_a_name_is_no_name(typed: str, capsys: pytest.CaptureFixture[str]) -> None:
    """`--start RUN` trained from scratch without a word, since it was not seen before the options were parsed."""
    name = typed.partition(" ")[0]
    assert re.search(f"unrecognized arguments: {name} .*, did you mean {name}\\w+\\?", said(capsys, *typed.split()))


def test_an_option_of_a_class_within_another_can_be_null(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="0"):
        command(
            "fit", "--config", ROOT / "configs/gan/ring.yaml", "--model.generator.penalty", "null", "--print_config"
        )
    assert "        penalty: null\n" in capsys.readouterr().out


def test_a_name_like_no_other_is_not_guessed(capsys: pytest.CaptureFixture[str]) -> None:
    assert "did you mean" not in said(capsys, "--model.qqq", "3")


@pytest.mark.parametrize(
    ("typed", "told"),
    [
        (
            "tradeof",
            "study takes one of celeba, documents, libi, mixture, newsgroups, priors, tradeoff, all; got tradeof",
        ),
        ("tradeoff --scale quik", "--scale takes one of quick, medium, full; got quik"),
    ],
)
def test_a_word_that_an_option_does_not_take_is_told_with_those_that_it_takes(
    typed: str, told: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit, match="2"):
        command("reproduce", *typed.split())
    meant = "quick" if "quik" in typed else "tradeoff"
    assert capsys.readouterr().err == f"vae-lightning: {told}, did you mean {meant}?; see --help\n"


PRECISION = (
    "--trainer.precision takes one of 64, 32, 16, transformer-engine, transformer-engine-float16, 16-true, 16-mixed, "
    "bf16-true, bf16-mixed, 32-true, 64-true, bf16; got "
)


@pytest.mark.parametrize(
    ("option", "told"),
    [
        ("--trainer.precision 17", f"{PRECISION}17"),
        ("--trainer.precision 32-tru", f"{PRECISION}32-tru, did you mean 32-true?"),
        ("--trainer.deterministic maybe", "--trainer.deterministic takes true or false, or warn; got maybe"),
        ("--trainer.limit_train_batches all", "--trainer.limit_train_batches takes a number; got all"),
        ("--trainer.max_epochs two", "--trainer.max_epochs takes a whole number; got two"),
        ("--trainer.fast_dev_run some", "--trainer.fast_dev_run takes true or false, or a whole number; got some"),
        ("--trainer.inference_mode x", "--trainer.inference_mode takes true or false; got x"),
        ("--data.val_size x", "--data.val_size takes a number; got x"),
        ("--model.latent_dim three", "--model.latent_dim takes a whole number; got three"),
        ("--model.encoder MPL", "--model.encoder takes the name of a class; got MPL, did you mean MLP?"),
        ("--trainer.callbacks 3", "--trainer.callbacks takes the name of a class, or a list of such; got 3"),
        (
            "--trainer.logger CSVLoger",
            "--trainer.logger takes the name of a class, or a list of such, or true or false; got CSVLoger, "
            "did you mean CSVLogger?",
        ),
    ],
)
def test_a_value_of_another_kind_is_told_in_words(option: str, told: str, capsys: pytest.CaptureFixture[str]) -> None:
    name, value = option.split()
    assert said(capsys, name, value) == f"vae-lightning: {told}; see --help"


def test_an_option_that_takes_a_class_is_told_with_those_that_there_are(capsys: pytest.CaptureFixture[str]) -> None:
    line = said(capsys, "--data", "Digit")
    assert line.startswith("vae-lightning: --data takes the name of a class, such as Arrays, CelebA, Digits, ")
    assert line.endswith(", Texts; got Digit, did you mean Digits?; see --help")
    assert "DataModule" not in line  # abstract
    assert said(capsys, "--model.prior", "3").endswith(", VampPrior; got 3; see --help")


def test_an_option_that_takes_a_class_within_another_is_told_as_well() -> None:
    """A class of no module of its own; the error was a KeyError."""
    told = "Parser key \"model.part\":\n  Subtypes: [<class 'torch.nn.Outer.Inner'>]\n"
    line = in_words(told + "Expected a dot import path string: Liner", [])
    assert line.startswith("model.part takes the name of a class; got Liner, did you mean Linear")


def test_where_nobody_reads_what_is_printed_it_ends_as_others_do() -> None:
    """As after `| head`; it was a traceback."""
    reads, writes = os.pipe()
    os.close(reads)
    with os.fdopen(writes, "wb") as out:
        words = [sys.executable, "-m", "vae_lightning", "--help"]
        done = subprocess.run(words, stdout=out, stderr=subprocess.PIPE, check=False)
    assert (done.returncode, done.stderr) == (128 + signal.SIGPIPE, b"")


def test_where_there_is_no_room_for_what_is_printed_one_line_says_so() -> None:
    """It was a traceback."""
    with Path("/dev/full").open("wb") as out:
        words = [sys.executable, "-m", "vae_lightning", "--help"]
        done = subprocess.run(words, stdout=out, stderr=subprocess.PIPE, check=False)
    said = b"vae-lightning: what it prints cannot be written: No space left on device\n"
    assert (done.returncode, done.stderr) == (1, said)


def test_a_module_of_the_current_folder_is_found(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """By the installed command, whose path has the folder of its script, as by `python -m`."""
    (tmp_path / "own_encoder.py").write_text("from vae_lightning.nn import MLP\n\n\nclass Own(MLP):\n    pass\n")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("sys.path", [path for path in sys.path if path])
    with pytest.raises(SystemExit) as stop:
        command(
            "fit", "--config", ROOT / "configs/digits/vae.yaml", "--model.encoder", "own_encoder.Own", "--print_config"
        )
    assert stop.value.code == 0
    assert "class_path: own_encoder.Own" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("error", "spoken"),
    [
        (ValueError("what came"), "what came"),
        (ModuleNotFoundError("psutil"), "ModuleNotFoundError: psutil"),
        (OSError("a file"), "a file"),
    ],
)
def test_what_speaks_of_what_was_asked_is_one_line(
    error: Exception, spoken: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(arguments: list[str]) -> None:
        raise error

    monkeypatch.setattr(entries, "fit", fails)
    with pytest.raises(SystemExit):
        command("fit")
    assert capsys.readouterr().err == f"vae-lightning: {spoken} (VAE_LIGHTNING_TRACEBACK=1 shows where)\n"


def test_what_a_library_raises_is_one_line_and_ones_own_defect_a_traceback(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def in_a_library(arguments: list[str]) -> None:
        _ = torch.nn.Module().backbone

    def here(arguments: list[str]) -> None:
        _ = COMMANDS["a key"]

    monkeypatch.setattr(entries, "fit", in_a_library)
    with pytest.raises(SystemExit):
        command("fit")
    assert "vae-lightning: AttributeError: 'Module' object has no attribute 'backbone'" in capsys.readouterr().err
    monkeypatch.setattr(entries, "fit", here)
    with pytest.raises(KeyError):
        command("fit")


@pytest.mark.parametrize(
    "arguments",
    [("fit", "--config", "nowhere.yaml"), ("sample", "--ckpt", "nowhere.ckpt"), ("sweep", "--config", "nowhere.yaml")],
    ids=lambda arguments: arguments[0],
)
def test_what_prints_warnings_is_as_before_afterwards(arguments: tuple[str, ...]) -> None:
    """Hundreds of commands in one process would else go through hundreds of formats, until Python refuses."""
    before = warnings.formatwarning
    with pytest.raises(SystemExit):
        command(*arguments)
    assert warnings.formatwarning is before
