"""layout: tensors of few features lie feature-first in memory, with the values they had, whatever is written where."""

from __future__ import annotations

import pytest
import torch
from support.programs import SHAPE, Program, assert_same, drawn, laid_out, operations, unchanged
from torch import Tensor


def lies_feature_first(x: Tensor) -> bool:
    return x.mT.is_contiguous()


def of_an_input(x: Tensor) -> list[Tensor]:
    return [x.exp()]


def of_a_product(x: Tensor) -> list[Tensor]:
    return [(x @ torch.full((2, 3, 5), 0.1)).tanh()]


def of_a_join(x: Tensor) -> list[Tensor]:
    return [torch.cat([x, x * 2], -1) + 1]


def of_a_sums_gradient(x: Tensor) -> list[Tensor]:
    x = x.detach().requires_grad_()
    return list(torch.autograd.grad(x.square().sum(-1).exp().sum(), [x]))


@pytest.mark.parametrize("program", [of_an_input, of_a_product, of_a_join, of_a_sums_gradient])
def test_tensors_of_few_features_are_made_feature_first(program: Program) -> None:
    assert not lies_feature_first(unchanged(program)(drawn(0))[0])
    graph = laid_out(program)
    assert lies_feature_first(graph(drawn(0))[0])
    assert_same(graph, program, rtol=1e-6, atol=1e-6)


def test_many_features_stay_as_they_lie() -> None:
    def program(x: Tensor) -> list[Tensor]:
        return [x.reshape(2, 3, 20).exp() @ torch.ones(2, 20, 30)]

    assert laid_out(program)(drawn(0))[0].is_contiguous()


def test_an_input_that_is_written_into_is_written_into() -> None:
    """As running statistics are, also through a view."""

    def program(x: Tensor) -> list[Tensor]:
        x[:, 1:].mul_(0.9)
        return [x + 1]

    assert_same(laid_out(program), program)


def half_of_it_zeroed_as_a_flat_view(x: Tensor) -> list[Tensor]:
    y = x * 2
    y.view(-1)[::2].zero_()
    return [y + x]


def complex_numbers(x: Tensor) -> list[Tensor]:
    return [torch.view_as_complex(x[..., :2] * 2).abs()]


def read_by_strides(x: Tensor) -> list[Tensor]:
    return [(x * 2).as_strided(SHAPE, (60, 3, 1)) + x]


@pytest.mark.parametrize("program", [half_of_it_zeroed_as_a_flat_view, complex_numbers, read_by_strides])
def test_a_graph_that_asks_how_a_tensor_lies_stays_as_it_is(program: Program) -> None:
    graph = laid_out(program)
    assert operations(graph) == operations(unchanged(program))
    assert_same(graph, program)
