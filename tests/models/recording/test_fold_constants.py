"""fold_constants: what is the same at every step is computed once, unless it is drawn or written into."""

from __future__ import annotations

import pytest
import torch
from support.programs import SHAPE, Program, assert_same, drawn, operations, unchanged, with_constants
from torch import Tensor

from vae_lightning.models.recording.fold_constants import fold_constants


def test_what_depends_on_shapes_alone_is_computed_once() -> None:
    def program(x: Tensor) -> list[Tensor]:
        variance = torch.full_like(x, 0.1).pow(2).mul(2)
        return [x / variance, x - torch.arange(3).log1p()]

    graph = with_constants(program)
    assert operations(graph) == ["div", "sub"]
    assert_same(graph, program)


def test_of_a_backward_pass_what_meets_no_weight_is_computed_once() -> None:
    """d mean(w x) / dw = sum(x / 120): the gradient of the mean is a constant."""

    def program(x: Tensor) -> list[Tensor]:
        w = torch.ones(3, requires_grad=True)
        return list(torch.autograd.grad((w * x).mean(), [w]))

    assert "div" in operations(unchanged(program))
    graph = with_constants(program)
    assert operations(graph) == ["mul", "sum", "view"]
    assert_same(graph, program)


def test_what_nobody_reads_is_dropped() -> None:
    def program(x: Tensor) -> list[Tensor]:
        x.exp()
        return [x + 1]

    assert operations(with_constants(program)) == ["add"]


def filled(x: Tensor) -> list[Tensor]:
    return [torch.zeros_like(x).add_(x)]


def filled_through_its_transpose(x: Tensor) -> list[Tensor]:
    constant = torch.zeros_like(x)
    constant.mT.add_(x.mT)
    return [constant.exp()]


def filled_at_an_index(x: Tensor) -> list[Tensor]:
    return [torch.zeros(3).index_put_((torch.tensor([1]),), x.sum()) + x]


def filled_as_an_argument(x: Tensor) -> list[Tensor]:
    constant = torch.ones(SHAPE)
    torch.mul(x, 2, out=constant)
    return [constant + x]


@pytest.mark.parametrize("program", [filled, filled_through_its_transpose, filled_at_an_index, filled_as_an_argument])
def test_what_is_written_into_is_no_constant(program: Program) -> None:
    assert_same(with_constants(program), program)


def test_who_writes_into_a_result_writes_into_no_constant() -> None:
    def program(x: Tensor) -> list[Tensor]:
        return [torch.ones_like(x).mT, x + torch.ones_like(x)]

    graph = with_constants(program)
    graph(drawn(1))[0].zero_()
    assert_same(graph, program)


def test_what_is_drawn_is_drawn_each_time() -> None:
    graph = with_constants(lambda x: [x + torch.rand(3)])
    assert not torch.equal(graph(drawn(0))[0], graph(drawn(0))[0])


def test_constants_are_read_off_a_run_into_whose_inputs_the_graph_may_write() -> None:
    graph = unchanged(lambda x: [x.mul_(0.0) + torch.ones_like(x)])
    x = torch.ones(SHAPE)
    fold_constants(graph, [x])
    assert torch.equal(x, torch.zeros(SHAPE))
