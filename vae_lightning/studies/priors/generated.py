"""A trained model -> images generated from chosen pseudo-inputs, each beside its own; and how they are kept."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import torch
from jaxtyping import Float
from torch import Tensor

from vae_lightning.callbacks.pictures.pseudo_inputs import generated_from, vamp_prior
from vae_lightning.files import atomic_write
from vae_lightning.latent_variable import LatentVariableModel
from vae_lightning.priors import VampPrior
from vae_lightning.randomness import seeded
from vae_lightning.studies.store import Figures, Format, as_figures
from vae_lightning.trust import unpickled

CHOSEN, EACH = range(8), 9
PICTURES = "pictures.pt"


@dataclass(frozen=True, eq=False)
class Judged:
    """Figures by name, and of a VampPrior images (pseudo-inputs, 1 + samples, *X), each row led by its pseudo-input."""

    figures: Figures
    images: Tensor | None = None


class FiguresAndImages(Format[Judged]):
    """The figures as JSON, the images beside them."""

    def write(self, result: Judged, folder: Path) -> object:
        """The figures; write the images."""
        if result.images is not None:
            with atomic_write(folder / PICTURES) as file:
                torch.save({"pseudo_inputs": result.images}, file)
        return result.figures

    def read(self, figures: object, folder: Path) -> Judged:
        """The result."""
        found = as_figures(figures)
        if not (folder / PICTURES).is_file():
            return Judged(found)
        content = unpickled(folder / PICTURES)
        images = content.get("pseudo_inputs") if isinstance(content, dict) else None
        if not isinstance(images, Tensor):
            raise ValueError(f"{folder / PICTURES} holds no images of pseudo-inputs")
        return Judged(found, images)


@torch.no_grad()
def from_pseudo_inputs(model: LatentVariableModel, seed: int) -> Float[Tensor, "k images *observation"] | None:
    """The first pseudo-inputs of the model's VampPrior and x drawn from each; None of another prior."""
    if not any(isinstance(part, VampPrior) for part in model.prior.modules()):
        return None
    with seeded(seed, "pseudo-inputs"):
        rows = [generated_from(model, k, EACH) for k in CHOSEN]
    u = vamp_prior(model).pseudo_inputs
    return torch.stack([torch.cat((u[k : k + 1], x)) for k, x in zip(CHOSEN, rows, strict=True)])
