"""What is not imported at a start: each of these took half a second or more."""

from __future__ import annotations

import subprocess
import sys

SEARCH = """
import sys
from vae_lightning.cli import main

main(["search", "--ckpt", "checkpoints/newsgroups-8bit.ckpt", "--query", "the space shuttle orbits"])
late = {"lightning", "torchmetrics", "torchvision", "sklearn", "pandas", "matplotlib"} & set(sys.modules)
assert not late, f"a query waits for {late}"
"""

LOOK = """
import contextlib, sys
from vae_lightning.cli import main

for command in ("report", "card", "export", "search", "index", "encode"):
    with contextlib.suppress(SystemExit):
        main([command, "--no_such_option"])
    assert "torch" not in sys.modules, f"a mistake in an option of {command} waits for torch"

import vae_lightning.commands.use, vae_lightning.exports, vae_lightning.reports, vae_lightning.search
import vae_lightning.sweeps.sweep, vae_lightning.training
from vae_lightning.data import Digits

Digits().setup("fit")
assert not {"sklearn", "pandas", "polars", "pyarrow"} & set(sys.modules)
"""


def test_a_start_imports_neither_torch_for_a_mistake_nor_what_few_need() -> None:
    looked = subprocess.run([sys.executable, "-c", LOOK], capture_output=True, text=True, check=False)
    assert looked.returncode == 0, looked.stderr[-2000:]


def test_a_query_is_answered_by_torch_alone() -> None:
    """Lightning and torchmetrics take twice as long to import as torch."""
    looked = subprocess.run([sys.executable, "-c", SEARCH], capture_output=True, text=True, check=False)
    assert looked.returncode == 0, looked.stderr[-2000:]
    assert "sci.space" in looked.stdout
