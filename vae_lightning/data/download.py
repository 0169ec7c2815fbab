"""Download: a public file -> a file in the data folder, whole or not at all."""

from __future__ import annotations

import http.client
import os
import urllib.request
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from rich.progress import DownloadColumn, Progress, TransferSpeedColumn

from vae_lightning.files import atomic_write

TIMEOUT = 30.0  # seconds without a byte
CHUNK = 1 << 16


@dataclass(frozen=True)
class RemoteFile:
    """A file that its author publishes at `url`, and that is called `name` in a data folder."""

    name: str
    url: str


def cache_folder() -> Path:
    """Where files are kept if nothing else is said."""
    return Path.home() / ".cache" / "vae-lightning"


def data_folder() -> Path:
    """$VAE_LIGHTNING_DATA, or ~/.cache/vae-lightning."""
    return Path(os.environ.get("VAE_LIGHTNING_DATA") or cache_folder()).expanduser()


def by_hand(file: RemoteFile, folder: Path) -> str:
    """How to get the file without this program."""
    return f"get {file.url} by hand and save it as {folder / file.name}, or set VAE_LIGHTNING_DATA to a folder with it"


def fetch(file: RemoteFile, folder: Path) -> Path:
    """Download a file into a folder, with a progress bar; nothing is left behind where that fails.

    Raises ValueError with the manual way if there is no connection, or the answer is an error, HTML or too short.
    """
    target = folder / file.name
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with (
            urllib.request.urlopen(file.url, timeout=TIMEOUT) as answer,
            atomic_write(target) as out,
        ):
            _receive(answer, out, file)
    except (OSError, http.client.HTTPException) as error:
        raise ValueError(f"cannot download {file.url} ({error}): {by_hand(file, folder)}") from error
    return target


def _receive(answer: http.client.HTTPResponse, out: BinaryIO, file: RemoteFile) -> None:
    length = answer.headers.get("Content-Length")
    expected = int(length) if length and length.isdigit() else None
    received = 0
    columns = (*Progress.get_default_columns(), DownloadColumn(), TransferSpeedColumn())
    with Progress(*columns, transient=True) as progress:
        task = progress.add_task(file.name, total=expected)
        while chunk := answer.read(CHUNK):
            if received == 0 and chunk.lstrip().startswith(b"<"):
                raise OSError("the answer is a web page (HTML), not the file")
            received += out.write(chunk)
            progress.update(task, completed=received)
    if expected is not None and received != expected:
        raise OSError(f"the connection ended after {received} of {expected} bytes")
