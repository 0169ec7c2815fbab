"""Download: a public file -> a file in the data folder, whole or not at all."""

from __future__ import annotations

import http.client
import os
import tempfile
import urllib.request
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from rich.progress import DownloadColumn, Progress, TransferSpeedColumn

from vae_lightning.data.reading import user_path
from vae_lightning.files import atomic_write

TIMEOUT = 30.0  # seconds without a byte
CHUNK = 1 << 16
LARGEST = 1 << 30  # bytes; the largest that is known of here has 95 million


@dataclass(frozen=True)
class RemoteFile:
    """A file that its author publishes at `url`, and that is called `name` in a data folder."""

    name: str
    url: str


def cache_folder() -> Path:
    """Where what can be made again is kept: $XDG_CACHE_HOME/vae-lightning, or ~/.cache/vae-lightning."""
    given = os.environ.get("XDG_CACHE_HOME", "")
    return Path(given) / "vae-lightning" if Path(given).is_absolute() else _own_folder()


def data_folder() -> Path:
    """$VAE_LIGHTNING_DATA, or ~/.cache/vae-lightning."""
    given = os.environ.get("VAE_LIGHTNING_DATA")
    return user_path(given) if given else _own_folder()


def _own_folder() -> Path:
    """~/.cache/vae-lightning; of a user without a home, as containers have them, a folder of temporary files."""
    try:
        return Path.home() / ".cache" / "vae-lightning"
    except RuntimeError:
        return Path(tempfile.gettempdir()) / f"vae-lightning-{os.getuid()}"


def by_hand(file: RemoteFile, folder: Path) -> str:
    """How to get the file without this program."""
    return f"get {file.url} by hand and save it as {folder / file.name}, or set VAE_LIGHTNING_DATA to a folder with it"


def fetch(file: RemoteFile, folder: Path, most: int | None = None) -> Path:
    """Download a file into a folder, with a progress bar; nothing is left behind where that fails.

    Raises ValueError with the manual way if there is no connection, or the answer is an error, HTML, too short, or of
    more than `most` bytes, by default `LARGEST`.
    """
    target = folder / file.name
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with (
            urllib.request.urlopen(file.url, timeout=TIMEOUT) as answer,
            atomic_write(target) as out,
        ):
            _receive(answer, out, file, LARGEST if most is None else most)
    except (OSError, http.client.HTTPException) as error:
        raise ValueError(f"cannot download {file.url} ({error}): {by_hand(file, folder)}") from error
    return target


def _receive(answer: http.client.HTTPResponse, out: BinaryIO, file: RemoteFile, most: int) -> None:
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
            if received > most:
                raise OSError(f"the answer has more than {most:,} bytes")
            progress.update(task, completed=received)
    if expected is not None and received != expected:
        raise OSError(f"the connection ended after {received} of {expected} bytes")
