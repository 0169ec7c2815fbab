"""What a cell of the study of faces found -> figures.json, pictures.pt and model.ckpt in its folder, and back."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import torch
from torch import Tensor

from vae_lightning.files import atomic_write
from vae_lightning.studies.store import Figures, Format, as_figures
from vae_lightning.studies.trainings import Checkpoint
from vae_lightning.trust import read_checkpoint, unpickled

MODEL, PICTURES = "model.ckpt", "pictures.pt"


@dataclass(frozen=True)
class Result:
    """Figures by name, images in [-1, 1] by what they show, and the model, of a cell that trains one."""

    figures: Figures
    pictures: Mapping[str, Tensor] = field(default_factory=dict)
    model: Checkpoint | None = None


class FiguresAndModel(Format[Result]):
    """The figures as JSON; the model, which `vae_lightning.load` reads, and the images beside them."""

    def write(self, result: Result, folder: Path) -> object:
        """The figures; write the rest."""
        for name, content in ((MODEL, result.model), (PICTURES, dict(result.pictures))):
            if content is not None:
                with atomic_write(folder / name) as file:
                    torch.save(content, file)
        return result.figures

    def read(self, figures: object, folder: Path) -> Result:
        """The result."""
        model = read_checkpoint(folder / MODEL) if (folder / MODEL).is_file() else None
        pictures = unpickled(folder / PICTURES)
        if not isinstance(pictures, dict) or not all(isinstance(each, Tensor) for each in pictures.values()):
            raise ValueError(f"{folder / PICTURES} holds no images by name")
        return Result(as_figures(figures), pictures, model)
