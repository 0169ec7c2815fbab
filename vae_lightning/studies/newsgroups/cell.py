"""What the study of Table 2 runs by itself: a model of documents, of so many bits, under a seed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from vae_lightning.studies.newsgroups.hashing import BESIDE, TABLE
from vae_lightning.studies.newsgroups.models import DocumentModel
from vae_lightning.studies.newsgroups.rbm import DocumentRBM
from vae_lightning.studies.newsgroups.size import NewsgroupsSize
from vae_lightning.studies.repeats import Repeat, repeats

PAPER, ALL = "paper", "all"
MODELS: Sequence[DocumentModel] = (*TABLE, *BESIDE, DocumentRBM())


@dataclass(frozen=True)
class Cell:
    """A model of so many bits."""

    bits: int
    model: DocumentModel

    @property
    def name(self) -> str:
        """Such as "8 bits, depth 0, e1"."""
        return f"{self.bits} bits, {self.model.name}"

    @property
    def path(self) -> str:
        """Such as "8-bits/depth-0/e1"."""
        return f"{self.bits}-bits/{self.model.path}"


def models_of(asked: str) -> Sequence[DocumentModel]:
    """`paper`, `all`, or labels with commas, each for all depths that there are; ValueError for an unknown one."""
    if asked in (PAPER, ALL):
        return TABLE if asked == PAPER else MODELS
    labels, known = [label.strip() for label in asked.split(",")], dict.fromkeys(model.label for model in MODELS)
    if unknown := [label for label in labels if label not in known]:
        raise ValueError(
            f"there is no model {', '.join(unknown)}; --models takes {PAPER}, {ALL}, or some of {', '.join(known)}"
        )
    return [model for model in MODELS if model.label in labels]


def cells_of(size: NewsgroupsSize, models: Sequence[DocumentModel], first: int) -> list[Repeat[Cell]]:
    """All cells under the first seed; then, under the next, those that have more seeds."""
    cells = [Cell(bits, model) for bits in size.bits for model in models if model.bits is None or bits in model.bits]
    linear = [cell for cell in cells if cell.model.linear]
    more = range(first + size.seeds, first + size.linear_seeds)
    return repeats(cells, range(first, first + size.seeds)) + repeats(linear, more)
