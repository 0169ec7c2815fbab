"""Randomness: seeds are functions of their keys, and a seeded block leaves no trace."""

import pytest
import torch

from vae_lightning.randomness import Noise, derive_seed, drawing_from, reseed, run_seed, seeded


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


class Constant:
    """A source of one number."""

    def __init__(self, number: float) -> None:
        self.number = number

    def uniform(self, shape, like):
        return like.new_full(tuple(shape), self.number)

    normal = uniform


def test_within_a_block_all_noise_comes_from_its_source():
    """The innermost one's; after it, after an error too, the one before."""
    noise, like = Noise(), torch.zeros(1)
    with drawing_from(Constant(2.0)):
        with pytest.raises(KeyError), drawing_from(Constant(3.0)):
            raise KeyError(noise.normal((1,), like).item())
        assert noise.uniform((2,), like).tolist() == [2.0, 2.0]
    torch.manual_seed(5)
    drawn = noise.normal((3,), like)
    torch.manual_seed(5)
    assert torch.equal(drawn, torch.randn(3))


def test_the_seed_of_a_run_is_what_seed_everything_left(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.delenv("PL_GLOBAL_SEED", raising=False)
    assert run_seed() == 0
    monkeypatch.setenv("PL_GLOBAL_SEED", "17")
    assert run_seed() == 17
