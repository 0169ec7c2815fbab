"""Binarisation: Bernoulli draws that are a function of seeds and ids, against SplitMix64 in plain Python."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice

import numpy as np
import pytest
import torch
from scipy import stats

from vae_lightning.data import Binarisation, DynamicBinarisation, StaticBinarisation, ThresholdBinarisation
from vae_lightning.data.images.binarise import bernoulli, uniform

ALL = [ThresholdBinarisation(), StaticBinarisation(3), DynamicBinarisation(3)]
IDS = torch.arange(100, 160)
X = torch.rand(60, 1, 4, 5, generator=torch.Generator().manual_seed(0))


def splitmix64(state: int) -> Iterator[int]:
    while True:
        state = (state + 0x9E3779B97F4A7C15) % 2**64
        word = ((state ^ state >> 30) * 0xBF58476D1CE4E5B9) % 2**64
        word = ((word ^ word >> 27) * 0x94D049BB133111EB) % 2**64
        yield word ^ word >> 31


def test_rows_are_streams_of_splitmix64() -> None:
    known = [6457827717110365317, 3203168211198807973, 9817491932198370423]  # from 1234567, as published
    assert list(islice(splitmix64(1234567), 3)) == known
    key, ids, size = 2**62 + 12345, [1, 7, 30], 5
    streams = list(islice(splitmix64(key), max(ids)))
    for row, name in zip(uniform(key, np.array(ids), size), ids, strict=True):
        words = list(islice(splitmix64(streams[name - 1]), 3))
        halves = [half for word in words for half in (word % 2**32, word >> 32)][:size]
        assert row.tolist() == [(half >> 8) / 2**24 for half in halves]


def test_noise_is_uniform_and_neighbours_are_unrelated() -> None:
    """Over 200 keys x 50 ids x 64 pixels: a chi-square test on 256 cells, and correlations within 4 standard errors."""
    noise = np.stack([uniform(key, np.arange(50), 64) for key in range(200)]).astype(np.float64)
    assert noise.min() >= 0
    assert noise.max() < 1
    assert stats.chisquare(np.histogram(noise, 256, (0, 1))[0]).pvalue > 1e-3
    centred = (noise - 0.5) * 12**0.5
    for axis in range(3):  # from key to key, from id to id, from pixel to pixel
        products = np.diff(centred, axis=axis) ** 2 / 2  # 1 - correlation
        ahead, behind = np.delete(centred, 0, axis), np.delete(centred, -1, axis)
        assert abs((ahead * behind).mean()) < 4 / products.size**0.5


def test_draws_have_the_intensities_as_means() -> None:
    """z-scores over 2,000 draws of 1,200 pixels have mean square 1, to 4 standard errors of (2 / 1,200)^0.5."""
    draws = 2_000
    mean = torch.stack([bernoulli(X, IDS, key) for key in range(draws)]).double().mean(0)
    x = X.double()
    z = (mean - x) / (x * (1 - x) / draws).sqrt()
    assert abs(float(z.square().mean()) - 1) < 4 * (2 / z.numel()) ** 0.5


def test_black_is_never_drawn_white_and_white_always() -> None:
    for key in range(200):
        assert bernoulli(torch.zeros(60, 8, 8), IDS, key).max() == 0
        assert bernoulli(torch.ones(60, 8, 8), IDS, key).min() == 1


@pytest.mark.parametrize("binarise", ALL, ids=lambda b: type(b).__name__)
@pytest.mark.parametrize("draw", [None, 5])
def test_an_observation_does_not_depend_on_its_batch(binarise: Binarisation, draw: int | None) -> None:
    whole = binarise(X, IDS, draw)
    assert whole.shape == X.shape
    assert whole.dtype == torch.float32
    assert set(whole.unique().tolist()) == {0.0, 1.0}
    rows = torch.tensor([41, 3, 17])
    assert binarise(X[rows], IDS[rows], draw).equal(whole[rows])
    assert binarise(X[:0], IDS[:0], draw).shape == (0, 1, 4, 5)


@pytest.mark.parametrize("binarise", ALL, ids=lambda b: type(b).__name__)
def test_only_dynamic_binarisation_draws_anew(binarise: Binarisation) -> None:
    first, second, fixed = (binarise(X, IDS, draw) for draw in (1, 2, None))
    anew = isinstance(binarise, DynamicBinarisation)
    assert first.equal(second) != anew
    assert first.equal(fixed) != anew
    assert binarise(X, IDS).equal(fixed)


def test_seeds_and_levels() -> None:
    assert not StaticBinarisation(1)(X, IDS).equal(StaticBinarisation(2)(X, IDS))
    assert DynamicBinarisation(1)(X, IDS).equal(StaticBinarisation(1)(X, IDS))
    assert ThresholdBinarisation(0.3)(torch.tensor([[0.0, 0.3, 0.31]]), IDS[:1]).tolist() == [[0, 0, 1]]
    with pytest.raises(ValueError, match=r"level must be an intensity in \[0, 1\), got 1"):
        ThresholdBinarisation(1.0)
