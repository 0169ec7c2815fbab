"""Models of the artificial example -> Fig. 2: posteriors, decision maps over the plane, the simplex of four codes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import combinations, product
from typing import Any

import numpy as np
import torch
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.patheffects import withStroke
from numpy.typing import NDArray
from torch import Tensor
from torch.nn.functional import one_hot

from vae_lightning.data.processes import GaussianMixture
from vae_lightning.latent_variable import LatentVariableModel
from vae_lightning.studies.mixture.exact import encoder_posterior, model_posterior

Array = NDArray[Any]

CODES = ("00", "01", "10", "11")
COLORS = np.array([[0.99, 0.80, 0.24], [0.90, 0.36, 0.36], [0.27, 0.60, 0.86], [0.36, 0.72, 0.44]])
"""One per code, far enough apart to stay apart when mixed, or seen without red and green."""

VERTICES = np.array([[0, 0, 0], [0, 1, 1], [1, 0, 1], [1, 1, 0]], dtype=float)
"""A regular tetrahedron: a distribution of two bits is at (P(b_1 = 1), P(b_2 = 1), P(b_1 != b_2))."""

PIXELS = 400
HALO = [withStroke(linewidth=3, foreground="white")]


@dataclass(frozen=True)
class Panel:
    """A title, and what to draw on the axes under it."""

    title: str
    draw: Callable[[Any], None]
    projection: str | None = None


@torch.no_grad()
def mixture_picture(
    process: GaussianMixture, factorised: LatentVariableModel, coupled: LatentVariableModel, rbm: LatentVariableModel
) -> Figure:
    """The paper's Fig. 2 for trained models, and (g), the map of an encoder that couples its bits, which it has not."""
    plane, truth = Plane.around(process), process.centers.numpy()
    x = plane.pixels.to(next(factorised.parameters()))
    true, learned = process.posterior(x), decoder_means(factorised)
    means = decoder_means(rbm)
    names = named_after(truth, means)

    def decisions(title: str, posterior: Tensor, centers: Array, before: Array | None = truth) -> Panel:
        return Panel(title, partial(plane.draw, decided(posterior), centers, before))

    panels = [
        Panel("(a) true posterior p*(z | x)", partial(plane.draw, true, truth, None)),
        decisions("(b) its decision map: the likeliest code", true, truth, None),
        decisions("(c) learned factorised encoder q(z | x)", encoder_posterior(factorised, x), learned),
        decisions("(d) learned model's posterior p(z | x)", model_posterior(factorised, x), learned),
        decisions("(e) posterior p(z | x) of an RBM", model_posterior(rbm, x)[:, names], means[names]),
        Panel("(f) what a factorised encoder can express", draw_simplex, "3d"),
        decisions("(g) learned MRF encoder q(z | x)", encoder_posterior(coupled, x), decoder_means(coupled)),
    ]
    return arrange(panels)


def named_after(truth: Array, means: Array) -> list[int]:
    """The codes in the order that brings their means nearest to the truth, bits flipped or swapped as a whole.

    An RBM is the same model after either; which of its eight names for the codes training finds is chance.
    """
    grid = np.arange(4).reshape(2, 2)
    orders = [
        codes[::first, ::second].ravel().tolist() for codes, first, second in product((grid, grid.T), (1, -1), (1, -1))
    ]
    return min(orders, key=lambda order: float(np.square(means[order] - truth).sum()))


def decoder_means(model: LatentVariableModel) -> Array:
    """Where the decoder puts each code, (4, 2)."""
    bits = torch.tensor([[int(bit) for bit in code] for code in CODES]).to(next(model.parameters()))
    return np.asarray(model.decoder(bits).mean.cpu())


def decided(posterior: Tensor) -> Tensor:
    """The decision map: all probability on the most likely code."""
    return one_hot(posterior.argmax(-1), posterior.shape[-1]).double()


def arrange(panels: Sequence[Panel], columns: int = 4) -> Figure:
    """Panels in rows, the last row centred, titles above."""
    rows = -(-len(panels) // columns)
    picture = Figure(figsize=(4.6 * columns, 4.5 * rows), dpi=120, layout="constrained")
    FigureCanvasAgg(picture)
    grid = picture.add_gridspec(rows, 2 * columns)
    for number, panel in enumerate(panels):
        row, column = divmod(number, columns)
        indent = columns - min(columns, len(panels) - row * columns)
        start = indent + 2 * column
        axes = picture.add_subplot(grid[row, start : start + 2], projection=panel.projection)
        axes.set_title(panel.title, fontsize=13)
        panel.draw(axes)
    return picture


@dataclass(frozen=True)
class Plane:
    """A square window of the plane of x: left, right, bottom, top."""

    extent: tuple[float, float, float, float]

    @classmethod
    def around(cls, process: GaussianMixture, margin: float = 2.2) -> Plane:
        """Wide enough to show all but the tails, `margin` standard deviations beyond the outermost centers."""
        low, high = process.centers.amin(0), process.centers.amax(0)
        half = float((high - low).max()) / 2 + margin * process.sigma
        (x, y) = ((low + high) / 2).tolist()
        return cls((x - half, x + half, y - half, y + half))

    @property
    def pixels(self) -> Tensor:
        """The pixels' places, (PIXELS^2, 2), row by row from the bottom."""
        left, right, bottom, top = self.extent
        y, x = torch.meshgrid(torch.linspace(bottom, top, PIXELS), torch.linspace(left, right, PIXELS), indexing="ij")
        return torch.stack((x, y), -1).reshape(-1, 2)

    def draw(self, posterior: Tensor, centers: Array, before: Array | None, axes: Any) -> None:
        """Colour every pixel by its posterior, (PIXELS^2, 4); mark the centers, and where they were before."""
        image = np.asarray(posterior.double().cpu()) @ COLORS
        axes.imshow(image.reshape(PIXELS, PIXELS, 3), origin="lower", extent=self.extent, interpolation="antialiased")
        if before is not None:
            for start, end in zip(before, centers, strict=True):
                axes.plot(*zip(start, end, strict=True), color="black", linewidth=1, linestyle=":")
            axes.scatter(*before.T, s=36, facecolors="none", edgecolors="black", linewidths=1)
            axes.set_xlabel("dots: learned centers, circles: the true ones", fontsize=11)
        axes.scatter(*centers.T, s=36, color="black")
        for code, center in zip(CODES, centers, strict=True):
            axes.annotate(code, center, (5, 5), textcoords="offset points", fontsize=12, path_effects=HALO)
        axes.set(xticks=[], yticks=[])


def draw_simplex(axes: Any) -> None:
    """All distributions over the four codes, and in it the curved surface of those with independent bits."""
    first, second = np.meshgrid(np.linspace(0, 1, 33), np.linspace(0, 1, 33), indexing="ij")
    q = np.stack(((1 - first) * (1 - second), (1 - first) * second, first * (1 - second), first * second), -1)
    colors = np.concatenate((q @ COLORS, np.full((*first.shape, 1), 0.9)), -1)
    axes.plot_surface(
        *np.moveaxis(q @ VERTICES, -1, 0),
        facecolors=colors,
        rstride=1,
        cstride=1,
        linewidth=0,
        antialiased=False,
        shade=False,
    )
    for a, b in combinations(range(4), 2):
        both_bits = CODES[a][0] != CODES[b][0] and CODES[a][1] != CODES[b][1]
        style = (
            {"linestyle": "--", "color": "0.25", "linewidth": 1.6} if both_bits else {"color": "black", "linewidth": 2}
        )
        axes.plot(*VERTICES[[a, b]].T, **style)
    for code, vertex, color in zip(CODES, VERTICES, COLORS, strict=True):
        axes.scatter(*vertex, s=160, color=color, edgecolors="black", depthshade=False)
        axes.text(*(vertex + 0.16 * (vertex - 0.5)), code, fontsize=13, ha="center", va="center", path_effects=HALO)
    axes.set_axis_off()
    axes.set_box_aspect((1, 1, 1), zoom=1.1)
    axes.view_init(elev=17, azim=-80)
    axes.text2D(
        0.5, 0.0, "dashed: edges it cannot follow, both bits switch at once", transform=axes.transAxes, ha="center"
    )
