"""Fig. 1 of VAE Approximation Error (2022) as a curve: likelihood against mismatch as the ELBO's weight moves."""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import torch

from vae_lightning.data.processes import GaussianMixture
from vae_lightning.studies import Scale
from vae_lightning.studies.base import Report, Row, announce, environment, wide
from vae_lightning.studies.figures import publish
from vae_lightning.studies.tradeoff_figure import tradeoff_figure
from vae_lightning.studies.tradeoff_world import Centers, Point, World, curve, labellings


@dataclass(frozen=True)
class Size:
    """How much is computed at a scale."""

    betas: tuple[float, ...]
    restarts: int  # from random centers, beside the true ones under every labelling


_FEW = (0.0, 0.25, 0.5, 0.75, 1.0, 2.0, 4.0, 16.0, 64.0, math.inf)
_MANY = (0.05, 0.1, 0.15, 0.2, 0.3, 0.4, 0.6, 0.7, 0.8, 0.9, 1.25, 1.5, 2.5, 3.0, 5.0, 6.0, 8.0, 32.0, 256.0)
SIZES: dict[Scale, Size] = {
    "quick": Size(_FEW, 1),
    "medium": Size(tuple(sorted(_FEW + _MANY)), 6),
    "full": Size(tuple(sorted(_FEW + _MANY)), 50),
}

COARSE, FINE = 0.4, 0.1
"""Spacing of the quadrature that is optimised on, and of the one that the figures are taken with."""

PAPER = {(0.0, "log_likelihood"): -3.65, (1.0, "elbo"): -3.70, (1.0, "log_likelihood"): -3.68}


def tradeoff(scale: Scale, out: Path, seed: int) -> list[Row]:
    """Maximise E log p(x) - beta E KL(q(z | x) || p(z | x)) over the decoder, for beta from 0 to infinity, exactly.

    The world is the artificial example: two bits, Gaussians of known sigma, uniform p(z), and for every x the best of
    all q with independent bits, as of an encoder without limits. What is to be seen: beta = 0 is maximum likelihood,
    beta = 1 the ELBO's optimum, and beta -> infinity the best model of the consistent set, where the centers are a
    rectangle. Likelihood and mismatch both fall all the way, yet not smoothly: twice the best model jumps to another
    basin, where other pairs of centers have codes that differ in both bits. The ELBO's optimum is past the first jump:
    it has given up 0.03 of the 0.11 nats between both ends for 3/4 of the mismatch.

    Writes results.json, table.md, tradeoff.png and its TensorBoard log into `out`, and returns the rows.
    """
    out.mkdir(parents=True, exist_ok=True)
    began, size, process = time.perf_counter(), SIZES[scale], GaussianMixture()
    found = curve(World.of(process, COARSE), size.betas, starts(process, size.restarts, seed))
    fine = World.of(process, FINE)
    points = [Point.at(fine, point.beta, point.centers) for point in found]
    rows = table(points)
    publish(tradeoff_figure(points), out, "tradeoff")
    provenance: dict[str, str | int | float] = {"scale": scale, "seed": seed, "random starts": size.restarts}
    provenance |= environment() | {"seconds": round(time.perf_counter() - began)}
    title = "Likelihood against mismatch (VAE Approximation Error, Fig. 1), exact"
    report = Report(title, rows, provenance, partial(wide, decimals=5))
    report.write(out)
    announce(report, out, "tradeoff.png")
    return rows


def starts(process: GaussianMixture, restarts: int, seed: int) -> list[Centers]:
    """The true centers under the three labellings that differ, and random ones as far apart."""
    centers, generator = process.centers, torch.Generator().manual_seed(seed)
    noise = torch.randn(restarts, *centers.shape, dtype=centers.dtype, generator=generator)
    return [*labellings(centers), *(centers.mean(0) + centers.std(0) * noise)]


def table(points: Sequence[Point]) -> list[Row]:
    """Three figures for each beta; the paper has those of beta = 0 and 1 (Appendix C.1)."""
    return [
        Row(f"beta = {_text(point.beta)}", metric, getattr(point, metric), 0.0, PAPER.get((point.beta, metric)), "nats")
        for point in points
        for metric in ("log_likelihood", "mismatch", "elbo")
    ]


def _text(beta: float) -> str:
    return "infinity" if math.isinf(beta) else f"{beta:g}"
