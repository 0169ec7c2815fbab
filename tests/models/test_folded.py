"""A folded graph: the same values, bit for bit, by fewer operations, whatever is written where."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor
from torch.fx.experimental.proxy_tensor import make_fx

from vae_lightning.families import Normal
from vae_lightning.models import GaussianVAE
from vae_lightning.models.folded import folded
from vae_lightning.models.recorded import Recorded
from vae_lightning.models.stack import Stack
from vae_lightning.nn import MLP

Step = Callable[[Tensor], list[Tensor]]


def drawn(seed: int) -> Tensor:
    return torch.randn(3, 4, generator=torch.Generator().manual_seed(seed))


def assert_same_values(step: Step) -> list[str]:
    """Folded with one input, it does with others what is written, time after time; gives its operations."""
    graph = folded(make_fx(step)(drawn(0)), drawn(0))
    for seed in (1, 2, 1):
        x, of_folded = drawn(seed), drawn(seed)
        for expected, found in zip(step(x), graph(of_folded), strict=True):
            assert (found.dtype, found.shape) == (expected.dtype, expected.shape)
            assert torch.equal(found, expected)
        assert torch.equal(x, of_folded)  # written into alike
    return [str(node.target) for node in graph.graph.nodes if node.op == "call_function"]


def test_what_gives_back_what_it_is_given_is_left_out() -> None:
    assert assert_same_values(lambda x: [(x.reshape(3, 4).expand(3, 4) * 1.0 / 1).pow(1.0).exp()]) == [
        "aten.exp.default"
    ]


def test_what_depends_on_shapes_alone_is_computed_once() -> None:
    def step(x: Tensor) -> list[Tensor]:
        return [x / torch.full_like(x, 0.1).pow(2).mul(2), x - torch.arange(4).log1p()]

    assert assert_same_values(step) == ["aten.div.Tensor", "aten.sub.Tensor"]


def test_of_a_backward_pass_what_meets_no_weight_is_computed_once() -> None:
    """d mean(w x) / dw = x / 12: the gradient of the mean is a constant."""

    def step(x: Tensor) -> list[Tensor]:
        w = torch.ones(4, requires_grad=True)
        return list(torch.autograd.grad((w * x).mean(), [w]))

    assert assert_same_values(step) == ["aten.mul.Tensor", "aten.sum.dim_IntList", "aten.view.default"]


@pytest.mark.parametrize(
    "step",
    [
        pytest.param(lambda x: [x, x.view(3, 4), x * 1], id="what is returned stays a tensor of its own"),
        pytest.param(lambda x: [(x * 1).add_(1), x.clone()], id="a copy that is written into"),
        pytest.param(lambda x: [(x.view(12) * 1).exp(), x.mul_(2).clone()], id="a copy of what is written into"),
        pytest.param(lambda x: [torch.zeros_like(x).add_(x)], id="a constant that is written into"),
        pytest.param(lambda x: [(t := torch.zeros_like(x)).t().add_(x.t()), t.exp()], id="a constant's transpose"),
        pytest.param(lambda x: [torch.arange(3) * 1.0, (torch.arange(3) * 1.0).exp() + x.sum()], id="a factor's type"),
        pytest.param(
            lambda x: [torch.zeros(4).index_put_((torch.tensor([1]),), x.sum()) + x], id="put into a constant"
        ),
    ],
)
def test_what_is_written_in_place(step: Step) -> None:
    assert_same_values(step)


def test_recordings_of_ensembles_are_folded() -> None:
    """The noise of p(x | z), which is not learned, is a constant in them."""
    stack = Stack([GaussianVAE(2, Normal(2, 0.1), MLP, MLP) for _ in range(2)])
    recorded = Recorded(stack)
    stack.noise.begin("train", 0, 0)
    recorded((torch.ones(2, 5, 2), torch.zeros(2, 5)), 0)
    (recording,) = recorded.made.values()
    assert any(torch.allclose(constant, torch.tensor(0.02)) for constant in recording.replay.buffers())  # 2 sigma^2


def test_who_writes_into_what_is_returned_writes_into_nothing_else() -> None:
    graph = folded(make_fx(lambda x: (torch.ones_like(x).t(), x + torch.ones_like(x)))(drawn(0)), drawn(0))
    graph(drawn(1))[0].zero_()
    ones, more = graph(drawn(1))
    assert torch.equal(ones, torch.ones(4, 3))
    assert torch.equal(more, drawn(1) + 1)


def test_what_is_drawn_is_drawn_each_time() -> None:
    graph = folded(make_fx(lambda x: x + torch.rand(4))(drawn(0)), drawn(0))
    assert not torch.equal(graph(drawn(0)), graph(drawn(0)))


OPERATIONS: list[Callable[[Tensor, Tensor], Tensor]] = [
    lambda a, b: a * 1.0,
    lambda a, b: a.reshape(3, 4),
    lambda a, b: a.t().t(),
    lambda a, b: a.expand(3, 4),
    lambda a, b: a + b,
    lambda a, b: a.add_(b),
    lambda a, b: a.view(12).mul_(0.5).view(3, 4),
    lambda a, b: a[1:2].fill_(0.25).expand(3, 4),
    lambda a, b: torch.full_like(a, 0.5),
    lambda a, b: torch.zeros_like(a).add_(b),
    lambda a, b: torch.ones_like(a).sub(torch.zeros(4)),
    lambda a, b: torch.where(a > 0, b, torch.scalar_tensor(0.0)),
]


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.tuples(st.sampled_from(range(len(OPERATIONS))), st.integers(0, 99), st.integers(0, 99)), max_size=12)
)
def test_any_program(program: list[tuple[int, int, int]]) -> None:
    """Each operation takes two of the tensors that are there; all of them are looked at in the end."""

    def step(x: Tensor) -> list[Tensor]:
        made = [x, x * 2]
        for operation, one, other in program:
            made.append(OPERATIONS[operation](made[one % len(made)].contiguous(), made[other % len(made)]))
        return [tensor + 0.0 for tensor in made]

    assert_same_values(step)
