"""LiBI's Table 1 and Figures 1 to 5: four worlds, five methods, all restarts of each as one ensemble."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import torch
from rich.progress import Progress

from vae_lightning.data.processes import LinearGaussian
from vae_lightning.files import atomic_write
from vae_lightning.studies import Scale
from vae_lightning.studies.base import Report, Row, announce, line, long
from vae_lightning.studies.cells import Account, Figures, keep, kept
from vae_lightning.studies.executors import Executor, Local, RayCluster
from vae_lightning.studies.figures import publish
from vae_lightning.studies.libi_figures import Drawn, figure_one, posterior_figure
from vae_lightning.studies.libi_methods import METHODS, PAPER, Grid, Method, Training, label
from vae_lightning.studies.libi_protocol import POINTS, Cell, Size, rebuilt, run_cell
from vae_lightning.studies.libi_table import CLOSED_FORMS, ELBO_SHORTFALL, REMARKS, Found, gather, table_one
from vae_lightning.studies.libi_worlds import WORLDS, World
from vae_lightning.trust import unpickled

SIZES: dict[Scale, Size] = {
    "quick": Size(1, 4, Training(8_000, True), Grid((0.5, 2.0), (1.0,), 1, (1.0,), (0.2,), (0.2,), (1,)), 5_000, 300),
    "medium": Size(
        2, 4, Training(20_000, True), Grid((0.5, 2.0), (1.0,), 1, (1.0,), (0.2,), (0.2,), (1, 3)), 5_000, 2_000
    ),
    "full": Size(5, 10, Training(30_000, False), PAPER, 5_000, 20_000),
}
"""full is the paper's protocol; the others have fewer steps, at a rate that decays."""

WEIGHTS = "learned.pt"


def libi(scale: Scale, out: Path, seed: int) -> list[Row]:
    """Run every cell, choose hyper-parameters by validation, and put the table beside the paper's.

    Writes results.json, table.md, figures, weights and TensorBoard logs into `out`; cells that are finished there are
    not run again. Where the environment names a Ray cluster, in RAY_ADDRESS, its machines share the cells. Returns the
    rows.
    """
    executor = RayCluster() if os.environ.get("RAY_ADDRESS") else Local()
    return study(SIZES[scale], out, seed, WORLDS, METHODS, {"scale": scale}, executor)


def study(
    size: Size,
    out: Path,
    seed: int,
    worlds: Mapping[str, World],
    methods: Mapping[str, Method],
    provenance: Mapping[str, str | int | float],
    executor: Executor,
) -> list[Row]:
    """The same for some worlds and methods, at any size."""
    account = Account(out / "cells")
    pairs = [(world, method) for world in worlds.values() for method in methods.values()]
    cells = {
        (world.name, method.name): [Cell(world, method, g, s) for g, s in method.groups(world, size.grid).items()]
        for world, method in pairs
    }
    figures = run_all([cell for of_pair in cells.values() for cell in of_pair], size, out, seed, executor)
    gathered = [gather(*names, [figures[cell.name] for cell in of_pair]) for names, of_pair in cells.items()]
    found = [each for each in gathered if each.settings]
    exact = closed_forms(found, cells, size, out)
    rows = [row for each in found for row in each.rows()] + exact
    draw(found, cells, size, out, seed)
    provenance = {**provenance, **_provenance(size, seed, found)}
    if failed := "; ".join(f"{each.world} / {each.method}" for each in gathered if not each.settings):
        provenance["no restart went to the end"] = failed
    report = Report("LiBI, Table 1", rows, provenance | account.provenance(), table_one)
    report.write(out)
    _remark(out, worlds, exact)
    announce(report, out, "figure-1.png")
    return rows


def run_all(cells: Sequence[Cell], size: Size, out: Path, seed: int, executor: Executor) -> dict[str, Figures]:
    """The figures of every cell, by its name, those that are finished from where they are kept."""
    settings = {cell.name: _settings(size, seed, cell) for cell in cells}
    found = {cell.name: kept(folder_of(out, cell), settings[cell.name]) for cell in cells}
    with Progress() as progress:
        task = progress.add_task("LiBI", total=len(cells), completed=sum(map(bool, found.values())))

        def waiting() -> Iterator[Cell]:
            for cell in cells:
                if found[cell.name] is None:
                    progress.update(task, description=cell.name)
                    yield cell

        work = partial(run_cell, size=size, seed=seed, logs=out / "cells")
        for cell, (figures, learned) in executor.each(work, waiting()):
            folder = folder_of(out, cell)
            with atomic_write(folder / WEIGHTS) as file:
                torch.save(learned, file)
            found[cell.name] = keep(folder, settings[cell.name], figures)
            progress.advance(task)
    return {name: figures for name, figures in found.items() if figures is not None}


def closed_forms(
    found: Sequence[Found], cells: Mapping[tuple[str, str], Sequence[Cell]], size: Size, out: Path
) -> list[Row]:
    """Of linear worlds: E log p(x) on an endless test set, and L of Eq. 2, of the models of the first data set."""
    rows = []
    for each in found:
        truth = WORLDS[each.world].truth
        module = chosen_module(cells[each.world, each.method], each.chosen("validation"), size, out)
        if module is None or not isinstance(truth, LinearGaussian):
            continue
        learned = WORLDS[each.world].learned_by(module)
        assert isinstance(learned, LinearGaussian)
        values = float(learned.expected_log_prob(truth)), float(learned.shortfall(truth))
        papers = None, ELBO_SHORTFALL.get((each.world, each.method))
        for metric, value, paper in zip(CLOSED_FORMS, values, papers, strict=True):
            rows.append(Row(f"{each.world} / {each.method}", metric, value, 0.0, paper, "nats"))
    return rows


def draw(
    found: Sequence[Found], cells: Mapping[tuple[str, str], Sequence[Cell]], size: Size, out: Path, seed: int
) -> None:
    """Figures 1 to 5, of the models chosen by validation, on the test split of the first data set."""
    chosen = {(each.world, each.method): each.chosen("validation") for each in found}
    number = 2
    for world in ("LinearJTEx", "CubicJTEx"):
        for method in ("VAE", "LiBI"):
            if module := chosen_module(cells.get((world, method), ()), chosen.get((world, method), ""), size, out):
                drawn = Drawn.of(WORLDS[world], module, seed, size.training.steps)
                if number == 2:
                    publish(figure_one(drawn), out, "figure-1")
                publish(posterior_figure(f"{method} on {world}", drawn, own=method == "LiBI"), out, f"figure-{number}")
            number += 1


def chosen_module(cells: Sequence[Cell], chosen: str, size: Size, out: Path) -> Any:
    """The module of a setting as trained on the first data set; None if there is none, for all its restarts failed."""
    for cell in cells:
        for setting in cell.settings:
            if label(setting) == chosen:
                learned = unpickled(folder_of(out, cell) / WEIGHTS)
                return rebuilt(cell, setting, size, learned[chosen]) if chosen in learned else None
    return None


def folder_of(out: Path, cell: Cell) -> Path:
    """Where a cell keeps what it found."""
    return out / "cells" / cell.path


def _settings(size: Size, seed: int, cell: Cell) -> dict[str, str | int | float]:
    """All that a cell's figures depend on."""
    return {
        "seed": seed,
        "data_sets": size.data_sets,
        "restarts": size.restarts,
        "steps": size.training.steps,
        "decays": size.training.decays,
        "samples": size.samples,
        "comparisons": size.comparisons,
        "settings": "; ".join(map(label, cell.settings)),
    }


def _provenance(size: Size, seed: int, found: Sequence[Found]) -> dict[str, str | int | float]:
    chosen = "; ".join(
        f"{each.world} / {each.method} {each.chosen('validation')}" for each in found if len(each.settings) > 1
    )
    return {
        "seed": seed,
        "data sets": size.data_sets,
        "restarts": size.restarts,
        "full-batch steps": size.training.steps,
        "learning rate": "0.01, decaying along a cosine in each phase" if size.training.decays else 0.01,
        "points a split": POINTS,
        "samples of Eq. 48": f"{size.samples}, variance times 2",
        "smooth k-NN": f"k = 1, alpha = 1, 100 a side, mean of {size.comparisons}",
        "chosen by validation": chosen,
    }


def _remark(out: Path, worlds: Mapping[str, World], exact: Sequence[Row]) -> None:
    """Under the table, what is known in closed form, and where ours and the paper's differ and why."""
    with (out / "table.md").open("a") as table:
        if exact:
            heading, *lines = long(exact)
            table.write("\n" + "\n".join(map(line, (heading, ["---"] * len(heading), *lines))) + "\n")
        table.write("\n" + "\n\n".join(f"{world}: {REMARKS[world]}" for world in worlds) + "\n")
