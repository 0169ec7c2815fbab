"""Real data for tests, found by VAE_LIGHTNING_DATA alone."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from support.archive import ARCHIVE


def find_real_newsgroups() -> Path:
    """The folder with the real archive; without one the test is skipped and says so, or fails where CI is set."""
    folder = Path(os.environ.get("VAE_LIGHTNING_DATA", "."))
    if not (folder / ARCHIVE).is_file():
        give_up = pytest.fail if os.environ.get("CI") else pytest.skip
        give_up(f"set VAE_LIGHTNING_DATA to a folder with {ARCHIVE}")
    return folder
