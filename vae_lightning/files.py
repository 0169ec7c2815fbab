"""Files: bytes -> a file that is whole or not there, whenever the process is killed; a name -> the file it means."""

from __future__ import annotations

import errno
import fcntl
import os
import re
import secrets
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
_SURELY_LOCKED = 60.0  # seconds after which a writer that lives holds the lock of its temporary file


@contextmanager
def atomic_write(target: Path) -> Iterator[BinaryIO]:
    """A temporary file beside the target that takes its place if the block succeeds, and is removed if it does not.

    The folder is made if it is missing. Writers of one target do not meet: each has a temporary file of its own, and
    the last to finish stands. What a killed writer left behind is removed by the next. OSError names the target.

    It takes the place of a symbolic link, too: a link in a folder of somebody else's may point anywhere. Of a file that
    the user has named, give `pointed_to`.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    _remove_left_behind(target)
    temporary = target.with_name(f".{target.name}.{secrets.token_hex(8)}.part")
    try:
        with temporary.open("xb") as out:
            fcntl.flock(out, fcntl.LOCK_EX)
            yield out
            out.flush()
            os.fsync(out.fileno())
            temporary.replace(target)
    except OSError as error:
        if error.errno is not None and (error.errno in _FULL or str(error.filename) == str(temporary)):
            raise OSError(error.errno, os.strerror(error.errno), str(target)) from error
        raise
    finally:
        temporary.unlink(missing_ok=True)


def pointed_to(target: Path) -> Path:
    """The file that a symbolic link stands for, or will; any other path as it is."""
    return target.resolve() if target.is_symlink() else target


def _remove_left_behind(target: Path) -> None:
    """Remove the temporary files of this target that no living process holds a lock on."""
    for left in target.parent.glob(f".{target.name}.*.part"):
        with suppress(OSError), left.open("rb") as file:
            if time.time() - os.fstat(file.fileno()).st_mtime > _SURELY_LOCKED:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                left.unlink(missing_ok=True)


@contextmanager
def locked(target: Path, taken: str | None = None) -> Iterator[None]:
    """Within the block, no other process is in one for this target; where no file can be locked, others may be.

    The lock goes with its owner and the owner's children, however they end, and its file with the block. Another owner
    is waited for; with `taken`, that is a ValueError with these words.
    """
    lock = target.with_name(f".{target.name}.lock")
    try:
        held = _lock(lock, fcntl.LOCK_EX if taken is None else fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        raise ValueError(taken) from error
    try:
        yield
    finally:
        if held is not None:
            lock.unlink(missing_ok=True)
            held.close()


def _lock(path: Path, how: int) -> BinaryIO | None:
    """The file with its lock, which nobody has removed meanwhile; None where that cannot be.

    BlockingIOError if `how` does not wait, and another has it.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        while True:
            file = path.open("ab")
            fcntl.flock(file, how)
            with suppress(FileNotFoundError):
                if os.path.samestat(os.fstat(file.fileno()), path.stat()):
                    return file
            file.close()
    except BlockingIOError:
        raise
    except OSError:
        return None


def expanded(path: str) -> str:
    """A path with `~` and $NAME as a shell has them, wherever it was written; ValueError for an unset $NAME."""
    whole = os.path.expandvars(str(Path(path).expanduser()) if path.startswith("~") else path)
    if unset := re.search(r"\$(\w+|\{\w+\})", whole):
        raise ValueError(f"{path} needs {unset[0]}, which is not set in the environment")
    return whole


def find(given: str, option: str, name: str, where: Path) -> Path:
    """The file that `given` names: a file, or the checkpoint `name` of a run's folder, of the newest run in `where`.

    ValueError if there is none, and for Lightning's `hpc` and `registry`, of which this project has nothing.
    """
    if not given:
        raise ValueError(f"--{option} is empty: give a file, a run's folder, last or best")
    if given == "hpc" or given.split(":", maxsplit=1)[0] == "registry":
        raise ValueError(f"--{option} {given}: there is no such store here; give a file, a run's folder, last or best")
    if given in ("last", "best"):
        found = [*where.glob(f"*/checkpoints/{given}.ckpt"), *where.glob(f"checkpoints/{given}.ckpt")]
        if not found:
            raise ValueError(f"--{option} {given}: no run in {where} has a {given}.ckpt; give a file or a run's folder")
        return max(found, key=lambda path: path.stat().st_mtime)
    path = Path(expanded(given))
    if not path.is_dir():
        if not path.is_file():
            raise ValueError(f"there is no checkpoint {path}")
        return path
    for file in (path / "checkpoints" / f"{name}.ckpt", path / f"{name}.ckpt"):
        if file.is_file():
            return file
    others = sorted(str(file) for file in path.rglob("*.ckpt"))
    has = f"it has {', '.join(others)}: give the file" if others else "it is no run's folder"
    raise ValueError(f"{path} has no checkpoints/{name}.ckpt; {has}")
