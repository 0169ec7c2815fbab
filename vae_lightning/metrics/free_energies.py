"""FreeEnergies: the free energy and the size of each observation -> all of them, over batches and processes."""

from __future__ import annotations

import torch
from jaxtyping import Float, Float64
from torch import Tensor
from torchmetrics import Metric
from torchmetrics.utilities import dim_zero_cat

from vae_lightning.metrics.gather import gather_rows


class FreeEnergies(Metric):
    """Pairs (F(v), size), 16 bytes an observation; `size` names the log Z that belongs to it, a document's length.

    Examples:
        >>> import torch
        >>> from vae_lightning.metrics import FreeEnergies
        >>> metric = FreeEnergies()
        >>> metric.update(torch.tensor([1.0, 2.0]), torch.tensor([7.0, 7.0]))
        >>> metric.compute()
        (tensor([1., 2.], dtype=torch.float64), tensor([7., 7.], dtype=torch.float64))
    """

    full_state_update = False
    rows: list[Tensor]

    def __init__(self) -> None:
        super().__init__(dist_sync_fn=gather_rows)
        self.add_state("rows", [], dist_reduce_fx="cat")

    def update(self, free_energy: Float[Tensor, " B"], size: Float[Tensor, " B"]) -> None:
        """Add a batch."""
        self.rows.append(torch.stack((free_energy.double(), size.double()), 1))

    def compute(self) -> tuple[Float64[Tensor, " N"], Float64[Tensor, " N"]]:
        """Free energies and sizes, in the order of the processes."""
        free_energy, size = dim_zero_cat(self.rows).unbind(1)
        return free_energy, size
