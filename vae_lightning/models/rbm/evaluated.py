"""Evaluated: what an RBM finds of a batch."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from vae_lightning.counts import Counts


@dataclass(frozen=True, eq=False)
class Evaluated:
    """A batch x (B, *X), F(x) and -log p(x | h) for an h drawn from p(h | x), (B,) in nats."""

    x: Tensor | Counts
    free_energy: Tensor
    reconstruction: Tensor

    def not_finite(self) -> str:
        """In how many rows F and log p(v | h) are not finite."""
        terms = {"F(v)": self.free_energy, "log p(v|h)": self.reconstruction}
        return "; ".join(f"{name} in {int((~v.isfinite()).sum())} of {len(v)} rows" for name, v in terms.items())
