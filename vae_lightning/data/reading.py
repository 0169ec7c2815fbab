"""Reading: a file that a user names -> its bytes or lines, within a stated bound, or one line that says why not."""

from __future__ import annotations

import os
import re
import stat
import zipfile
from pathlib import Path
from typing import Protocol, runtime_checkable

LONGEST_LINE = 1000  # characters of a word, a name, or a row of numbers


@runtime_checkable
class Readable(Protocol):
    """What gives bytes."""

    def read(self, size: int, /) -> bytes:
        """At most so many bytes; none at the end."""


class Bounded:
    """A stream of which at most `most` bytes are read: whatever it was packed into, ValueError beyond."""

    def __init__(self, stream: Readable, most: int, name: str) -> None:
        self.stream, self.most, self.name = stream, most, name
        self.left = most

    def read(self, size: int) -> bytes:
        """The next bytes, at most so many."""
        content = self.stream.read(min(size, self.left + 1))
        self.left -= len(content)
        if self.left < 0:
            raise ValueError(f"{self.name} unpacks to more than {self.most:,} bytes, the most that is read")
        return content


def user_path(path: str | Path) -> Path:
    """The path with ~ as the user's folder; ValueError where there is none."""
    try:
        return Path(path).expanduser()
    except RuntimeError as error:
        raise ValueError(
            f"{path} begins with ~, but HOME is not set and this user has no folder: write it out"
        ) from error


def check_file(path: Path, most: int) -> None:
    """ValueError unless this is a file of at most so many bytes: no folder, pipe or device."""
    try:
        info = path.stat()
    except OSError as error:
        raise ValueError(f"cannot read {path}: {error.strerror}") from error
    if not stat.S_ISREG(info.st_mode):
        kind = "a folder" if stat.S_ISDIR(info.st_mode) else "a pipe or a device"
        raise ValueError(f"{path} is {kind}, where a file is expected")
    if info.st_size > most:
        raise ValueError(f"{path} has {info.st_size:,} bytes, and files of at most {most:,} are read here")


def read_bytes(path: Path, most: int) -> bytes:
    """All of a file; ValueError if it cannot be read or has more bytes than that."""
    check_file(path, most)
    try:
        return path.read_bytes()
    except OSError as error:
        raise ValueError(f"cannot read {path}: {error.strerror}") from error


def text_lines(content: bytes, name: str) -> list[str]:
    """The lines of a text in UTF-8, as any system ends and marks them, without blanks around them or empty ones behind.

    ValueError, naming the line, for bytes that are no UTF-8, an empty line among the others, or one of over 1,000.
    """
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        number = content.count(b"\n", 0, error.start) + 1
        raise ValueError(f"{name}, line {number}: expected UTF-8 text, got other bytes: save it as UTF-8") from error
    lines = [line.strip(" \t") for line in re.split("\r\n|\r|\n", text)]
    while lines and not lines[-1]:
        lines.pop()
    for number, line in enumerate(lines, start=1):
        if not 0 < len(line) <= LONGEST_LINE:
            got = "none" if not line else f"{len(line):,} characters"
            raise ValueError(f"{name}, line {number}: expected 1 to {LONGEST_LINE:,} characters, got {got}")
    return lines


def check_unpacked(path: Path) -> None:
    """ValueError if the members of a .npz take more memory than the machine has; of other files nothing is known."""
    if zipfile.is_zipfile(path):
        with zipfile.ZipFile(path) as file:
            needed = sum(member.file_size for member in file.infolist())
        check_memory(needed, f"the arrays of {path}", "take a part of them")


def check_memory(needed: int, what: str, way_out: str) -> None:
    """ValueError if this takes more bytes than the machine has."""
    there = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    if needed > there:
        raise ValueError(f"{what} take {needed / 1e9:.1f} GB, and this machine has {there / 1e9:.1f}: {way_out}")


def said(error: Exception) -> str:
    """What a library's error says, in one line, or its name where it says nothing."""
    return " ".join(str(error).split())[:200] or type(error).__name__
