"""The default Adam: the updates of torch's, in one call, resumed exactly, and from checkpoints made before."""

from __future__ import annotations

import copy
from collections.abc import Callable
from functools import partial
from typing import Any
from unittest.mock import Mock

import pytest
import torch
from lightning.fabric.plugins.precision.amp import _optimizer_handles_unscaling
from torch import Tensor, nn
from torch.optim import Adam

from vae_lightning.families import Normal
from vae_lightning.inference import inference_gaps
from vae_lightning.models import Ensemble, GaussianVAE, LiBI
from vae_lightning.models.libi import adam as adam_of_libi
from vae_lightning.models.optimizers import adam, quick_adam
from vae_lightning.process import without_asking

RATES = {adam: 1e-3, adam_of_libi: 0.01}


def parameters(dtype: torch.dtype = torch.float32) -> list[nn.Parameter]:
    torch.manual_seed(0)
    return [nn.Parameter(torch.randn(shape).to(dtype)) for shape in ((7, 3), (5,), ())]


def steps(made: list[nn.Parameter], optimizer: Any, numbers: range) -> list[Tensor]:
    for number in numbers:
        torch.manual_seed(number)
        for parameter in made:
            parameter.grad = torch.randn_like(parameter)
        optimizer.step()
    return [parameter.detach().clone() for parameter in made]


@pytest.mark.parametrize("default", RATES, ids=["Adam", "LiBI's"])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16, torch.float16])
def test_it_is_torchs_adam_and_fused(default: Callable[..., Any], dtype: torch.dtype) -> None:
    ours, torchs = parameters(dtype), parameters(dtype)
    optimizer = default(ours)
    assert optimizer.param_groups[0]["fused"] is True
    expected = steps(torchs, Adam(torchs, lr=RATES[default]), range(20))
    tolerance = {torch.float32: 1e-6, torch.float64: 1e-12}.get(dtype, 3e-2)
    torch.testing.assert_close(steps(ours, optimizer, range(20)), expected, rtol=tolerance, atol=tolerance)


def test_where_torch_has_no_such_kernel_it_is_the_default() -> None:
    for odd in (nn.Parameter(torch.zeros(2, dtype=torch.complex64)), nn.Parameter(torch.zeros(2, device="meta"))):
        assert adam([*parameters(), odd]).param_groups[0]["fused"] is None


def test_groups_keep_their_settings() -> None:
    first, *rest = parameters()
    made = quick_adam([{"params": [first], "weight_decay": 0.1}, {"params": rest}], 0.5)
    assert [group["weight_decay"] for group in made.param_groups] == [0.1, 0]
    assert [group["lr"] for group in made.param_groups] == [0.5, 0.5]


@pytest.mark.parametrize("before", [adam, partial(Adam, lr=1e-3)], ids=["of its own", "from a checkpoint of torch's"])
def test_resumed_it_goes_on_with_the_same_bits(before: Callable[..., Any]) -> None:
    """A state of the Adam that was the default before goes on as that."""
    whole = parameters()
    expected = steps(whole, before(whole), range(10))
    half = parameters()
    first = before(half)
    steps(half, first, range(5))
    again = [nn.Parameter(value.detach().clone()) for value in half]
    resumed = adam(again)
    resumed.load_state_dict(copy.deepcopy(first.state_dict()))
    found = steps(again, resumed, range(5, 10))
    assert all(torch.equal(one, other) for one, other in zip(found, expected, strict=True))


def test_scaled_gradients_can_be_clipped_before_its_step() -> None:
    """Which the Trainer refuses for torch's own fused Adam."""
    ours, torchs = parameters(), parameters()
    assert not _optimizer_handles_unscaling(adam(ours))
    for made, optimizer in ((ours, adam(ours)), (torchs, Adam(torchs, lr=1e-3))):
        scaler = torch.amp.GradScaler("cpu", init_scale=1024.0)
        scaler.scale(sum(parameter.square().sum() for parameter in made)).backward()
        scaler.unscale_(optimizer)
        nn.utils.clip_grad_norm_(made, 0.1)
        scaler.step(optimizer)
    torch.testing.assert_close(ours, torchs)


def test_an_ensemble_may_mix_it_with_torchs() -> None:
    """They make one update."""
    members = [GaussianVAE(2, Normal(2, 0.1)), GaussianVAE(2, Normal(2, 0.1), optimizer=partial(Adam, lr=0.01))]
    assert Ensemble(members).rates.tolist() == pytest.approx([1e-3, 0.01])
    assert LiBI(2, Normal(2, 0.1)).optimizer is adam_of_libi


@pytest.mark.parametrize(("device", "looked"), [("cpu", 0), ("meta", 5)])
def test_a_step_on_the_cpu_does_not_look_for_gpus(monkeypatch: pytest.MonkeyPatch, device: str, looked: int) -> None:
    """Which torch's does, for three times as long as the step takes."""
    calls = Mock(return_value=None)
    monkeypatch.setattr(torch.accelerator, "current_accelerator", calls)
    made = [nn.Parameter(parameter.to(device)) for parameter in parameters()]
    steps(made, without_asking(Adam(made)), range(5))
    assert calls.call_count == looked


def test_a_model_and_an_ensemble_train_by_such_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    alone = GaussianVAE(2, Normal(2, 0.1))
    optimizers = [
        module.configure_optimizers() for module in (alone, Ensemble([alone, GaussianVAE(2, Normal(2, 0.1))]))
    ]
    monkeypatch.setattr(torch.accelerator, "current_accelerator", Mock(side_effect=AssertionError))
    for optimizer in optimizers:
        steps(optimizer.param_groups[0]["params"], optimizer, range(2))


def test_so_are_the_steps_that_fit_each_observation_a_posterior(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.accelerator, "current_accelerator", calls := Mock(return_value=None))
    counts = []
    for number in (1, 9):
        inference_gaps(GaussianVAE(2, Normal(2, 0.1)).model, torch.zeros(2, 2), steps=number, num_samples=2)
        counts.append(calls.call_count)
        calls.reset_mock()
    assert counts[0] == counts[1]
