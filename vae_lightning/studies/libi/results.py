"""What a cell of the LiBI study found -> figures.json and learned.pt in its folder, and back."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import torch

from vae_lightning.files import atomic_write
from vae_lightning.studies.store import Figures, Format, as_figures
from vae_lightning.trust import unpickled

WEIGHTS = "learned.pt"

Weights = dict[str, torch.Tensor]
"""A module's state."""


@dataclass(frozen=True)
class Evaluation:
    """Figures of a setting's restart that was chosen on a data set."""

    setting: str
    data_set: int
    figures: Figures


@dataclass(frozen=True)
class Result:
    """What a cell found: an evaluation for each setting and data set on which a restart went to the end.

    `learned` are the weights on the first data set, by setting.
    """

    evaluations: Sequence[Evaluation]
    learned: Mapping[str, Weights]


class EvaluationsAndWeights(Format[Result]):
    """The evaluations as JSON, the weights in a file beside them."""

    def write(self, result: Result, folder: Path) -> object:
        """The evaluations; write the weights."""
        with atomic_write(folder / WEIGHTS) as file:
            torch.save(dict(result.learned), file)
        return [asdict(evaluation) for evaluation in result.evaluations]

    def read(self, figures: object, folder: Path) -> Result:
        """The result, also of a cell that was run before evaluations were records."""
        records = figures if isinstance(figures, list) else _records(as_figures(figures))
        return Result([_evaluation(record) for record in records], unpickled(folder / WEIGHTS))


def _records(figures: Figures) -> list[object]:
    """Evaluations from figures named "setting|data set|figure", as in cells of version 0.1.0; ValueError for others."""
    found: dict[tuple[str, str], Figures] = {}
    for name, value in figures.items():
        setting, data_set, figure = name.split("|")
        found.setdefault((setting, data_set), {})[figure] = value
    return [{"setting": key[0], "data_set": int(key[1]), "figures": its} for key, its in found.items()]


def _evaluation(record: object) -> Evaluation:
    match record:
        case {"setting": str(setting), "data_set": int(data_set), "figures": figures}:
            return Evaluation(setting, data_set, as_figures(figures))
    raise ValueError(f"expected an evaluation, got {str(record)[:80]}")
