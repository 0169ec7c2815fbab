"""Randomness: seeds are functions of their keys, and a seeded block leaves no trace."""

import pytest
import torch

from vae_lightning.randomness import Noise, derive_seed, reseed, seeded


def test_seeds_are_the_same_on_every_machine():
    assert derive_seed(0) == 4761921975702974394
    assert derive_seed("train", 3, 14) == 1576950131092502181


def test_every_key_counts():
    seeds = {
        derive_seed(*keys) for keys in [(0, 1), (1, 0), (0,), (1,), (0, 1, 0), ("a", 1), ("b", 1), (10,), (1, 0, 0)]
    }
    assert len(seeds) == 9
    assert all(0 <= seed < 2**63 for seed in seeds)


def test_a_seeded_block_leaves_no_trace():
    torch.manual_seed(5)
    expected = torch.rand(4)
    torch.manual_seed(5)
    with seeded("validation", 2):
        inside = torch.rand(3)
        torch.randn(1000)
    assert torch.equal(torch.rand(4), expected)
    with seeded("validation", 2):
        assert torch.equal(torch.rand(3), inside)


def test_state_returns_after_an_error_too():
    state = torch.get_rng_state()
    with pytest.raises(KeyError), seeded(1):
        raise KeyError(torch.rand(1))
    assert torch.equal(torch.get_rng_state(), state)


def test_reseed():
    reseed(1, 2)
    first = torch.rand(3)
    reseed(1, 2)
    assert torch.equal(torch.rand(3), first)


def test_noise_is_like_its_model():
    like = torch.zeros(1, dtype=torch.float64)
    for noise in (Noise().uniform((20_000, 2), like), Noise().normal((20_000, 2), like)):
        assert noise.shape == (20_000, 2)
        assert noise.dtype == torch.float64
    torch.manual_seed(0)
    assert abs(Noise().uniform((40_000,), like).mean() - 0.5) < 4 * (1 / 12 / 40_000) ** 0.5
    assert abs(Noise().normal((40_000,), like).mean()) < 4 * (1 / 40_000) ** 0.5
