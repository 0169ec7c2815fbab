"""The LiBI study: its worlds' decoders in exact form, its protocol on a miniature, its choices and its table."""

from __future__ import annotations

import json
import time
from pathlib import Path

import torch

from vae_lightning.studies.libi import study
from vae_lightning.studies.libi_methods import METHODS, Grid, Training
from vae_lightning.studies.libi_protocol import Size
from vae_lightning.studies.libi_worlds import WORLDS

TINY = Size(1, 2, Training(200, True), Grid((0.5, 2.0), (1.0,), 1, (1.0,), (0.2,), (0.2,), (1,)), 50, 5)


def test_a_miniature_study_trains_chooses_and_reports_and_is_not_run_again(tmp_path: Path) -> None:
    def run() -> list:
        methods = {name: METHODS[name] for name in ("beta-VAE", "LiBI")}
        return study(
            TINY, tmp_path, 0, {"LinearJTEx": WORLDS["LinearJTEx"]}, methods, {"scale": "tiny"}, time.perf_counter()
        )

    rows = run()
    assert [row.cell for row in rows[::5]] == ["LinearJTEx / beta-VAE", "LinearJTEx / LiBI"]
    assert all(torch.tensor(row.value).isfinite() for row in rows)
    assert json.loads((tmp_path / "results.json").read_text())[0]["paper"] == -3.15
    assert "[-2.99]" in (tmp_path / "table.md").read_text()
    before = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("figures.json")}
    assert len(before) == 2
    assert run() == rows
    assert {path: path.stat().st_mtime_ns for path in tmp_path.rglob("figures.json")} == before
