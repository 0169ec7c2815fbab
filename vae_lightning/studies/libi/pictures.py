"""A trained module in its world -> Figure 1 (what the ELBO prefers), Figures 2 to 5 (posterior means) of the paper."""

from __future__ import annotations

import copy
from dataclasses import dataclass

import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from torch import Tensor

from vae_lightning.data.processes import LatentProcess, LinearGaussian, LinearJTEx
from vae_lightning.models import LiBI
from vae_lightning.models.latent_variable import LatentVariableModule
from vae_lightning.randomness import derive_seed
from vae_lightning.studies.libi.cell import data_of
from vae_lightning.studies.libi.evaluation import rows
from vae_lightning.studies.libi.posteriors import aggregated_density, codes, fit_inference, posterior_means
from vae_lightning.studies.libi.worlds import World

CELLS, VARIANCE = 50, 0.01
"""Of the maps over B, whose values are at the middle of their cells: at B = sigma^2 the information is infinite."""


def preferences(cells: int = CELLS) -> tuple[Tensor, Tensor]:
    """(cells, cells) maps over B_22, B_11 of min_q KL(q || p(z|x)) and I(X; Z): first index B_22, second B_11."""
    axis = ((torch.arange(cells) + 0.5) * VARIANCE / cells).tolist()
    models = [[LinearJTEx(shared=(first, second)) for first in axis] for second in axis]
    gaps = [[float(model.posterior_gap()) for model in row] for row in models]
    return torch.tensor(gaps), torch.tensor([[float(model.mutual_information()) for model in row] for row in models])


@dataclass(frozen=True)
class PictureData:
    """A trained module in its world: both processes, test observations with the z behind them, codes for the truth."""

    truth: LatentProcess
    learned: LatentProcess
    module: LatentVariableModule
    x: Tensor
    z: Tensor
    best: Tensor
    """Means of the best mean-field q for the truth."""

    @classmethod
    def of(cls, world: World, module: LatentVariableModule, seed: int, steps: int) -> PictureData:
        """What is drawn of the first data set; an encoder is trained to approximate a best q without closed form."""
        data = data_of(world, 0, seed)
        data.setup()
        x, truth = rows(data.test), world.truth
        # as `Synthetic` draws the split
        z, _ = truth.sample_joint(len(x), torch.Generator().manual_seed(derive_seed(data.seed, "synthetic", "test")))
        if isinstance(truth, LinearGaussian):
            best = truth.mean_field()(x).mean
        else:
            best = codes(fit_inference(copy.deepcopy(module.model), truth, rows(data.train), steps, seed), x)
        return cls(truth, world.learned_by(module), module, x, z, best)


def preference_picture(vae: PictureData) -> Figure:
    """A, B: maps over B with A fixed; C, D: true and learned p(x); E, F: true and learned aggregated posteriors.

    The learned model is a VAE on LinearJTEx; its aggregated posterior is the mean of q(z | x_n) over test observations,
    the true one that of the best mean-field q under the truth.
    """
    picture = Figure(figsize=(13, 7.5), layout="constrained")
    axes = picture.subplots(2, 3).T.flatten()
    for ax, values, title in zip(axes, preferences(), ("A: min KL(q || p(z|x))", "B: I(X; Z)"), strict=False):
        image = ax.imshow(values, origin="lower", extent=(0, VARIANCE, 0, VARIANCE), cmap="viridis")
        picture.colorbar(image, ax=ax, label="nats")
        ax.set(title=title, xlabel="$B_{11}$", ylabel="$B_{22}$")
    truth, points = LinearJTEx(), grid(6.0)
    for ax, process, title in ((axes[2], truth, "C: true p(x)"), (axes[3], vae.learned, "D: learned p(x)")):
        density(ax, process.log_prob(points).exp(), 6.0, title, "x")
    points = grid(3.5)
    true = truth.aggregated_posterior(truth).log_prob(points).exp()
    density(axes[4], true, 3.5, "E: true aggregated posterior", "z")
    density(axes[5], aggregated_density(vae.module.model, vae.x, points), 3.5, "F: learned aggregated posterior", "z")
    return picture


def posterior_picture(title: str, data: PictureData) -> Figure:
    """Means of codes of the same observations, the first coordinate across, coloured by the angle of the true means.

    Left under the truth, then under the learned model; above of q(z|x), below of the true posterior. A LiBI has a third
    column, of the codes that the observations came from, over h(x).
    """
    h = data.module.codes if isinstance(data.module, LiBI) else None
    means = {
        "mean of q, for the truth": data.best,
        "mean of q, learned": codes(data.module.model, data.x),
        **({"z that x came from": data.z} if h else {}),
        "mean of p(z|x), true": posterior_means(data.truth, data.x),
        "mean of p(z|x), learned": posterior_means(data.learned, data.x),
        **({"h(x), learned": h(data.x).mean.detach()} if h else {}),
    }
    colour = torch.atan2(*means["mean of p(z|x), true"].T)
    columns = len(means) // 2
    picture = Figure(figsize=(4.2 * columns, 8.4), layout="constrained")
    picture.suptitle(title)
    axes = picture.subplots(2, columns, sharex=True, sharey=True)
    for ax, (name, values) in zip(axes.flatten(), means.items(), strict=True):
        ax.scatter(*values.double().T, c=colour, s=8, cmap="twilight")
        ax.set(title=name, xlabel="$z_1$", ylabel="$z_2$", xlim=(-4, 4), ylim=(-4, 4), aspect="equal")
    return picture


def grid(reach: float, nodes: int = 121) -> Tensor:
    """(nodes^2, 2) points of a square, in float64."""
    axis = torch.linspace(-reach, reach, nodes, dtype=torch.float64)
    return torch.cartesian_prod(axis, axis)


def density(ax: Axes, values: Tensor, reach: float, title: str, name: str) -> None:
    """Contours of a density at the points of `grid`."""
    nodes = round(len(values) ** 0.5)
    axis = torch.linspace(-reach, reach, nodes)
    ax.contourf(axis, axis, values.reshape(nodes, nodes).T, levels=12, cmap="magma")
    ax.set(title=title, xlabel=f"${name}_1$", ylabel=f"${name}_2$", aspect="equal")
