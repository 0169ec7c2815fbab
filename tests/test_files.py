"""Files appear whole or not at all; what killed writers left is removed, what living ones write is not."""

from __future__ import annotations

import errno
import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest

import vae_lightning
from vae_lightning.files import atomic_write

WRITER = """
import sys, time, pathlib
from vae_lightning.files import atomic_write
with atomic_write(pathlib.Path(sys.argv[1])) as file:
    file.write(b"half"); file.flush(); print("writing", flush=True); time.sleep(60)
"""


def temporaries(folder: Path) -> list[Path]:
    return [path for path in folder.iterdir() if path.name.endswith(".part")]


def write(target: Path, content: bytes) -> None:
    with atomic_write(target) as file:
        file.write(content)


def test_a_block_that_fails_leaves_the_file_as_it_was(tmp_path: Path) -> None:
    target = tmp_path / "new" / "file"
    write(target, b"first")
    with pytest.raises(TypeError), atomic_write(target) as file:
        file.write("no bytes")  # type: ignore[arg-type]
    assert target.read_bytes() == b"first"
    assert [path.name for path in target.parent.iterdir()] == ["file"]


def test_two_writers_of_one_file_do_not_meet(tmp_path: Path) -> None:
    target = tmp_path / "file"
    with atomic_write(target) as one:
        one.write(b"on")
        with atomic_write(target) as other:
            other.write(b"other")
        assert target.read_bytes() == b"other"
        one.write(b"e")
    assert target.read_bytes() == b"one"
    assert not temporaries(tmp_path)


def test_only_the_file_of_a_dead_writer_is_removed(tmp_path: Path) -> None:
    target = tmp_path / "file"
    writer = subprocess.Popen([sys.executable, "-c", WRITER, target], stdout=subprocess.PIPE)
    assert writer.stdout is not None
    assert writer.stdout.readline() == b"writing\n"
    (left,) = temporaries(tmp_path)
    os.utime(left, (0, 0))
    write(target, b"while it writes")
    assert left.exists()
    writer.send_signal(signal.SIGKILL)
    writer.wait()
    os.utime(left, (0, 0))
    write(target, b"after its death")
    assert not left.exists()
    assert target.read_bytes() == b"after its death"


def test_a_file_has_the_permissions_that_the_user_asked_for(tmp_path: Path) -> None:
    before = os.umask(0o027)
    try:
        write(tmp_path / "file", b"")
    finally:
        os.umask(before)
    assert (tmp_path / "file").stat().st_mode & 0o777 == 0o640


def test_a_full_disk_names_the_file(tmp_path: Path) -> None:
    full = OSError(errno.ENOSPC, "No space left on device")  # as file.write raises it, without a name
    with pytest.raises(OSError, match=f"No space left on device: '{tmp_path}/file'"), atomic_write(tmp_path / "file"):
        raise full
    assert not list(tmp_path.iterdir())


def test_every_writer_of_the_package_is_atomic() -> None:
    """Whatever a full disk or a kill leaves is whole: so these alone open a file to write to it themselves."""
    writes = re.compile(r"\.write_text\(|\.write_bytes\(|savefig\((?!file)|open\([^)]*\"[wax]")
    package = Path(vae_lightning.__file__).parent
    found = {
        path.relative_to(package).as_posix()
        for path in package.rglob("*.py")
        for line in path.read_text().splitlines()
        if writes.search(line) and ">>>" not in line and "members.open" not in line
    }
    assert found == {
        "files.py",  # atomic_write and locks
        "data/images/cache.py",  # one file of a fixed name, under the cache's lock: a build that goes on writes over it
        "commands/outputs/pictures.py",  # into a folder that is moved into place when it is whole
        "process/output.py",  # what a run or a study prints, line by line
    }
