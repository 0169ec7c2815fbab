"""Fig. 1 of VAE Approximation Error (2022) as a curve: likelihood against mismatch as the ELBO's weight moves."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from matplotlib.figure import Figure

from vae_lightning.data.processes import GaussianMixture
from vae_lightning.studies.base import Study
from vae_lightning.studies.names import Scale
from vae_lightning.studies.provenance import Settings
from vae_lightning.studies.report import Lines, Row, wide
from vae_lightning.studies.tradeoff.optima import Centers, Point, Quadrature, curve, labellings
from vae_lightning.studies.tradeoff.pictures import tradeoff_picture


@dataclass(frozen=True)
class TradeoffSize:
    """How much is computed at a scale."""

    betas: tuple[float, ...]
    restarts: int  # from random centers, beside the true ones under every labelling


_FEW = (0.0, 0.25, 0.5, 0.75, 1.0, 2.0, 4.0, 16.0, 64.0, math.inf)
_MANY = (0.05, 0.1, 0.15, 0.2, 0.3, 0.4, 0.6, 0.7, 0.8, 0.9, 1.25, 1.5, 2.5, 3.0, 5.0, 6.0, 8.0, 32.0, 256.0)
SIZES: Mapping[Scale, TradeoffSize] = {
    "quick": TradeoffSize(_FEW, 1),
    "medium": TradeoffSize(tuple(sorted(_FEW + _MANY)), 6),
    "full": TradeoffSize(tuple(sorted(_FEW + _MANY)), 50),
}

COARSE, FINE = 0.4, 0.1
"""Spacing of the quadrature that is optimised on, and of the one that the figures are taken with."""

PAPER = {(0.0, "log_likelihood"): -3.65, (1.0, "elbo"): -3.70, (1.0, "log_likelihood"): -3.68}


class TradeoffStudy(Study[TradeoffSize, list[Point]]):
    """Maximise E log p(x) - beta E KL(q(z | x) || p(z | x)) over the decoder, for beta from 0 to infinity, exactly.

    The world is the artificial example: two bits, Gaussians of known sigma, uniform p(z), and for every x the best of
    all q with independent bits, as of an encoder without limits. What is to be seen: beta = 0 is maximum likelihood,
    beta = 1 the ELBO's optimum, and beta -> infinity the best model of the consistent set, where the centers are a
    rectangle. Likelihood and mismatch both fall all the way, yet not smoothly: twice the best model jumps to another
    basin, where other pairs of centers have codes that differ in both bits. The ELBO's optimum is past the first jump:
    it has given up 0.03 of the 0.11 nats between both ends for 3/4 of the mismatch.
    """

    title = "Likelihood against mismatch (VAE Approximation Error, Fig. 1), exact"
    sizes = SIZES

    def find(self, out: Path) -> list[Point]:
        """The optimum for each beta, found on a coarse quadrature and judged on a fine one."""
        process = GaussianMixture()
        found = curve(Quadrature.of(process, COARSE), self.size.betas, starts(process, self.size.restarts, self.seed))
        fine = Quadrature.of(process, FINE)
        return [Point.at(fine, point.beta, point.centers) for point in found]

    def rows(self, found: Sequence[Point]) -> list[Row]:
        """Three figures for each beta; the paper has those of beta = 0 and 1 (Appendix C.1)."""
        return [
            Row(f"beta = {_text(point.beta)}", metric, value, 0.0, PAPER.get((point.beta, metric)), "nats")
            for point in found
            for metric, value in point.figures.items()
        ]

    def pictures(self, found: Sequence[Point]) -> dict[str, Figure]:
        """The curve, and the centers along it."""
        return {"tradeoff": tradeoff_picture(found)}

    def settings(self, found: Sequence[Point]) -> Settings:
        """The seed, of the random starts."""
        return {"seed": self.seed, "random starts": self.size.restarts}

    def table(self, rows: Sequence[Row]) -> Lines:
        """One line for each beta."""
        return wide(rows, decimals=5)


def starts(process: GaussianMixture, restarts: int, seed: int) -> list[Centers]:
    """The true centers under the three labellings that differ, and random ones as far apart."""
    centers, generator = process.centers, torch.Generator().manual_seed(seed)
    noise = torch.randn(restarts, *centers.shape, dtype=centers.dtype, generator=generator)
    return [*labellings(centers), *(centers.mean(0) + centers.std(0) * noise)]


def _text(beta: float) -> str:
    return "infinity" if math.isinf(beta) else f"{beta:g}"
