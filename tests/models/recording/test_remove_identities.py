"""remove_identities: what gives back what it is given is left out, unless it is a copy that is needed."""

from __future__ import annotations

import torch
from support.programs import SHAPE, assert_same, operations, without_identities
from torch import Tensor


def test_what_gives_back_what_it_is_given_is_left_out() -> None:
    def program(x: Tensor) -> list[Tensor]:
        return [(x.reshape(SHAPE).expand(SHAPE) * 1.0 / 1).pow(1.0).exp()]

    graph = without_identities(program)
    assert operations(graph) == ["exp"]
    assert_same(graph, program)


def test_other_shapes_factors_and_types_stay() -> None:
    """An integer times 1.0 is a float."""

    def program(x: Tensor) -> list[Tensor]:
        return [(x.view(40, 3) * 2.0).exp(), (torch.arange(3) * 1.0).exp() + x]

    graph = without_identities(program)
    assert operations(graph) == ["view", "mul", "exp", "arange", "mul", "exp", "add"]
    assert_same(graph, program)


def test_what_is_returned_stays_a_tensor_of_its_own() -> None:
    def program(x: Tensor) -> list[Tensor]:
        return [x, x.view(SHAPE), x * 1]

    graph = without_identities(program)
    assert_same(graph, program)
    graph(x := torch.ones(SHAPE))[2].zero_()
    assert torch.equal(x, torch.ones(SHAPE))


def test_a_copy_that_is_written_into_stays() -> None:
    def program(x: Tensor) -> list[Tensor]:
        return [(x * 1).add_(1), x.clone()]

    assert_same(without_identities(program), program)


def test_a_copy_of_what_is_written_into_later_stays() -> None:
    """Also where the write goes through a view."""

    def program(x: Tensor) -> list[Tensor]:
        before = x * 1
        x.view(-1).mul_(2)
        return [before.exp(), x.exp()]

    assert_same(without_identities(program), program)
