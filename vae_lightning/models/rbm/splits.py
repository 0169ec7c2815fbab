"""Splits: whole data -> what an RBM checks of them, starts from, and compares its free energies by."""

from __future__ import annotations

import lightning.pytorch as pl
import torch
from jaxtyping import Float, Float64
from torch import Tensor

from vae_lightning.counts import Counts
from vae_lightning.data.protocols import Split, observed_shape, vocabulary_size
from vae_lightning.families import ExponentialFamily
from vae_lightning.harmonium.harmonium import Harmonium
from vae_lightning.harmonium.lengths import equally_long
from vae_lightning.harmonium.phase import NegativePhase
from vae_lightning.process.trainers import broadcasts_buffers

_ROWS = 1024  # observations at once


def check_options(visible: ExponentialFamily, scaled_bias: bool, sampling_steps: int) -> None:
    """ValueError for a bias that scales with a length that there is none of, and for no step of sampling."""
    if scaled_bias and not visible.has_length:
        raise ValueError(f"scaled_bias scales with the length of documents, which {visible!r} has not: leave it")
    if sampling_steps < 1:
        raise ValueError(f"sampling_steps must be at least 1, got {sampling_steps}")


def check_processes(trainer: pl.Trainer, algorithm: NegativePhase) -> None:
    """ValueError if a process's chains would be overwritten by another's."""
    if broadcasts_buffers(trainer) and algorithm.state is not None:
        raise ValueError(
            "each process has chains of its own, which DDP would overwrite: use "
            "DDPStrategy(broadcast_buffers=False), as configs/trainer/ddp.yaml does"
        )


def check_shape(visible: ExponentialFamily, data: object) -> None:
    """ValueError if a data module's observations are of another shape."""
    num_words = vocabulary_size(data)
    shape = observed_shape(data) or (None if num_words is None else (num_words,))
    expected = tuple(visible.event_shape)
    if shape is not None and shape != expected:
        raise ValueError(
            f"the model observes {expected} but the data are {shape}: give model.init_args.visible the shape of the "
            "data"
        )


def first_look(visible: ExponentialFamily, data: Split) -> tuple[Float64[Tensor, " P"], Float[Tensor, " N"]]:
    """The mean of T(x) over a split, and the sums of its observations in order: lengths, if they are documents."""
    total, lengths = torch.zeros(visible.num_parameters, dtype=torch.float64), []
    for rows in torch.arange(len(data)).split(_ROWS):
        x, _ = data.batch(rows)
        total += _sum_of_statistics(visible, x).to(total)
        lengths.append(_lengths(x))
    return total / len(data), torch.cat(lengths).sort().values


def free_energy_gap(
    model: Harmonium, mean: Float64[Tensor, ""], val: Split, train: Split, device: torch.device
) -> Float64[Tensor, ""] | None:
    """The mean free energy of `val`, which is `mean`, minus that of the first rows of `train`: log Z drops out.

    Of documents, each length has a log Z of its own: the means are over pairs of equal length, None if there are none.
    """
    rows = torch.arange(min(len(train), _ROWS))
    if model.has_lengths:
        alike, rows = equally_long(_lengths(val.x), _lengths(train.x))
        if not len(rows):
            return None
        mean = _mean_free_energy(model, val, alike, device)
    return mean - _mean_free_energy(model, train, rows, device)


def _mean_free_energy(model: Harmonium, data: Split, rows: Tensor, device: torch.device) -> Float64[Tensor, ""]:
    x, _ = data.batch(rows)
    x = x.to(device) if isinstance(x, Counts) else x.to(model.weight)  # the data stay in single precision
    return model.free_energy(x).double().mean()


def _lengths(x: Tensor | Counts) -> Float[Tensor, " n"]:
    return x.total if isinstance(x, Counts) else x.flatten(1).sum(1)


def _sum_of_statistics(family: ExponentialFamily, x: Tensor | Counts) -> Float[Tensor, " P"]:
    if isinstance(x, Counts):
        return x.transposed_matmul(x.total.new_ones(len(x), 1), family.num_parameters)[:, 0]
    return family.sufficient_statistics(x).sum(0)
