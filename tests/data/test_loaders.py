"""Loaders: which process sees which observation when, and how an epoch goes on after an interruption."""

from __future__ import annotations

import itertools

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from vae_lightning.counts import Counts
from vae_lightning.data.loaders import EvaluationLoader, Observations, TrainingLoader
from vae_lightning.data.orders import EvaluationOrder, TrainingOrder

nums, batch_sizes, worlds = st.integers(0, 70), st.integers(1, 9), st.integers(1, 5)


def training_orders(num: int, batch_size: int, world: int, seed: int = 0, epoch: int = 0) -> list[list[list[int]]]:
    """Rows by process and step."""
    orders = [TrainingOrder(num, batch_size, seed, rank, world) for rank in range(world)]
    for order in orders:
        order.set_epoch(epoch)
    return [[rows.tolist() for rows in order] for order in orders]


@given(nums, batch_sizes, worlds)
def test_training_shows_each_observation_once_an_epoch_in_equally_many_steps(
    num: int, batch_size: int, world: int
) -> None:
    num += world
    by_rank = training_orders(num, batch_size, world)
    steps = [len(steps) for steps in by_rank]
    assert set(steps) == {len(TrainingOrder(num, batch_size, 0, 0, world))}
    seen = list(itertools.chain(*itertools.chain(*by_rank)))
    rest = num % (batch_size * world)
    left_out = rest if rest < world else 0
    assert len(seen) == len(set(seen)) == num - left_out
    for step in zip(*by_rank, strict=True):
        sizes = [len(rows) for rows in step]
        assert max(sizes) - min(sizes) <= 1
        assert max(sizes) <= batch_size


@given(nums, batch_sizes, worlds)
def test_the_weighted_mean_over_processes_is_that_over_the_observations_of_a_step(
    num: int, batch_size: int, world: int
) -> None:
    num += world
    weights = [TrainingOrder(num, batch_size, 0, rank, world).weight for rank in range(world)]
    for step, shares in enumerate(zip(*training_orders(num, batch_size, world), strict=True)):
        means = [sum(rows) / len(rows) for rows in shares]
        whole = list(itertools.chain(*shares))
        found = sum(weight(step) * mean for weight, mean in zip(weights, means, strict=True)) / world
        assert found == pytest.approx(sum(whole) / len(whole))
        if len(whole) == batch_size * world:
            assert [weight(step) for weight in weights] == [1.0] * world


@given(nums, batch_sizes, worlds)
def test_a_step_works_on_the_same_observations_on_any_number_of_processes(
    num: int, batch_size: int, world: int
) -> None:
    """W processes with batches of B take the steps of one process with batches of W B."""
    num += world
    alone = training_orders(num, batch_size * world, 1)[0]
    together = zip(*training_orders(num, batch_size, world), strict=True)
    for one, shares in zip(alone, together, strict=False):
        assert one == list(itertools.chain(*shares))


@given(nums, batch_sizes, worlds)
def test_evaluation_gives_batch_b_to_process_b_mod_w(num: int, batch_size: int, world: int) -> None:
    expected = [list(range(start, min(start + batch_size, num))) for start in range(0, num, batch_size)]
    for rank in range(world):
        order = EvaluationOrder(num, batch_size, rank, world)
        batches = [rows.tolist() for rows in order]
        assert batches == expected[rank::world]
        assert len(order) == len(batches)
        assert all(order[n].tolist() == batch for n, batch in enumerate(batches))


def test_the_order_is_a_function_of_seed_and_epoch() -> None:
    first = training_orders(50, 8, 1, seed=3, epoch=2)
    torch.rand(7)
    assert training_orders(50, 8, 1, seed=3, epoch=2) == first
    assert training_orders(50, 8, 1, seed=4, epoch=2) != first
    assert training_orders(50, 8, 1, seed=3, epoch=1) != first


def test_too_few_observations_for_the_processes() -> None:
    with pytest.raises(ValueError, match="2 training observations cannot be shared by 3 processes"):
        TrainingOrder(2, 1, 0, 0, 3)
    with pytest.raises(ValueError, match="batch_size must be at least 1, got 0"):
        TrainingOrder(2, 0)


@given(st.integers(0, 2**32), st.integers(1, 12), st.lists(st.integers(0, 11), max_size=20))
def test_selecting_rows_of_counts_is_selecting_dense_rows(seed: int, num: int, rows: list[int]) -> None:
    generator = torch.Generator().manual_seed(seed)
    dense = torch.poisson(torch.full((num, 6), 0.4), generator)  # with empty rows
    chosen = torch.tensor([row % num for row in rows], dtype=torch.int64)
    selected = Counts.from_dense(dense).select(chosen)
    assert selected.dense(6).equal(dense[chosen])
    assert selected.total.equal(dense[chosen].sum(-1))


def observations(num: int) -> Observations:
    return Observations.numbered(torch.arange(num) * 10, torch.arange(num))


def test_a_batch_is_x_and_y_of_the_same_rows() -> None:
    sparse = Observations.numbered(Counts.from_dense(torch.eye(5)), torch.arange(5))
    for data, read in ((observations(5), lambda x: x // 10), (sparse, lambda x: x.dense(5).argmax(-1))):
        for x, y in TrainingLoader(data, TrainingOrder(5, 2)):
            assert read(x).equal(y)
    with pytest.raises(ValueError, match="equally many, got 2, 3 and 3"):
        Observations.numbered(torch.zeros(2), torch.zeros(3))


def labels(loader: TrainingLoader, epoch: int) -> list[list[int]]:
    loader.sampler.set_epoch(epoch)
    return [y.tolist() for _, y in loader]


@pytest.mark.parametrize("done", range(7))
def test_an_epoch_goes_on_after_the_batches_done(done: int) -> None:
    loader = TrainingLoader(observations(50), TrainingOrder(50, 8, seed=5))
    whole, following = labels(loader, 3), labels(loader, 4)
    loader.sampler.set_epoch(3)
    list(itertools.islice(loader, done))
    # `islice` leaves the loader in mid-epoch, as a process that was killed after saving this state
    state = loader.state_dict() if done else {**loader.state_dict(), "epoch": 3, "batches": 0}

    resumed = TrainingLoader(observations(50), TrainingOrder(50, 8, seed=5))
    resumed.load_state_dict(state)
    assert resumed.state_dict() == state
    iterator = iter(resumed)  # made before the epoch is set, as Lightning does
    resumed.sampler.set_epoch(3)
    assert len(resumed) == len(whole)
    assert [y.tolist() for _, y in iterator] == whole[done:]
    assert labels(resumed, 4) == following
    assert labels(resumed, 3) == whole


def test_another_epoch_skips_nothing() -> None:
    loader = TrainingLoader(observations(50), TrainingOrder(50, 8))
    expected = labels(loader, 4)
    loader.load_state_dict({"step_size": 8, "epoch": 3, "batches": 7})
    assert labels(loader, 4) == expected


def test_a_mid_epoch_checkpoint_of_other_steps_is_refused() -> None:
    state = {"step_size": 16, "epoch": 0, "batches": 2}
    loader = TrainingLoader(observations(50), TrainingOrder(50, 8))
    loader.load_state_dict(state)
    with pytest.raises(ValueError, match="16 observations a step, which now has 8: resume with the same batch size"):
        next(iter(loader))
    loader.load_state_dict({**state, "epoch": 1})  # between epochs nothing has to be skipped
    next(iter(loader))


def test_loaders_leave_the_global_random_state_alone() -> None:
    before = torch.get_rng_state()
    list(TrainingLoader(observations(20), TrainingOrder(20, 3)))
    list(EvaluationLoader(observations(20), EvaluationOrder(20, 3)))
    assert torch.get_rng_state().equal(before)


def test_no_observations_at_all_are_not_a_matter_of_processes() -> None:
    with pytest.raises(ValueError, match="there are no training observations: set fewer aside"):
        TrainingOrder(0, 8)
