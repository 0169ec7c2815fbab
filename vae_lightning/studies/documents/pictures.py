"""Figures of RBMs and VAEs -> a picture: text by bits, the claim, and test log-likelihood against N."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from vae_lightning.studies.documents.cell import Cell
from vae_lightning.studies.repeats import mean
from vae_lightning.studies.store import Figures

COLORS = {
    "RBM": "tab:blue",
    "RBM, persistent chains": "tab:green",
    "RBM, bias scaled by length": "tab:cyan",
    "VAE": "tab:red",
    "VAE, deep decoder": "tab:orange",
}

Runs = Mapping[Cell, Sequence[Figures]]


def documents_picture(figures: Runs) -> Figure:
    """Left: nats a document for each number of bits. Then, for text and digits, log p(x) against N."""
    picture = Figure(figsize=(16, 5), layout="constrained")
    left, *curves = picture.subplots(1, 3)
    text = {cell: runs for cell, runs in figures.items() if cell.domain.name == "text"}
    digits = {cell: runs for cell, runs in figures.items() if cell.domain.name == "digits"}
    by_bits(left, {cell: runs for cell, runs in text.items() if cell.n is None})
    by_size(curves[0], text, "(b) few data: text")
    by_size(curves[1], digits, "(c) few data: digits")
    return picture


def by_bits(axes: Axes, figures: Runs) -> None:
    """Log-likelihoods, a VAE's ELBO, and each read as the other."""
    for model in dict.fromkeys(cell.model for cell in figures):
        mine = sorted((cell.bits, runs) for cell, runs in figures.items() if cell.model == model)
        shown = {
            "log_likelihood": ("-o", ""),
            "elbo": ("--s", ", ELBO"),
            "as_rbm/log_likelihood": (":x", " read as an RBM"),
        }
        shown |= {"as_vae/elbo": (":x", " read as a VAE, ELBO")}
        for metric, (style, name) in shown.items():
            points = [(bits, mean(runs, metric)) for bits, runs in mine if metric in runs[0]]
            if points:
                axes.plot(*zip(*points, strict=True), style, color=COLORS[model], label=model + name)
    axes.set_xscale("log", base=2)
    axes.set(xlabel="bits", ylabel="nats a document, test split", title="(a) 20 Newsgroups")
    axes.legend(frameon=False, fontsize=8)


def by_size(axes: Axes, figures: Runs, title: str) -> None:
    """A curve for each model, at the number of bits that has one."""
    sizes = {cell.bits for cell in figures if cell.n is not None}
    for model in dict.fromkeys(cell.model for cell in figures):
        mine = [runs for cell, runs in figures.items() if cell.model == model and cell.bits in sizes]
        points = sorted((runs[0]["n"], mean(runs, "log_likelihood")) for runs in mine)
        if len(points) > 1:
            axes.plot(*zip(*points, strict=True), "-o", color=COLORS[model], label=model)
    axes.set(xscale="log", xlabel="training observations N", ylabel="log p(x), nats, test split")
    axes.set_title(f"{title}, {', '.join(map(str, sorted(sizes)))} bits")
    axes.legend(frameon=False, fontsize=8)
