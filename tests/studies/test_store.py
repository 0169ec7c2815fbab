"""The store of cells: what is finished is not run again, unless it was run with other settings."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from unittest.mock import patch

import pytest
import torch

from vae_lightning.executors import Local
from vae_lightning.studies.documents import DocumentsStudy
from vae_lightning.studies.libi import METHODS, WORLDS, LiBIStudy
from vae_lightning.studies.libi.results import Evaluation, EvaluationsAndWeights, Result
from vae_lightning.studies.priors import PriorsStudy
from vae_lightning.studies.provenance import Provenance
from vae_lightning.studies.store import CellStore, Figures, Plain


@dataclass(frozen=True)
class Part:
    """A cell of nothing."""

    name: str

    @property
    def path(self) -> str:
        return self.name


A = Part("a")


def figures_of(folder: Path, seed: int, run: Callable[[], Figures]) -> Figures:
    """The figures of one cell."""
    store = CellStore[Part, Figures](folder, lambda _: {"seed": seed}, Plain())
    return store.get_or_run([A], lambda cell, folder: run(), Local())[A]


def test_a_finished_cell_is_read(tmp_path: Path) -> None:
    runs: list[int] = []

    def run() -> dict[str, float]:
        runs.append(1)
        return {"elbo": -1.5 * len(runs)}

    assert figures_of(tmp_path, 0, run) == {"elbo": -1.5}
    assert figures_of(tmp_path, 0, run) == {"elbo": -1.5}
    assert figures_of(tmp_path, 1, run) == {"elbo": -3.0}
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
    figures_of(tmp_path, 0, lambda: {"elbo": -1.5})
    (file,) = (tmp_path / "a").iterdir()
    file.write_text(damaged)
    assert isinstance(Provenance(tmp_path).settings()["commit"], str)
    assert figures_of(tmp_path, 0, lambda: {"elbo": -2.5}) == {"elbo": -2.5}
    assert figures_of(tmp_path, 0, lambda: {"elbo": 0.0}) == {"elbo": -2.5}


def test_an_interrupted_cell_leaves_nothing(tmp_path: Path) -> None:
    def interrupted() -> dict[str, float]:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        figures_of(tmp_path, 0, interrupted)
    assert not list((tmp_path / "a").iterdir())


def test_a_result_that_is_half_written_is_not_taken_for_the_one_before(tmp_path: Path) -> None:
    """The figures of the settings before stood beside the files of the new ones."""

    class Killed(Plain):
        def write(self, result: Figures, folder: Path) -> Figures:
            raise KeyboardInterrupt

    figures_of(tmp_path, 0, lambda: {"elbo": -1.5})
    with pytest.raises(KeyboardInterrupt):
        CellStore[Part, Figures](tmp_path, lambda _: {"seed": 1}, Killed()).write(A, {"elbo": -2.5})
    assert CellStore[Part, Figures](tmp_path, lambda _: {"seed": 0}, Plain()).read(A) is None


def test_a_training_can_go_on_until_its_result_is_kept(tmp_path: Path) -> None:
    """What it goes on from was removed before: on a full disk, hours were lost."""
    last = tmp_path / "a/training-0/checkpoints/last.ckpt"
    last.parent.mkdir(parents=True)
    last.touch()
    full = patch("vae_lightning.studies.store.atomic_write", side_effect=OSError("full"))
    with full, pytest.raises(OSError, match="full"):
        figures_of(tmp_path, 0, lambda: {"elbo": -1.5})
    assert last.exists()
    figures_of(tmp_path, 0, lambda: {"elbo": -1.5})
    assert not last.exists()


def test_who_runs_a_cell_again_under_other_settings_is_told_so(tmp_path: Path) -> None:
    figures_of(tmp_path, 0, lambda: {"elbo": -1.5})
    with pytest.warns(UserWarning, match=r"has cells of other settings, or damaged ones \(1, such as a\): they are"):
        figures_of(tmp_path, 1, lambda: {"elbo": -1.5})


def test_what_another_command_finishes_meanwhile_is_taken_and_not_touched(tmp_path: Path) -> None:
    store, kept = CellStore[Part, Figures](tmp_path, lambda _: {}, Plain()), list[int]()

    class Late(Local):
        def each(self, work: Any, items: Any, lost: Any = None) -> Any:
            store.write(A, {"elbo": -1.5})
            kept.append((tmp_path / "a" / "figures.json").stat().st_ino)
            return super().each(work, items, lost)

    assert store.get_or_run([A], lambda cell, folder: {"elbo": 0.0}, Late()) == {A: {"elbo": -1.5}}
    assert [(tmp_path / "a" / "figures.json").stat().st_ino] == kept


def test_what_a_machine_keeps_on_another_disk_is_kept_here_as_well(tmp_path: Path) -> None:
    class Elsewhere(Local):
        def each(self, work: Any, items: Any, lost: Any = None) -> Any:
            for item, result in super().each(work, items, lost):
                shutil.rmtree(tmp_path / item.path)
                yield item, result

    store = CellStore[Part, Figures](tmp_path, lambda _: {}, Plain())
    assert store.get_or_run([A], lambda cell, folder: {"elbo": -1.5}, Elsewhere()) == {A: {"elbo": -1.5}}
    assert store.read(A) == {"elbo": -1.5}


def test_a_study_that_went_on_does_not_tell_its_last_seconds_as_all(tmp_path: Path) -> None:
    begun = Provenance(tmp_path)
    figures_of(tmp_path, 0, lambda: {"elbo": -1.5})
    assert "seconds" in begun.settings()
    assert "seconds" not in (resumed := Provenance(tmp_path).settings())
    assert "seconds since it went on" in resumed
    assert resumed["commit"] == begun.settings()["commit"] != ""


def test_results_come_in_the_order_of_the_cells_whichever_were_there(tmp_path: Path) -> None:
    cells = [Part(name) for name in "abc"]
    store = CellStore[Part, Figures](tmp_path, lambda _: {}, Plain())
    store.write(cells[1], {"place": 1.0})
    found = store.get_or_run(cells, lambda cell, folder: {"place": float("abc".index(cell.name))}, Local())
    assert [(cell.name, figures["place"]) for cell, figures in found.items()] == [("a", 0), ("b", 1), ("c", 2)]


def test_folders_and_settings_of_cells_stay() -> None:
    """A folder that somebody's study is in must go on being read: the hours in it are theirs."""
    documents, priors, libi = DocumentsStudy("full", 3), PriorsStudy("medium", 1), LiBIStudy("medium", 0)
    cells = {cell.path: documents.depends_on(cell) for cell in documents.cells()}
    assert cells["text/RBM-persistent-chains/8-bits-all/seed-3"] == {
        "scale": "full", "seed": 3, "steps": 1700, "K": 50, "chains": 100, "AIS steps": 1000,
    }  # fmt: skip
    assert cells["digits/VAE-deep-decoder/16-bits-300/seed-7"]["steps"] == 10_000
    assert len(cells) == 5 * (4 * 3 + 1 + 4 * 3 + 4 * 3)
    cells = {cell.path: priors.depends_on(cell) for cell in priors.cells()}
    assert cells["IWAE-K-5/seed-3"] == {"scale": "medium", "seed": 3, "epochs": 300, "samples": 1000, "terms": 100}
    assert "aggregated-posterior-of-500/seed-1" in cells
    cells = {cell.path: libi.depends_on(cell) for cell in libi.cells()}
    assert cells["CubicJTEx/LiBI/R-3"] == {
        "seed": 0, "data_sets": 2, "restarts": 4, "steps": 20_000, "decays": True, "samples": 5_000,
        "comparisons": 2_000, "settings": "HZ=1 cov=0.2 mean=0.2 R=3",
    }  # fmt: skip
    assert cells["Mobius/beta-VAE-annealed"]["settings"] == "beta=1"
    assert len(cells) == 4 * (1 + 1 + 1 + 1 + 2)


def test_evaluations_and_weights_come_back_also_from_a_cell_of_version_0_1_0(tmp_path: Path) -> None:
    study = LiBIStudy("quick", 0, worlds={"Mobius": WORLDS["Mobius"]}, methods={"VAE": METHODS["VAE"]})
    store, (cell,) = CellStore(tmp_path, study.depends_on, EvaluationsAndWeights()), study.cells()
    result = Result([Evaluation("", 0, {"validation": -1.0}), Evaluation("", 1, {"validation": -2.0})], {"": {}})
    result.learned[""]["weight"] = torch.ones(2)
    store.write(cell, result)
    kept = tmp_path / "Mobius" / "VAE" / "figures.json"
    content = json.loads(kept.read_text())
    assert content["figures"][1] == {"setting": "", "data_set": 1, "figures": {"validation": -2.0}}
    for figures in (content["figures"], {"|0|validation": -1.0, "|1|validation": -2.0}):
        kept.write_text(json.dumps(content | {"figures": figures}))
        found = store.read(cell)
        assert found is not None
        assert found.evaluations == result.evaluations
        torch.testing.assert_close(found.learned, result.learned)
    for damaged in (
        [3],
        [{"setting": ""}],
        [{"setting": "", "data_set": 0, "figures": {"validation": "low"}}],
        {"a": 1.0},
    ):
        kept.write_text(json.dumps(content | {"figures": damaged}))
        assert store.read(cell) is None
    kept.write_text(json.dumps(content))
    (kept.parent / "learned.pt").write_bytes(b"PK but no weights")
    assert store.read(cell) is None
