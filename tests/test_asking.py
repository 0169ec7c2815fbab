"""A protocol asks a module for its submodules, which isinstance of `typing` does not see from Python 3.12 on."""

from __future__ import annotations

from torch import nn

from vae_lightning.conditional import OfFamily
from vae_lightning.inference.importance import Weighed
from vae_lightning.models import HashingVAE


def test_submodules_are_members() -> None:
    model = HashingVAE(num_bits=3, num_words=5).model
    assert isinstance(model, Weighed)
    assert isinstance(model.encoder, OfFamily)
    assert not isinstance(model, OfFamily)
    assert not isinstance(nn.Linear(2, 2), OfFamily | Weighed)
