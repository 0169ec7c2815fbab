"""FullBatch and Stacked: the data of an ensemble's members, side by side."""

from types import SimpleNamespace

import pytest
import torch
from lightning.pytorch.demos.boring_classes import BoringModel

from vae_lightning.data import Arrays, Digits, DynamicBinarisation, FullBatch, Stacked, Synthetic
from vae_lightning.data.processes import LinearJTEx


def world(seed: int, **changes: int) -> Synthetic:
    return Synthetic(LinearJTEx(), (20, 7, 5), seed=seed, **changes)


def test_a_member_sees_what_it_would_see_alone() -> None:
    alone = [world(seed, batch_size=6, eval_batch_size=4) for seed in (0, 1, 1)]
    data = Stacked(alone)
    data.setup()
    for split in ("train", "val", "test"):
        loaders = [getattr(each, f"{split}_dataloader")() for each in alone]
        stacked = getattr(data, f"{split}_dataloader")()
        assert len(stacked) == len(loaders[0])
        for (x, y), *batches in zip(stacked, *loaders, strict=True):
            assert torch.equal(x, torch.stack([batch[0] for batch in batches]))
            assert torch.equal(y, torch.stack([batch[1] for batch in batches]))


def test_full_batches_are_the_whole_split_in_its_order_and_never_copied() -> None:
    data = Stacked([FullBatch(world(seed), steps=4) for seed in (0, 1)])
    data.setup()
    batches = list(data.train_dataloader())
    assert len(batches) == 4
    assert torch.equal(batches[0][0][1], data.members[1].train.x)
    assert all(batch is batches[0] for batch in batches)


def test_a_loader_goes_on_in_mid_epoch() -> None:
    data = Stacked([FullBatch(world(0), steps=5), FullBatch(world(1), steps=5)])
    data.setup()
    loader, resumed = data.train_dataloader(), data.train_dataloader()
    loader.sampler.set_epoch(3)
    batches = iter(loader)
    next(batches), next(batches)
    resumed.load_state_dict(loader.state_dict())
    resumed.sampler.set_epoch(3)
    assert len(list(resumed)) == 3
    resumed.sampler.set_epoch(4)
    assert len(list(resumed)) == 5


def test_a_checkpoint_of_full_batches_without_their_size_goes_on() -> None:
    """As those before full batches were an order of the training loader."""
    data = FullBatch(world(0), steps=5)
    data.setup()
    loader = data.train_dataloader()
    loader.load_state_dict({"epoch": 3, "batches": 2})
    loader.sampler.set_epoch(3)
    assert len(list(loader)) == 3


class Members(BoringModel):
    """A model of members with seeds of their own."""

    seeds = (7, 8)


def test_the_order_of_minibatches_has_the_seed_of_the_models_member() -> None:
    data = Stacked([world(0, batch_size=6)], times=2)
    data.setup()
    data.trainer = SimpleNamespace(lightning_module=Members())
    assert [order.seed for order in data.train_dataloader().sampler.orders] == [7, 8]
    data.trainer = SimpleNamespace(lightning_module=BoringModel())
    assert [order.seed for order in data.train_dataloader().sampler.orders] == [0, 0]


def test_mistakes_are_one_clear_line() -> None:
    with pytest.raises(ValueError, match="steps >= 1 in an epoch, got 0"):
        FullBatch(world(0), steps=0)
    with pytest.raises(ValueError, match="a data module for each member, got none"):
        Stacked([])
    with pytest.raises(ValueError, match=r"equally many observations, their val splits have \[6, 7\]"):
        Stacked([world(0), Synthetic(LinearJTEx(), (20, 6, 5))]).setup()
    drawn = FullBatch(Digits(binarisation=DynamicBinarisation()))
    drawn.setup()
    with pytest.raises(ValueError, match="data that stay the same"):
        drawn.train_dataloader()


def standardised(x: torch.Tensor) -> Arrays:
    data = Arrays(x, standardise=True)
    data.setup()
    return data


def test_a_full_batch_keeps_what_its_data_keep():
    """Rows of another file used to be standardised by themselves, and not as the checkpoint's were."""
    x = torch.randn(20, 3, generator=torch.Generator().manual_seed(0))
    old, new = (FullBatch(Arrays(rows, standardise=True)) for rows in (x, 10 * x + 3))
    for data in (old, new):
        data.setup()
    new.load_state_dict(old.state_dict())
    torch.testing.assert_close(new.test.x, standardised(x).to_model(10 * x + 3)[new.test.ids])
    new.load_state_dict({"seed": 1})  # of a checkpoint that says no more
    with pytest.raises(ValueError, match="the checkpoint's rows have the columns 0, 1, 2, and these 0, 1: give"):
        FullBatch(Arrays(x[:, :2])).load_state_dict(old.state_dict())


def test_members_keep_what_their_data_keep() -> None:
    """Rows of another file used to be standardised by themselves."""
    x = torch.randn(20, 3, generator=torch.Generator().manual_seed(0))
    old, new = (Stacked([standardised(scale * x), standardised(x.exp() * scale)], times=2) for scale in (1, 10))
    new.load_state_dict(old.state_dict())
    for part, data in zip((x, x, x.exp(), x.exp()), new.members, strict=True):
        torch.testing.assert_close(data.test.x, standardised(part).to_model(10 * part)[data.test.ids])
    new.load_state_dict({})  # of a checkpoint that says no more
    with pytest.raises(ValueError, match="the checkpoint's data are for 4 members, and these for 1"):
        Stacked([standardised(x)]).load_state_dict(old.state_dict())


def test_a_run_goes_on_with_the_seed_of_its_order_and_a_new_one_has_its_own() -> None:
    data = Stacked([world(0, batch_size=6)])
    data.load_state_dict({"members": [{"seed": 5}]})
    seeds = []
    for step in (1, 0):
        data.trainer = SimpleNamespace(global_step=step, lightning_module=BoringModel())
        data.setup("fit")
        seeds += [order.seed for order in data.train_dataloader().sampler.orders]
    assert seeds == [5, 0]
