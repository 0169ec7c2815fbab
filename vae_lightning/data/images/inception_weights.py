"""The weights of FID's Inception network: a file in the data folder, downloaded from its authors' release."""

from __future__ import annotations

import hashlib
from pathlib import Path

from pytorch_fid.inception import FID_WEIGHTS_URL

from vae_lightning.data.download import RemoteFile, by_hand, data_folder, fetch

WEIGHTS = RemoteFile(Path(FID_WEIGHTS_URL).name, FID_WEIGHTS_URL)


def inception_weights() -> Path:
    """Where the file is, or will be: in $VAE_LIGHTNING_DATA, or ~/.cache/vae-lightning."""
    return data_folder() / WEIGHTS.name


def fetch_inception_weights(sha256: str) -> Path:
    """The file, downloaded if it is not there; ValueError if it cannot be, or is another than `sha256` begins."""
    path = inception_weights()
    if not path.is_file():
        fetch(WEIGHTS, path.parent)
        with path.open("rb") as file:
            found = hashlib.file_digest(file, "sha256").hexdigest()
        if not found.startswith(sha256):
            path.unlink()
            raise ValueError(
                f"{WEIGHTS.url} gave a file of sha256 {found}, not {sha256}, which was not kept: "
                f"{by_hand(WEIGHTS, path.parent)}"
            )
    return path
