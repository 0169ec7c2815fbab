"""`make gpu`: the checks on a device run, here on the CPU; without a CUDA device they say so."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from support.command import ROOT, forked

SCRIPT = ROOT / "tests" / "gpu.py"


def test_the_checks_pass_on_the_cpu(tmp_path: Path) -> None:
    """Where figures are the CPU's own and a resumed run has the same bits."""
    out = tmp_path / "gpu.json"
    done = forked("--device", "cpu", "--steps", "20", "--only", "linear", "--out", out, script=SCRIPT)
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.startswith("passed  linear")
    record = json.loads(out.read_text())
    assert record["versions"]["torch"] == torch.__version__
    (case,) = record["cases"]
    assert case["last"] < case["first"]
    assert case["resumed_differs"] == 0
    assert case["peak_megabytes"] > 0
    assert {"val/nelbo", "val/log_likelihood", "val/smooth_knn"} <= case["figures"].keys()
    assert all(here == there for here, there in case["figures"].values())


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a CUDA device")
def test_without_a_cuda_device_that_is_said_in_one_line(tmp_path: Path) -> None:
    done = forked("--out", tmp_path / "gpu.json", script=SCRIPT)
    assert done.returncode != 0
    assert not list(tmp_path.iterdir())
    assert done.stderr.count("\n") <= 1
    assert "no CUDA device here: nothing was checked" in done.stderr
