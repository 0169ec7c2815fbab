"""Figures of RBMs and VAEs -> a picture: text by bits, the claim, and test log-likelihood against N."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from typing import Any

from matplotlib.figure import Figure

from vae_lightning.studies.cells import Figures

COLORS = {
    "RBM": "tab:blue",
    "RBM, persistent chains": "tab:green",
    "RBM, bias scaled by length": "tab:cyan",
    "VAE": "tab:red",
    "VAE, deep decoder": "tab:orange",
}

Key = tuple[str, str, int, int | None]
Runs = Mapping[Key, Sequence[Figures]]


def documents_figure(figures: Runs) -> Figure:
    """Left: nats a document for each number of bits. Then, for text and digits, log p(x) against N."""
    picture = Figure(figsize=(16, 5), layout="constrained")
    left, *curves = picture.subplots(1, 3)
    by_bits(left, {key: runs for key, runs in figures.items() if key[0] == "text" and key[3] is None})
    for axes, world in zip(curves, ("text", "digits"), strict=True):
        by_size(axes, {key: runs for key, runs in figures.items() if key[0] == world}, world)
    return picture


def by_bits(axes: Any, figures: Runs) -> None:
    """Log-likelihoods, a VAE's ELBO, and each read as the other."""
    for model in dict.fromkeys(key[1] for key in figures):
        mine = sorted((key[2], runs) for key, runs in figures.items() if key[1] == model)
        shown = {
            "log_likelihood": ("-o", ""),
            "elbo": ("--s", ", ELBO"),
            "as_rbm/log_likelihood": (":x", " read as an RBM"),
        }
        shown |= {"as_vae/elbo": (":x", " read as a VAE, ELBO")}
        for metric, (style, name) in shown.items():
            points = [(bits, _mean(runs, metric)) for bits, runs in mine if metric in runs[0]]
            if points:
                axes.plot(*zip(*points, strict=True), style, color=COLORS[model], label=model + name)
    axes.set_xscale("log", base=2)
    axes.set(xlabel="bits", ylabel="nats a document, test split", title="(a) 20 Newsgroups")
    axes.legend(frameon=False, fontsize=8)


def by_size(axes: Any, figures: Runs, world: str) -> None:
    """A curve for each model, at the number of bits that has one."""
    sizes = {key[2] for key in figures if key[3] is not None}
    for model in dict.fromkeys(key[1] for key in figures):
        mine = [runs for key, runs in figures.items() if key[1] == model and key[2] in sizes]
        points = sorted((runs[0]["n"], _mean(runs, "log_likelihood")) for runs in mine)
        if len(points) > 1:
            axes.plot(*zip(*points, strict=True), "-o", color=COLORS[model], label=model)
    letter, bits = {"text": "b", "digits": "c"}[world], ", ".join(map(str, sorted(sizes)))
    axes.set(xscale="log", xlabel="training observations N", ylabel="log p(x), nats, test split")
    axes.set_title(f"({letter}) few data: {world}, {bits} bits")
    axes.legend(frameon=False, fontsize=8)


def _mean(runs: Sequence[Figures], name: str) -> float:
    return statistics.mean(run[name] for run in runs)
