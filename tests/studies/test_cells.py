"""Cells: what is finished is not run again, unless it was run with other settings."""

from __future__ import annotations

from pathlib import Path

import pytest

from vae_lightning.studies.cells import Account, finished


def test_a_finished_cell_is_read(tmp_path: Path) -> None:
    runs: list[int] = []

    def run() -> dict[str, float]:
        runs.append(1)
        return {"elbo": -1.5 * len(runs)}

    assert finished(tmp_path / "a", {"seed": 0}, run) == {"elbo": -1.5}
    assert finished(tmp_path / "a", {"seed": 0}, run) == {"elbo": -1.5}
    assert finished(tmp_path / "a", {"seed": 1}, run) == {"elbo": -3.0}
    assert len(runs) == 2


@pytest.mark.parametrize(
    "damaged",
    [
        *("", "{", "[1, 2]", "null", "[" * 100_000, '{"settings": {"seed": 0}}', '{"figures": {"elbo": 1}}'),
        '{"settings": {"seed": 0}, "figures": [1]}',
        '{"settings": {"seed": 0}, "figures": {"elbo": "high"}}',
        '{"settings": 3, "figures": {"elbo": 1.0}, "commit": [1]}',
    ],
)
def test_a_damaged_cell_is_run_again(damaged: str, tmp_path: Path) -> None:
    finished(tmp_path / "a", {"seed": 0}, lambda: {"elbo": -1.5})
    (file,) = (tmp_path / "a").iterdir()
    file.write_text(damaged)
    assert isinstance(Account(tmp_path).provenance()["commit"], str)
    assert finished(tmp_path / "a", {"seed": 0}, lambda: {"elbo": -2.5}) == {"elbo": -2.5}
    assert finished(tmp_path / "a", {"seed": 0}, lambda: {"elbo": 0.0}) == {"elbo": -2.5}


def test_an_interrupted_cell_leaves_nothing(tmp_path: Path) -> None:
    def interrupted() -> dict[str, float]:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        finished(tmp_path / "a", {"seed": 0}, interrupted)
    assert not (tmp_path / "a").exists()


def test_a_study_that_went_on_does_not_tell_its_last_seconds_as_all(tmp_path: Path) -> None:
    begun = Account(tmp_path)
    finished(tmp_path / "a", {"seed": 0}, lambda: {"elbo": -1.5})
    assert "seconds" in begun.provenance()
    assert "seconds" not in (resumed := Account(tmp_path).provenance())
    assert "seconds since it went on" in resumed
    assert resumed["commit"] == begun.provenance()["commit"] != ""
