"""OneHotLinear: one row of outputs for each code."""

from __future__ import annotations

import jaxtyping
import pytest
import torch
import torch.nn.functional as F

from vae_lightning.nn import OneHotLinear


def test_it_is_a_linear_map_of_the_one_hot_representation() -> None:
    network = OneHotLinear((3,), 5)
    bits = torch.randint(2, (4, 7, 3)).float()
    code = (4 * bits[..., 0] + 2 * bits[..., 1] + bits[..., 2]).long()
    torch.testing.assert_close(network(bits), F.one_hot(code, 8).float() @ network.weight)


def test_it_starts_where_told_with_the_first_bit_slowest() -> None:
    network = OneHotLinear((2,), 1, weight=[[0.0], [1.0], [2.0], [3.0]])
    assert network(torch.tensor([[0.0, 1.0], [1.0, 0.0]])).tolist() == [[1.0], [2.0]]


def test_it_starts_from_whole_numbers_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(jaxtyping.config, "jaxtyping_disable", True)  # as in use, where nothing else checks them
    assert OneHotLinear((1,), 1, weight=[[0], [1]]).weight.tolist() == [[0.0], [1.0]]


def test_gradients_reach_the_rows_of_the_codes_seen() -> None:
    network = OneHotLinear((2,), 1)
    network(torch.tensor([[1.0, 1.0], [1.0, 1.0]])).sum().backward()
    assert network.weight.grad is not None
    assert network.weight.grad.flatten().tolist() == [0, 0, 0, 2]


def test_codes_of_more_than_12_bits_are_refused() -> None:
    with pytest.raises(ValueError, match="at most 12 bits"):
        OneHotLinear((13,), 2)


def test_a_weight_of_another_shape_is_refused() -> None:
    with pytest.raises(ValueError, match=r"4 codes x 2 outputs, got \(2, 2\)"):
        OneHotLinear((2,), 2, weight=[[0.0, 1.0], [1.0, 0.0]])
