"""A checkpoint, a run's folder or an index of a stranger's that would have something run is refused in a line."""

from __future__ import annotations

import shutil
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from support.command import left_with
from support.crafted import STRANGER, Pickled, plant, spec
from support.kinds import trained
from support.report_folders import run_folder

import vae_lightning as vl
from vae_lightning.cli import COMMANDS


@pytest.fixture
def witness(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The folder that stays empty as long as nothing of a stranger's runs."""
    monkeypatch.syspath_prepend(plant(tmp_path / "code", seen := tmp_path / "seen"))
    yield seen
    sys.modules.pop(STRANGER, None)


CALLS: dict[str, Callable[[Path], dict[str, Any]]] = {
    "subprocess.Popen": lambda seen: spec("subprocess.Popen", args=["touch", str(seen / "called")]),
    "os.system": lambda seen: spec("os.system", command=f"touch {seen / 'called'}"),
    "a lambda": lambda _: spec(f"{STRANGER}.<lambda>"),
    "a class of a stranger's": lambda _: spec(f"{STRANGER}.Objective"),
}
PLACES: dict[str, Callable[[Any], dict[str, Any]]] = {
    "hyper_parameters": lambda call: {"hyper_parameters": {"_class_path": call["class_path"], **call["init_args"]}},
    "specified": lambda call: {"specified": {"objective": call}},
    "preparation": lambda call: {"preparation": {"class_path": call["class_path"], "init_args": call["init_args"]}},
    "within preparation": lambda call: {
        "preparation": spec("vae_lightning.data.texts.preparation.TextPreparation", words=["a", "b"], tokenizer=call)
    },
}


def crafted(folder: Path, seen: Path, place: str, call: str) -> Path:
    """A checkpoint of a model of texts that names this call in this place, as a run would have it."""
    sound = torch.load(trained("HashingVAE").checkpoint, weights_only=True)
    change = PLACES[place](CALLS[call](seen))
    path = folder / "checkpoints" / "best.ckpt"
    path.parent.mkdir(parents=True, exist_ok=True)
    torch.save(sound | change, path)
    return path


def pickled(folder: Path, seen: Path) -> Path:
    """One whose hyper-parameters are an object that runs a function when it is unpickled."""
    path = folder / "checkpoints" / "best.ckpt"
    path.parent.mkdir(parents=True, exist_ok=True)
    sound = torch.load(trained("HashingVAE").checkpoint, weights_only=True)
    torch.save(sound | {"hyper_parameters": Pickled(seen)}, path)
    return path


READERS: dict[str, Callable[[Path, Path], list[str | Path]]] = {
    **{
        name: lambda ckpt, out: ["--ckpt", ckpt, "--data", trained("HashingVAE").data, "--out", out / "x.csv"]
        for name in ("encode", "decode", "reconstruct", "interpolate", "score", "impute")
    },
    "sample": lambda ckpt, out: ["--ckpt", ckpt, "--out", out / "x.csv"],
    "index": lambda ckpt, out: ["--ckpt", ckpt, "--data", trained("HashingVAE").data, "--out", out / "x.index"],
    "search": lambda ckpt, _: ["--ckpt", ckpt, "--query", "river"],
    "export": lambda ckpt, out: ["--ckpt", ckpt, "--to", out / "x.pt2"],
}
"""The options of each command that builds the model of a checkpoint."""
TRAINERS = {
    "fit": ("--ckpt_path", "--start_from"),
    "validate": ("--ckpt_path",),
    "test": ("--ckpt_path",),
    "predict": ("--ckpt_path",),
}


def refusal(name: str, options: list[str | Path], seen: Path, capsys: pytest.CaptureFixture[str]) -> str:
    """The one line of a command that ends with it; nothing ran."""
    assert left_with([name, *map(str, options)]) == 1
    lines = [line for line in capsys.readouterr().err.splitlines() if not line.startswith("Seed set to")]
    assert len(lines) == 1, lines
    assert not list(seen.iterdir())
    assert STRANGER not in sys.modules
    return lines[0]


@pytest.mark.parametrize("name", READERS)
def test_a_checkpoint_that_calls_is_refused_by_what_reads_it(
    name: str, witness: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (out := tmp_path / "out").mkdir()
    files = [(place, "subprocess.Popen") for place in PLACES] + [("hyper_parameters", call) for call in CALLS]
    for number, (place, call) in enumerate(files):
        path = crafted(tmp_path / str(number), witness, place, call)
        assert f"{path} is no checkpoint to use" in refusal(name, READERS[name](path, out), witness, capsys)
    folder = tmp_path / "0"  # of a run, whose checkpoint it is
    assert "is no checkpoint to use" in refusal(name, READERS[name](folder, out), witness, capsys)
    path = pickled(tmp_path / "pickled", witness)
    assert "is not a whole checkpoint" in refusal(name, READERS[name](path, out), witness, capsys)
    assert not list(out.iterdir())


@pytest.mark.parametrize(("name", "option"), [(name, option) for name in TRAINERS for option in TRAINERS[name]])
def test_and_by_what_trains_on_it(
    name: str, option: str, witness: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    monkeypatch.chdir(tmp_path)
    data = trained("HashingVAE").data
    for path in (crafted(tmp_path / "a", witness, "hyper_parameters", "os.system"), pickled(tmp_path / "b", witness)):
        line = refusal(name, ["--config", "text", "--data.path", data, option, path], witness, capsys)
        assert str(path) in line
    assert not (tmp_path / "runs").exists()


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("call", CALLS)
def test_and_by_load(call: str, place: str, witness: Path, tmp_path: Path) -> None:
    path = crafted(tmp_path, witness, place, call)
    for given in (path, tmp_path):
        with pytest.raises(ValueError, match="is no checkpoint to use") as raised:
            vl.load(given)
        assert "\n" not in str(raised.value)
    if place == "hyper_parameters":
        with pytest.raises(ValueError, match="is no checkpoint to use"):
            vl.HashingVAE.load_from_checkpoint(path)
    assert not list(witness.iterdir())
    assert STRANGER not in sys.modules


def test_what_tells_of_a_run_builds_nothing_of_its_checkpoint(
    witness: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """report, card and compare read the records of a run."""
    monkeypatch.chdir(tmp_path)
    for number, call in enumerate(CALLS):
        run = run_folder(tmp_path / "runs" / str(number), {"val/nelbo": 1.0 + number})
        crafted(run, witness, "hyper_parameters", call)
        left_with(["card", str(run), "--out", f"{number}.md"])
    pickled(run_folder(tmp_path / "runs" / "pickled", {"val/nelbo": 9.0}), witness)
    left_with(["report", "runs", "--out", "report.html"])
    left_with(["compare", "runs"])
    assert not list(witness.iterdir())
    assert STRANGER not in sys.modules


def test_every_command_that_takes_a_checkpoint_is_among_these() -> None:
    assert {*READERS, *TRAINERS} | {"report", "card", "compare", "sweep", "reproduce"} == set(COMMANDS)


def test_an_index_leads_to_no_other_checkpoint_than_the_one_that_made_it(
    witness: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    kind = trained("HashingVAE")
    ckpt, index = Path(shutil.copy(kind.checkpoint, tmp_path / "model.ckpt")), tmp_path / "docs.index"
    assert left_with(["index", "--ckpt", str(ckpt), "--data", str(kind.data), "--out", str(index)]) == 0
    capsys.readouterr()
    shutil.copy(crafted(tmp_path / "evil", witness, "hyper_parameters", "os.system"), ckpt)
    refusal("search", ["--index", index, "--query", "river"], witness, capsys)
    index.write_bytes(pickled(tmp_path / "evil", witness).read_bytes())
    assert "is no index" in refusal("search", ["--index", index, "--query", "river"], witness, capsys)


BOMB = "\n".join(["a0: &a0 [1, 1]", *(f"a{n}: &a{n} [*a{n - 1}, *a{n - 1}]" for n in range(1, 40))])
HOSTILE: dict[str, tuple[str, str]] = {
    "a tag that calls": ("config.yaml", "model: !!python/object/apply:os.system ['touch {seen}/called']"),
    "a tag of a class": ("config.yaml", f"model: !!python/object/new:{STRANGER}.Objective []"),
    "a few lists that stand for a billion": ("config.yaml", BOMB),
    "lists without end": ("config.yaml", "a: " + "[" * 5000),
    "a list within itself": ("config.yaml", "a: &a [*a]"),
    "no mapping": ("config.yaml", "- 1"),
    "a large file": ("config.yaml", "#" * (1 << 21)),
    "a number without end": ("metrics.json", '{"val/nelbo": 1' + "0" * 400 + "}"),
    "half a letter": ("metrics.json", '{"val/\\ud800": 1}'),
    "figures in a list": ("metrics.json", "[1]"),
    "objects without end": ("metrics.json", '{"a":' * 5000),
    "a curve of words": ("metrics.csv", "step,val/nelbo\n1,many\n"),
}


@pytest.mark.parametrize("what", HOSTILE)
def test_a_run_whose_records_are_hostile_is_a_line(
    what: str, witness: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    name, text = HOSTILE[what]
    run = run_folder(tmp_path / "run", {"val/nelbo": 1.0})
    (run / name).write_text(text.replace("{seen}", str(witness)))
    (run / "checkpoints").mkdir()
    shutil.copy(trained("HashingVAE").checkpoint, run / "checkpoints" / "best.ckpt")
    start = time.process_time()
    for options in (["report", run], ["card", run], ["compare", run]):
        assert str(run / name) in refusal(str(options[0]), [options[1]], witness, capsys)
    assert time.process_time() - start < 10
    assert not (tmp_path / "report.html").exists()
    assert not (tmp_path / "model-card.md").exists()


def test_what_a_terminal_would_obey_or_take_for_markup_is_text_in_a_comparison(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for number, odd in enumerate(("[/red]", "\x1b[2J")):
        run_folder(tmp_path / "runs" / str(number), {"val/nelbo": 1.0 + number}, latent_dim=odd)
    assert left_with(["compare", str(tmp_path / "runs")]) == 0
    told = capsys.readouterr().out
    assert "\x1b" not in told
    assert "[/red]" in told
