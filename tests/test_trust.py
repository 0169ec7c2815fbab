"""Trust: whatever a stranger wrote into a checkpoint is refused in one line at every door, and nothing of it runs."""

from __future__ import annotations

import inspect
import sys
import time
import zipfile
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import lightning.pytorch as pl
import pytest
import torch
import yaml
from lightning.fabric.plugins.io.torch_io import TorchCheckpointIO
from lightning.pytorch.callbacks import ModelCheckpoint, SpikeDetection
from support.command import HASHING, ROOT, command, on_miniature
from support.crafted import LOOP, STRANGER, Pickled, plant, spec, whole, written
from support.models import hashing, newsgroups, trainer

from vae_lightning import data, models
from vae_lightning.callbacks import AtomicCheckpointIO, CheckpointReference
from vae_lightning.data import Newsgroups
from vae_lightning.loading import load
from vae_lightning.models import Ensemble, HashingVAE
from vae_lightning.search import search
from vae_lightning.trust import ClassPath, read_checkpoint

BUILT = (pl.LightningModule, pl.LightningDataModule)
WITNESS = STRANGER


@pytest.fixture
def witness(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The folder that stays empty as long as nothing of a stranger's runs."""
    monkeypatch.syspath_prepend(plant(tmp_path / "code", seen := tmp_path / "seen"))
    yield seen
    sys.modules.pop(WITNESS, None)


@pytest.fixture(scope="module")
def sound(miniature: Path) -> dict[str, Any]:
    """What the command would write of a model of the miniature archive."""
    documents = newsgroups(miniature)
    documents.setup()
    by = {"_instantiator": "lightning.pytorch.cli.instantiate_module"}
    words = {"num_words": 80, "hashes": None, "val_size": 20, "path": str(miniature)}
    return whole(
        state_dict=hashing().state_dict(),
        hyper_parameters=by | {"_class_path": "vae_lightning.models.HashingVAE", "num_bits": 3, "num_words": 80},
        hparams_name="kwargs",
        datamodule_hyper_parameters=by | {"_class_path": "vae_lightning.data.Newsgroups"} | words,
        datamodule_hparams_name="kwargs",
        Newsgroups=documents.state_dict(),
        seed=0,
    )


def shell(seen: Path) -> dict[str, Any]:
    """A class of torch whose constructor runs a program."""
    path = "torch.distributed.elastic.multiprocessing.subprocess_handler.subprocess_handler.SubprocessHandler"
    nothing = {"env": {}, "stdout": None, "stderr": None, "local_rank_id": 0, "numa_options": None}
    return spec(path, entrypoint="touch", args=[str(seen / "called")], **nothing)


def nested(times: int, innermost: Any) -> Any:
    """An objective of objectives of objectives."""
    elbo = spec("vae_lightning.objectives.ELBO", estimator=spec("vae_lightning.estimators.DisARM"))
    for _ in range(times):
        innermost = spec("vae_lightning.objectives.Alternating", decoder=elbo, encoder=innermost)
    return innermost


EVIL = spec(f"{WITNESS}.Objective")
ATTACKS: dict[str, Callable[[Path], dict[str, Any]]] = {
    "a class for an untyped argument": lambda seen: {"encoder": spec("torch.nn.Linear", device=shell(seen))},
    "a class for a Callable": lambda _: {"encoder": EVIL},
    "a class for an objective": lambda _: {"objective": EVIL},
    "a class for a number": lambda _: {"num_bits": EVIL},
    "a class in a list": lambda _: {"objective": spec("vae_lightning.objectives.CodeLikelihood", penalties=[EVIL])},
    "a class in an untyped list": lambda _: {"encoder": spec("torch.nn.Sequential", args=[EVIL])},
    "a class in dict_kwargs": lambda _: {"encoder": {"class_path": "torch.nn.Linear", "dict_kwargs": {"bias": EVIL}}},
    "a function by its path": lambda _: {"encoder": f"{WITNESS}.run"},
    "a function of Python's own": lambda _: {"scheduler": "os.system"},
    "a function that one of ours imported": lambda _: {"encoder": "vae_lightning.cli.os.system"},
    "a function of ours of another kind": lambda _: {"optimizer": "vae_lightning.cli.main"},
    "a module that is a program": lambda _: {"encoder": "vae_lightning.__main__.main"},
    "a class by its short name": lambda _: {"objective": "Objective"},
    "a class of another kind": lambda _: {"objective": spec("vae_lightning.nn.MLP")},
    "a layer as optimizer": lambda _: {"optimizer": spec("torch.nn.Linear", in_features=1, out_features=1)},
    "a class in text": lambda _: {"encoder": spec("torch.nn.Linear", device=f"{{class_path: {WITNESS}.Objective}}")},
    "a class in the lines of a text": lambda _: {"objective": f"class_path: {WITNESS}.Objective\n"},
    "a class in a file": lambda seen: {"objective": str(seen.parent / "code" / f"{WITNESS}.py")},
    "a class by a dotted key": lambda _: {"objective.class_path": f"{WITNESS}.Objective"},
    "a class beside other keys": lambda _: {"objective": EVIL | {"more": 1}},
    "arguments of a class of the user's": lambda _: {"objective": {"init_args": {"beta": EVIL}}},
    "nested ten deep": lambda _: {"objective": nested(10, EVIL)},
    "a few lists that stand for a billion": lambda _: {"objective": doubled(38)},
    "nested a hundred deep": lambda _: {"objective": deep(100)},
    "what builds the model": lambda _: {"_instantiator": f"{WITNESS}.run"},
    "the model itself": lambda _: {"_class_path": f"{WITNESS}.Objective"},
    "a tensor": lambda _: {"encoder": torch.zeros(1)},
}


def doubled(times: int) -> Any:
    value: Any = 1
    for _ in range(times):
        value = [value, value]
    return value


def deep(times: int) -> Any:
    return [deep(times - 1)] if times else EVIL


def through_io(path: Path) -> None:
    AtomicCheckpointIO().load_checkpoint(path, weights_only=False)


def through_reference(path: Path) -> None:
    CheckpointReference(path).check(pl.Trainer(logger=False, accelerator="cpu", enable_checkpointing=False))


DOORS: dict[str, Callable[[Path], object]] = {
    "read_checkpoint": read_checkpoint,
    "load": load,
    "HashingVAE": lambda path: HashingVAE.load_from_checkpoint(path, weights_only=False),
    "search": lambda path: search(path, document="train/3"),
    "CheckpointReference": through_reference,
    "AtomicCheckpointIO": through_io,
}


def refused(door: Callable[[Path], object], path: Path, seen: Path) -> str:
    """The one line that names the file; nothing ran."""
    with pytest.raises(ValueError, match=path.name) as raised:
        door(path)
    assert not list(seen.iterdir())
    assert WITNESS not in sys.modules
    assert "\n" not in str(raised.value)
    return str(raised.value)


@pytest.mark.parametrize("attack", ATTACKS.values(), ids=ATTACKS)
def test_what_a_stranger_names_is_refused_at_every_door(
    attack: Callable[[Path], dict[str, Any]], sound: dict[str, Any], witness: Path, tmp_path: Path
) -> None:
    changed = sound["hyper_parameters"] | attack(witness)
    path = written(tmp_path / "evil.ckpt", **sound | {"hyper_parameters": changed})
    for door in DOORS.values():
        refused(door, path, witness)


@pytest.mark.parametrize("attack", ATTACKS.values(), ids=ATTACKS)
def test_what_a_stranger_says_of_modules_of_ones_own_is_refused_by_load(
    attack: Callable[[Path], dict[str, Any]], sound: dict[str, Any], witness: Path, tmp_path: Path
) -> None:
    """`specified` is what a file says of classes that only `trust` lets in; nobody else reads it."""
    refused(load, written(tmp_path / "evil.ckpt", **sound | {"specified": attack(witness)}), witness)


def test_the_attack_is_real(sound: dict[str, Any], witness: Path, tmp_path: Path) -> None:
    """Lightning's own door, without ours before it, lets the first of them run its program."""
    changed = sound["hyper_parameters"] | ATTACKS["a class for an untyped argument"](witness)
    path = written(tmp_path / "evil.ckpt", **sound | {"hyper_parameters": changed})
    with pytest.raises(Exception, match="device"):  # it is a program, and no device, that Linear has got then
        pl.LightningModule.load_from_checkpoint(path, weights_only=True)
    for _ in range(100):
        if list(witness.iterdir()):
            break
        time.sleep(0.05)
    assert [file.name for file in witness.iterdir()] == ["called"]


DATA_ATTACKS: dict[str, dict[str, Any]] = {
    "a class": {"ranking": EVIL},
    "a function": {"stop_words": f"{WITNESS}.run"},
    "a class in a mapping of texts": {"hashes": {"train.data": EVIL}},
    "what builds the data": {"_instantiator": f"{WITNESS}.run"},
    "the data themselves": {"_class_path": f"{WITNESS}.Objective"},
}


@pytest.mark.parametrize("attack", DATA_ATTACKS.values(), ids=DATA_ATTACKS)
def test_of_data_too(attack: dict[str, Any], sound: dict[str, Any], witness: Path, tmp_path: Path) -> None:
    changed = sound["datamodule_hyper_parameters"] | attack
    path = written(tmp_path / "evil.ckpt", **sound | {"datamodule_hyper_parameters": changed})
    doors = {name: door for name, door in DOORS.items() if name != "HashingVAE"}
    for door in (*doors.values(), Newsgroups.load_from_checkpoint):
        refused(door, path, witness)


@pytest.mark.parametrize("subcommand", ["fit", "validate", "test", "predict"])
def test_at_the_doors_of_the_command(
    subcommand: str,
    sound: dict[str, Any],
    witness: Path,
    miniature: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    changed = sound["hyper_parameters"] | ATTACKS["a class for an untyped argument"](witness)
    path = written(tmp_path / "evil.ckpt", **sound | {"hyper_parameters": changed})
    with pytest.raises(SystemExit):
        command(subcommand, "--config", HASHING, *on_miniature(miniature, tmp_path / "runs"), "--ckpt_path", path)
    (line,) = capsys.readouterr().err.splitlines()
    assert f"{path} is no checkpoint to use: encoder.device takes no class" in line
    assert not list(witness.iterdir())
    assert not (tmp_path / "runs").exists()


def test_hyperparameters_of_no_class_are_not_arguments_of_the_configuration(
    sound: dict[str, Any], witness: Path, miniature: Path, tmp_path: Path
) -> None:
    """Texts of a checkpoint that Python wrote are nobody's class paths, and Lightning would take them for that."""
    path = written(tmp_path / "evil.ckpt", **sound | {"hyper_parameters": {"encoder": f"{WITNESS}.run"}})
    command(
        "test", "--config", HASHING, *on_miniature(miniature, tmp_path), "--model.num_bits", "3", "--ckpt_path", path
    )
    assert not list(witness.iterdir())


def test_search_by_the_command_says_so_in_one_line(
    sound: dict[str, Any], witness: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = written(
        tmp_path / "evil.ckpt", **sound | {"hyper_parameters": sound["hyper_parameters"] | {"encoder": EVIL}}
    )
    with pytest.raises(SystemExit):
        command("search", "--ckpt", path, "--document", "train/3")
    (line,) = capsys.readouterr().err.splitlines()
    assert f"encoder names {WITNESS}.Objective, and of a checkpoint only classes of vae_lightning, torch.nn" in line
    assert f"if you wrote {WITNESS}, say so by VAE_LIGHTNING_TRUST={WITNESS}" in line


WORDS: dict[str, tuple[Callable[[Path], dict[str, Any]], str]] = {
    "a pickled object": (lambda seen: {"hyper_parameters": Pickled(seen)}, "is not a whole checkpoint"),
    "a pickled object among the weights": (lambda seen: {"state_dict": {"w": Pickled(seen)}}, "not a whole checkpoint"),
    "hyper-parameters in a list": (lambda _: {"hyper_parameters": [EVIL]}, "hyper_parameters is .*, not a mapping"),
    "old hyper-parameters": (lambda _: {"hparams": {"encoder": EVIL}}, "it has hparams, which Lightning has not"),
    "a callable type": (
        lambda _: {"hparams_type": torch.Size},
        "is not a whole checkpoint|hparams_type is .*, not text",
    ),
    "weights that are text": (lambda _: {"state_dict": {"w": "torch"}}, "state_dict has 'w' of str"),
    "weights without names": (lambda _: {"state_dict": {1: torch.zeros(1)}}, "state_dict has 1 of Tensor"),
    "weights in a list": (lambda _: {"state_dict": [torch.zeros(1)]}, "state_dict is .*, not a mapping"),
    "a step in words": (lambda _: {"global_step": "ten"}, "global_step is 'ten', not a whole number"),
    "a step before the first": (lambda _: {"global_step": -1}, "global_step is -1, not a whole number from 0"),
    "a step that is a truth": (lambda _: {"epoch": True}, "epoch is True, not a whole number"),
    "no version": (lambda _: {"pytorch-lightning_version": "new"}, "it is of Lightning 'new'"),
    "a version of long ago": (lambda _: {"pytorch-lightning_version": "1.5.0"}, "is read from version 2.0 on"),
    "callbacks in a list": (lambda _: {"callbacks": [1]}, "callbacks is .*, not a mapping"),
    "objects without names": (lambda _: {"given_as_objects": [1]}, "given_as_objects is no list of names"),
    "a key that is no text": (lambda _: {7: 1}, "it holds a dict, no mapping of names"),  # type: ignore[dict-item]
}


@pytest.mark.parametrize(("change", "complaint"), WORDS.values(), ids=WORDS)
def test_what_has_not_the_types_of_a_checkpoint_is_refused(
    change: Callable[[Path], dict[str, Any]], complaint: str, sound: dict[str, Any], witness: Path, tmp_path: Path
) -> None:
    torch.save(sound | change(witness), tmp_path / "evil.ckpt")
    for door in DOORS.values():
        with pytest.raises(ValueError, match=f"evil.ckpt .*({complaint})") as raised:
            door(tmp_path / "evil.ckpt")
        assert not list(witness.iterdir())
        assert "\n" not in str(raised.value)


@pytest.mark.parametrize("place", ["hyper_parameters", "global_step", "state_dict", "loops"])
def test_what_is_nested_without_end_is_refused_too(
    place: str, sound: dict[str, Any], witness: Path, tmp_path: Path
) -> None:
    """torch reads a pickle of any depth; what walks it afterwards, to look or to print, has not that much stack."""
    path, depth = written(tmp_path / "deep.ckpt", **sound), 20_000
    with zipfile.ZipFile(path) as file:
        records = {record.filename: file.read(record) for record in file.infolist()}
    (pickled,) = [name for name in records if name.endswith("/data.pkl")]
    item = b"X" + len(place).to_bytes(4, "little") + place.encode() + b"]" * depth + b"a" * (depth - 1) + b"s"
    with zipfile.ZipFile(path, "w") as file:
        for name, content in records.items():
            file.writestr(name, content[:-1] + item + b"." if name == pickled else content)
    for door in DOORS.values():
        refused(door, path, witness)


@pytest.mark.parametrize("missing", ["state_dict", "epoch", "global_step", "pytorch-lightning_version"])
def test_what_every_checkpoint_has_is_named_where_it_is_missing(
    missing: str, sound: dict[str, Any], tmp_path: Path
) -> None:
    torch.save({name: part for name, part in sound.items() if name != missing}, tmp_path / "part.ckpt")
    for door in DOORS.values():
        with pytest.raises(ValueError, match=f"part.ckpt is no checkpoint to use: it has no {missing}"):
            door(tmp_path / "part.ckpt")


@pytest.mark.parametrize("missing", ["words", "vocabulary_hash", "seed"])
def test_what_a_record_of_the_data_has_is_named_where_it_is_missing(
    missing: str, sound: dict[str, Any], tmp_path: Path
) -> None:
    record = {name: part for name, part in sound["Newsgroups"].items() if name != missing}
    path = written(tmp_path / "part.ckpt", **sound | {"Newsgroups": record})
    with pytest.raises(ValueError, match=r"record of Newsgroups (is no vocabulary|has no seed)"):
        search(path, document="train/3")


def test_every_flipped_bit_in_weights_is_seen(sound: dict[str, Any], tmp_path: Path) -> None:
    """torch reads such a file without a word; its checksums are there to be asked."""
    good = written(tmp_path / "good.ckpt", **sound).read_bytes()
    weight = max(hashing().parameters(), key=torch.numel).detach().numpy().tobytes()
    start, path, read_by_torch = good.index(weight), tmp_path / "flipped.ckpt", 0
    for place in torch.randint(8 * len(weight), (60,), generator=torch.Generator().manual_seed(0)).tolist():
        damaged = bytearray(good)
        damaged[start + place // 8] ^= 1 << place % 8
        path.write_bytes(damaged)
        read_by_torch += isinstance(torch.load(path, weights_only=True), dict)
        with pytest.raises(ValueError, match=r"flipped.ckpt is not a whole checkpoint .*: its record \S+ is damaged"):
            read_checkpoint(path)
    assert read_by_torch == 60


def test_flipped_and_lost_bytes_anywhere_are_named_or_do_nothing(sound: dict[str, Any], tmp_path: Path) -> None:
    good = written(tmp_path / "good.ckpt", **sound).read_bytes()
    path, expected = tmp_path / "flipped.ckpt", read_checkpoint(tmp_path / "good.ckpt")["state_dict"]
    for place in torch.randint(len(good), (200,), generator=torch.Generator().manual_seed(1)).tolist():
        for damaged in (good[:place], good[:place] + bytes([good[place] ^ 16]) + good[place + 1 :]):
            path.write_bytes(damaged)
            with suppress(ValueError):  # and nothing else
                found = read_checkpoint(path)["state_dict"]  # a byte between the records
                assert all(torch.equal(found[name], weight) for name, weight in expected.items())


SHIPPED = sorted((ROOT / "checkpoints").glob("*.ckpt"))
CONFIGS = sorted(path for path in (ROOT / "configs").rglob("*.yaml") if path.parent.name != "trainer")


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: path.stem)
def test_every_shipped_checkpoint_is_read(path: Path) -> None:
    assert read_checkpoint(path)["state_dict"]


@pytest.mark.parametrize("config", CONFIGS, ids=lambda path: f"{path.parent.name}-{path.stem}")
def test_the_model_and_the_data_of_every_shipped_config_may_be_built(config: Path, tmp_path: Path) -> None:
    described = yaml.safe_load(config.read_text())
    parts = {"hyper_parameters": described["model"], "datamodule_hyper_parameters": described["data"]}
    named = {name: {"_class_path": part["class_path"], **part.get("init_args", {})} for name, part in parts.items()}
    assert read_checkpoint(written(tmp_path / "a.ckpt", **named))["hyper_parameters"] == named["hyper_parameters"]


def test_a_sound_one_comes_in_by_every_door(sound: dict[str, Any], tmp_path: Path) -> None:
    path = written(tmp_path / "sound.ckpt", **sound)
    for door in DOORS.values():
        door(path)
    assert Newsgroups.load_from_checkpoint(path).words == sound["Newsgroups"]["words"]


def test_the_users_own_packages_are_named_by_the_user(
    sound: dict[str, Any], witness: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    changed = sound["hyper_parameters"] | {"encoder": spec(f"{WITNESS}.Objective")}
    path = written(tmp_path / "own.ckpt", **sound | {"hyper_parameters": changed})
    refused(read_checkpoint, path, witness)
    assert read_checkpoint(path, trust=(WITNESS,))
    assert read_checkpoint(path, trust=(ClassPath(f"{WITNESS}.Objective"),))
    assert CheckpointReference(path, trust=(WITNESS,)).check(pl.Trainer(logger=False, accelerator="cpu")) is None  # type: ignore[func-returns-value]
    monkeypatch.setenv("VAE_LIGHTNING_TRUST", f"another, {WITNESS}")
    assert read_checkpoint(path)
    wrong = sound | {"hyper_parameters": changed | {"objective": spec(f"{WITNESS}.Objective")}}
    with pytest.raises(ValueError, match="objective takes Objective, which"):  # and still of the kind of its slot
        read_checkpoint(written(tmp_path / "wrong.ckpt", **wrong))
    monkeypatch.setenv("VAE_LIGHTNING_TRUST", WITNESS[:-1])  # the beginning of a name is no package
    with pytest.raises(ValueError, match=f"{WITNESS}.Objective"):
        read_checkpoint(path)


def test_every_model_and_data_module_has_the_door() -> None:
    """Whoever comes by `load_from_checkpoint` of any class of ours comes through `read_checkpoint`."""
    named = [getattr(room, name) for room in (models, data) for name in room.__all__]
    kinds = [kind for kind in named if inspect.isclass(kind) and issubclass(kind, BUILT)]
    assert {Ensemble, HashingVAE, Newsgroups, data.Stacked} < set(kinds)
    missing = Path("none.ckpt")
    for kind in kinds:
        with pytest.raises(ValueError, match=r"there is no checkpoint none\.ckpt"):
            kind.load_from_checkpoint(missing)


RESUMED = {"optimizer_states": [], "lr_schedulers": [], "callbacks": {}, "loops": {}}
BEST = {"best_model_path": "a.ckpt", "best_model_score": torch.ones(()), "best_k_models": {"a.ckpt": torch.ones(())}}


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ({"lr_schedulers": None}, "it has the states of a run, but no lr_schedulers"),
        ({"loops": None}, "it has the states of a run, but no loops"),
        ({"loops": {}}, "its fit_loop has no epoch_progress"),
        ({"loops": {"fit_loop": {}}}, "its fit_loop has no epoch_progress"),
        ({"loops": {"fit_loop": LOOP, "test_loop": [1]}}, "its test_loop is a list, not a mapping"),
        ({"loops": {"fit_loop": LOOP | {"epoch_progress": {"total": {"ready": 1}}}}}, "epoch_progress does not count"),
        ({"loops": {"fit_loop": LOOP | {"epoch_progress": "x"}}}, "epoch_progress does not count: it is a str"),
        ({"loops": {"fit_loop": LOOP | {"epoch_progress": {"total": {"ready": -1}, "current": {}}}}}, "does not count"),
        ({"callbacks": {"ModelCheckpoint": [1]}}, "the state of ModelCheckpoint is a list"),
        ({"callbacks": {"ModelCheckpoint{}": {}}}, "the state of ModelCheckpoint has not the paths and values"),
        ({"callbacks": {"ModelCheckpoint{}": BEST | {"best_model_path": 1}}}, "has not the paths and values"),
        ({"callbacks": {"ModelCheckpoint{}": BEST | {"best_k_models": {"a": "b"}}}}, "has not the paths and values"),
    ],
)
def test_what_no_run_can_go_on_from_is_refused(change: dict[str, Any], complaint: str, tmp_path: Path) -> None:
    good = RESUMED | {"loops": {"fit_loop": LOOP}, "callbacks": {"ModelCheckpoint{}": BEST}}
    assert read_checkpoint(written(tmp_path / "good.ckpt", **good))
    parts = {name: part for name, part in (good | change).items() if part is not None}
    with pytest.raises(ValueError, match=f"bad.ckpt is no checkpoint to use: .*{complaint}"):
        read_checkpoint(written(tmp_path / "bad.ckpt", **parts))


@pytest.mark.parametrize("where", ["victim/thesis.txt", "victim"])
@pytest.mark.parametrize("protected", [True, False], ids=["ours", "Lightning's"])
def test_no_path_in_a_checkpoint_makes_a_run_remove_a_file_of_others(
    where: str, protected: bool, miniature: Path, tmp_path: Path
) -> None:
    """ModelCheckpoint removes the file that it takes for its last best one, by a path that it reads of a checkpoint.

    That it looks whether this lies in its folder is no help against `..`, as Lightning's own plugin shows.
    """
    victim, folder = tmp_path / "victim" / "thesis.txt", tmp_path / "run" / "checkpoints"
    victim.parent.mkdir()
    victim.write_text("years of work")

    def run(epochs: int) -> pl.Trainer:
        best = ModelCheckpoint(folder, "best-{epoch}", "val/nelbo")
        plugins = [AtomicCheckpointIO() if protected else TorchCheckpointIO()]
        return trainer(best, max_epochs=epochs, enable_checkpointing=True, plugins=plugins)

    first = run(1)
    first.fit(hashing(), datamodule=newsgroups(miniature))
    content = torch.load(first.checkpoint_callback.best_model_path, weights_only=True)  # type: ignore[union-attr]
    path, worst = str(folder / "../.." / where), torch.tensor(torch.inf)
    (name,) = [name for name in content["callbacks"] if name.startswith("ModelCheckpoint")]
    content["callbacks"][name] |= {"best_model_path": path, "kth_best_model_path": path, "kth_value": worst}
    content["callbacks"][name] |= {"best_k_models": {path: worst}, "dirpath": str(folder)}
    torch.save(content, tmp_path / "evil.ckpt")
    run(2).fit(hashing(), datamodule=newsgroups(miniature), ckpt_path=tmp_path / "evil.ckpt", weights_only=True)
    assert victim.exists() == protected
    assert list(folder.glob("best-epoch=1*.ckpt"))


def test_a_run_still_removes_its_own(miniature: Path, tmp_path: Path) -> None:
    best = ModelCheckpoint(tmp_path / "kept", "step-{step}", every_n_train_steps=1)
    run = trainer(best, max_epochs=1, enable_checkpointing=True, plugins=[AtomicCheckpointIO()])
    run.fit(hashing(), datamodule=newsgroups(miniature))
    assert [path.name for path in (tmp_path / "kept").iterdir()] == [f"step-step={run.global_step}.ckpt"]


def test_spike_detection_writes_where_the_user_says_and_not_the_checkpoint(miniature: Path, tmp_path: Path) -> None:
    """Lightning's takes the place of its file from its state."""
    for epochs, name in ((1, "victim.json"), (2, "mine.json")):
        watch = SpikeDetection(atol=1e9, exclude_batches_path=str(tmp_path / name))
        run = trainer(watch, max_epochs=epochs, plugins=[AtomicCheckpointIO()])
        start = tmp_path / "stranger.ckpt" if epochs == 2 else None
        run.fit(hashing(), datamodule=newsgroups(miniature), ckpt_path=start, weights_only=True)
        run.save_checkpoint(tmp_path / "stranger.ckpt")
    assert watch.exclude_batches_path == str(tmp_path / "mine.json")


OWN = """
from vae_lightning.nn import BagOfWordsMLP
class Encoder(BagOfWordsMLP):
    pass
"""


def test_what_the_configuration_names_may_stand_in_the_checkpoint(
    miniature: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Who types a class path has imported it by then; where nobody does, it is a stranger's."""
    (tmp_path / "users_own_net.py").write_text(OWN)
    monkeypatch.syspath_prepend(tmp_path)
    options = ["--config", HASHING, *on_miniature(miniature, tmp_path), "--model.encoder", "users_own_net.Encoder"]
    command("fit", *options, "--trainer.max_epochs", "1")
    best = tmp_path / "version_0" / "checkpoints" / "best.ckpt"
    command("test", *options, "--ckpt_path", best)
    capsys.readouterr()
    with pytest.raises(SystemExit):
        command("test", "--config", HASHING, *on_miniature(miniature, tmp_path), "--ckpt_path", best)
    assert "encoder names users_own_net.Encoder, and of a checkpoint only" in capsys.readouterr().err
    assert HashingVAE.load_from_checkpoint(best, trust=("users_own_net",)).num_bits == 8


def test_the_name_of_the_file_is_no_class_path(
    sound: dict[str, Any], miniature: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A checkpoint can come with a module of its own name; typing the one does not trust the other."""
    (tmp_path / "net_of_others").mkdir()
    (tmp_path / "net_of_others" / "__init__.py").write_text("from pathlib import Path\nPath('imported').touch()")
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    for named in ("net_of_others.ckpt", "net_of_others.ckpt.Net"):
        changed = sound["hyper_parameters"] | {"encoder": named}
        written(tmp_path / "net_of_others.ckpt", **sound | {"hyper_parameters": changed})
        options = ["--config", HASHING, *on_miniature(miniature, tmp_path / "runs")]
        with pytest.raises(SystemExit):
            command("test", *options, "--ckpt_path", "net_of_others.ckpt")
        assert not (tmp_path / "imported").exists()


def test_a_class_that_is_named_is_not_the_package_below_it(sound: dict[str, Any], tmp_path: Path) -> None:
    changed = sound["hyper_parameters"] | {"encoder": "users_own.net.Net"}
    path = written(tmp_path / "own.ckpt", **sound | {"hyper_parameters": changed})
    with pytest.raises(ValueError, match=r"encoder names users_own.net.Net, which is not there"):
        read_checkpoint(path, trust=["users_own.net"])
    with pytest.raises(ValueError, match=r"encoder names users_own.net.Net, and of a checkpoint only"):
        read_checkpoint(path, trust=[ClassPath("users_own.net")])
