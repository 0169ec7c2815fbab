"""Binarisation: intensities in [0, 1] -> 0 or 1 for each pixel, as a function of seeds and ids alone."""

from __future__ import annotations

import abc

import numpy as np
import torch
from jaxtyping import Float, Int64
from torch import Tensor

from vae_lightning.construction.arguments import check_kinds
from vae_lightning.randomness import derive_seed


class Binarisation(abc.ABC):
    """How intensities become zeros and ones; of each observation apart, whatever batch and process it is in."""

    @abc.abstractmethod
    def __call__(
        self, x: Float[Tensor, "B *X"], ids: Int64[Tensor, " B"], draw: int | None = None
    ) -> Float[Tensor, "B *X"]:
        """Zeros and ones for intensities `x`; `draw` is a new number every training epoch, None in evaluation."""


class ThresholdBinarisation(Binarisation):
    """x = 1 where the intensity exceeds `level`, in [0, 1).

    Examples:
        >>> import torch
        >>> from vae_lightning.data import ThresholdBinarisation
        >>> ThresholdBinarisation(0.5)(torch.tensor([[0.2, 0.5, 0.8]]), torch.tensor([0]))
        tensor([[0., 0., 1.]])
    """

    def __init__(self, level: float = 0.5) -> None:
        check_kinds(ThresholdBinarisation, locals())
        if not 0 <= level < 1:
            raise ValueError(f"level must be an intensity in [0, 1), got {level}")
        self.level = level

    def __call__(
        self, x: Float[Tensor, "B *X"], ids: Int64[Tensor, " B"], draw: int | None = None
    ) -> Float[Tensor, "B *X"]:
        """The same pixels every time."""
        return (x > self.level).to(x.dtype)


class StaticBinarisation(Binarisation):
    """x ~ Bernoulli(intensity), drawn once by `seed` for all splits (Salakhutdinov and Murray, 2008).

    Examples:
        >>> import torch
        >>> from vae_lightning.data import StaticBinarisation
        >>> x, ids = torch.full((1000, 1), 0.25), torch.arange(1000)
        >>> view = StaticBinarisation()
        >>> view(x, ids).mean(), torch.equal(view(x, ids, draw=1), view(x, ids, draw=2))  # the same bits in every epoch
        (tensor(0.2520), True)
    """

    def __init__(self, seed: int = 0) -> None:
        check_kinds(StaticBinarisation, locals())
        self.seed = seed

    def __call__(
        self, x: Float[Tensor, "B *X"], ids: Int64[Tensor, " B"], draw: int | None = None
    ) -> Float[Tensor, "B *X"]:
        """The same pixels every time."""
        return bernoulli(x, ids, derive_seed(self.seed, "static binarisation"))


class DynamicBinarisation(Binarisation):
    """x ~ Bernoulli(intensity), drawn anew every training epoch (Burda, Grosse and Salakhutdinov, 2016).

    Training draws are a function of (seed of the run, epoch, id): a resumed run sees the same ones, as does any number
    of processes. Evaluation, also of the training split, is drawn once, as by `StaticBinarisation(seed)`: it does not
    move.

    Examples:
        >>> import torch
        >>> from vae_lightning.data import DynamicBinarisation
        >>> x, ids = torch.full((1000, 1), 0.25), torch.arange(1000)
        >>> view = DynamicBinarisation()
        >>> view(x, ids).mean(), torch.equal(view(x, ids, draw=1), view(x, ids, draw=2))  # new bits in every epoch
        (tensor(0.2520), False)
    """

    def __init__(self, seed: int = 0) -> None:
        check_kinds(DynamicBinarisation, locals())
        self.seed = seed
        self.static = StaticBinarisation(seed)

    def __call__(
        self, x: Float[Tensor, "B *X"], ids: Int64[Tensor, " B"], draw: int | None = None
    ) -> Float[Tensor, "B *X"]:
        """Another one for every draw."""
        return self.static(x, ids) if draw is None else bernoulli(x, ids, draw)


def bernoulli(x: Float[Tensor, "B *X"], ids: Int64[Tensor, " B"], key: int) -> Float[Tensor, "B *X"]:
    """One draw from Bernoulli(x), pixel n of observation i a function of (key, i, n)."""
    noise = torch.from_numpy(uniform(key, ids.numpy(), x[0].numel() if len(x) else 0)).to(x.device)
    return (noise.view_as(x) < x).to(x.dtype)


_GAMMA = np.uint64(0x9E3779B97F4A7C15)
_MIX = ((30, np.uint64(0xBF58476D1CE4E5B9)), (27, np.uint64(0x94D049BB133111EB)))


def uniform(key: int, ids: np.ndarray, size: int) -> np.ndarray:
    """(B, size) of U[0, 1) in steps of 2^-24, row b a function of (key, ids[b]) whatever the other rows are.

    Row b reads SplitMix64 started at the ids[b]-th number that SplitMix64 gives from `key`, each number cut into two.
    Source: G. Steele, D. Lea and C. Flood, Fast splittable pseudorandom number generators (2014).
    """
    streams = _mixed(ids.astype(np.uint64) * _GAMMA + np.uint64(key))
    words = _mixed(streams[:, None] + np.arange(1, size // 2 + size % 2 + 1, dtype=np.uint64) * _GAMMA)
    halves = words.view(np.uint32)[:, :size] >> np.uint32(8)
    return halves.astype(np.float32) * np.float32(2**-24)


def _mixed(words: np.ndarray) -> np.ndarray:
    """SplitMix64's finaliser: a bijection of the 64-bit words that looks random."""
    for shift, factor in _MIX:
        words ^= words >> np.uint64(shift)
        words *= factor
    words ^= words >> np.uint64(31)
    return words
