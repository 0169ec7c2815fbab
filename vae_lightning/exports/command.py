"""`vae-lightning export`: a run's model -> a checkpoint to send, or programs that run without this package."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

from vae_lightning.exports.programs import Save, programs, save_onnx, save_pt2
from vae_lightning.exports.ship import ship
from vae_lightning.files import atomic_write, expanded, find, pointed_to
from vae_lightning.loading import load

_PROGRAMS: dict[str, Save] = {".pt2": save_pt2, ".onnx": save_onnx}


def export(
    ckpt: Path | str, to: Path | str, trust: Sequence[str] = (), overwrite: bool = False, half: bool = False
) -> list[Path]:
    """Write the model of a run or a checkpoint as `to`, whose ending says as what; return the files that were written.

    ValueError for another ending, for files that exist, unless they are to be replaced, and for half a program;
    TypeError for programs of a model that has none. See `vae-lightning export --help`.
    """
    source, target = find(expanded(str(ckpt)), "ckpt", "best", Path("runs")), Path(expanded(str(to)))
    if target.suffix not in (".ckpt", *_PROGRAMS):
        raise ValueError(f"--to {target}: give a name that ends in .ckpt, {' or '.join(_PROGRAMS)}")
    shipped = target.suffix == ".ckpt"
    if half and not shipped:
        raise ValueError(f"--half is for a checkpoint, whose name ends in .ckpt; got --to {target}")
    targets = [target] if shipped else [_part(target, name) for name in ("encoder", "decoder")]
    _check_free(targets, source, overwrite)
    if shipped:
        ship(source, target, trust, half)
    else:
        made = programs(load(source, trust))
        for each, program in zip(targets, (made["encoder"], made["decoder"]), strict=True):
            _write(each, partial(_PROGRAMS[target.suffix], program))
    for each in targets:
        print(f"exported: {each} ({each.stat().st_size / 1e6:.2f} MB)")
    return targets


def _part(target: Path, name: str) -> Path:
    return target.with_name(f"{target.stem}-{name}{target.suffix}")


def _check_free(targets: Sequence[Path], source: Path, overwrite: bool) -> None:
    for target in targets:
        if target.exists() and target.resolve() == source.resolve():
            raise ValueError(f"--to {target} is the checkpoint itself: name another file")
        if target.exists() and not overwrite:
            raise ValueError(f"{target} exists: give --overwrite to replace it, or another --to")


def _write(target: Path, save: partial[None]) -> None:
    """Let a library write a file elsewhere, and put it into its place whole."""
    with TemporaryDirectory() as folder:
        made = Path(folder, target.name)
        save(made)
        with atomic_write(pointed_to(target)) as file:
            file.write(made.read_bytes())
