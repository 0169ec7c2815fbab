"""Weights: a file -> its SHA-256, which is the expected one or a ValueError."""

from __future__ import annotations

import hashlib
from pathlib import Path


def check_digits(sha256: str) -> str:
    """In lower case; ValueError unless it is a SHA-256, or at least its first 8 digits."""
    if len(sha256) < 8 or set(sha256.lower()) - set("0123456789abcdef"):
        raise ValueError(f"sha256 must be at least the first 8 hexadecimal digits of a file's, got '{sha256}'")
    return sha256.lower()


def checked_sha256(path: Path, expected: str, advice: str) -> str:
    """The SHA-256 of a file's content; ValueError with the advice if it does not begin as `expected`."""
    found = file_sha256(path)
    if not found.startswith(expected):
        raise ValueError(f"{path} has sha256 {found}, not {expected}: {advice}")
    return found


def file_sha256(path: Path) -> str:
    """The SHA-256 of a file's content; ValueError if it cannot be read."""
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise ValueError(f"cannot read the weights {path}: {error.strerror}") from error
