"""Lightning's hooks are quicker and the same: a module's attributes, and the signature that the loop asks for."""

from __future__ import annotations

import inspect
from unittest.mock import Mock

import pytest
import torch
from lightning.pytorch.utilities.signature_utils import is_param_in_hook_signature
from torch import nn

from vae_lightning.families import Normal
from vae_lightning.models import Ensemble, GaussianVAE


def test_the_hook_that_runs_is_an_attribute_and_all_else_is_torchs(monkeypatch: pytest.MonkeyPatch) -> None:
    module = GaussianVAE(2, Normal(2, 0.1))
    with monkeypatch.context() as without_torchs:
        without_torchs.setattr(nn.Module, "__setattr__", Mock(side_effect=AssertionError))
        module._current_fx_name = "training_step"
    assert module._current_fx_name == "training_step"
    module.added = nn.Linear(2, 2)
    assert "added.weight" in dict(module.named_parameters())
    with pytest.raises(TypeError, match="cannot assign"):
        module.added = torch.zeros(2)


@pytest.mark.parametrize("kind", [GaussianVAE, Ensemble])
def test_lightning_finds_the_arguments_of_a_training_step(kind: type[GaussianVAE] | type[Ensemble]) -> None:
    step = kind.training_step
    assert "__signature__" in vars(step)  # else Python works it out at each batch
    assert [*inspect.signature(step).parameters] == ["self", "batch", "batch_idx"]
    assert is_param_in_hook_signature(step, "batch_idx", min_args=2)
