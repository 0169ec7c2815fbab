"""Networks of the LiBI paper's worlds: decoders that are the worlds' own, and the units of CubicJTEx's encoder."""

from __future__ import annotations

from functools import partial

import pytest
import torch
from torch import Tensor, nn
from torch.func import functional_call, vmap

from vae_lightning.data.processes import CubicJTEx, Gaussian, LinearJTEx
from vae_lightning.nn import MLP, CholeskyLinear, Cubed, CubeRootMLP, LinearMap
from vae_lightning.nn.jtex import SigmoidAndCubeRoot


def test_decoders_at_the_truth_are_the_worlds():
    z = torch.randn(3, 5, 2, dtype=torch.float64)
    linear, cubic, gaussian = (
        CholeskyLinear((2,), 2).double(),
        Cubed((2,), 2, CholeskyLinear).double(),
        LinearMap((2,), 4),
    )
    mixing = torch.tensor([[0.75, 0.25], [1.5, -1.0]], dtype=torch.float64)
    linear.mixing.data = cubic.network.mixing.data = mixing
    gaussian.double().weight.data = Gaussian().weight
    for network, world in ((linear, LinearJTEx()), (cubic, CubicJTEx()), (gaussian, Gaussian())):
        torch.testing.assert_close(network(z), world.decode(z))


@pytest.mark.parametrize("network", [CholeskyLinear, LinearMap, partial(Cubed, network=CholeskyLinear), CubeRootMLP])
def test_gradients_and_batched_models(network):
    torch.manual_seed(0)
    members, x = [network((2,), 2).double() for _ in range(3)], torch.randn(4, 2, dtype=torch.float64)
    names = [name for name, _ in members[0].named_parameters()]

    def f(*values: Tensor) -> Tensor:
        return functional_call(members[0], dict(zip(names, values, strict=True)), (x,)).sum(0)

    assert torch.autograd.gradcheck(f, tuple(members[0].parameters()))
    stacked = [torch.stack(values) for values in zip(*(m.parameters() for m in members), strict=True)]
    torch.testing.assert_close(vmap(f)(*stacked), torch.stack([m(x).sum(0) for m in members]))


def test_a_factor_that_does_not_exist_is_not_finite_rather_than_an_error():
    network = CholeskyLinear((2,), 2)
    network.mixing.data.fill_(torch.nan)
    assert not network(torch.ones(1, 2)).isfinite().any()


def test_half_sigmoid_half_cube_root():
    x = torch.tensor([[0.5, -3.0, 8.0, -0.027]], dtype=torch.float64)
    found = SigmoidAndCubeRoot()(x)
    torch.testing.assert_close(found[:, :2], x[:, :2].sigmoid())
    torch.testing.assert_close(found[0, 2:], torch.tensor([2.0, -0.3], dtype=torch.float64), rtol=1e-5, atol=0)


def test_the_cube_root_has_a_slope_at_zero():
    x = torch.zeros(2, requires_grad=True)
    SigmoidAndCubeRoot()(x).sum().backward()
    assert x.grad.tolist() == pytest.approx([0.25, 1e-8 ** (-1 / 3)], rel=1e-5)
    x = torch.tensor([1e-3], dtype=torch.float64)
    root = SigmoidAndCubeRoot()(torch.cat((x, x)))[1]
    assert float(root) == pytest.approx(0.1, rel=0.004)


def test_the_encoder_undoes_the_cubes():
    """With the identity in front and behind, two of its four units are the roots of both coordinates."""
    network = CubeRootMLP((2,), 2, hidden=()).double()
    first, last = network.first[0], network.rest.output
    first.weight.data = torch.cat((torch.zeros(2, 2), torch.eye(2))).double()
    last.weight.data = torch.cat((torch.zeros(2, 2), torch.eye(2)), 1).double()
    first.bias.data.zero_()
    last.bias.data.zero_()
    u = torch.tensor([[0.7, -1.2], [2.0, 0.4]], dtype=torch.float64)
    torch.testing.assert_close(network(u**3), u, rtol=1e-5, atol=0)


def test_the_papers_widths():
    layers = [layer for layer in CubeRootMLP((2,), 4).modules() if isinstance(layer, nn.Linear)]
    assert [(layer.in_features, layer.out_features) for layer in layers] == [(2, 4), (4, 20), (20, 4)]


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: CubeRootMLP((2,), 2, units=3), "even number of units"),
        (lambda: CholeskyLinear((2,), 3), "maps d numbers to d"),
        (lambda: CholeskyLinear((2,), 2, shared=0.0), "shared > 0"),
        (lambda: LinearMap((1, 2), 2), r"LinearMap maps vectors; got contexts of shape \(1, 2\)"),
        (lambda: Cubed((2, 2), 2, partial(CholeskyLinear)), "CholeskyLinear maps vectors"),
    ],
)
def test_what_does_not_fit(make, message: str):
    with pytest.raises(ValueError, match=message):
        make()


def test_any_network_can_be_cubed():
    network = Cubed((2,), 3, MLP)
    z = torch.randn(4, 2)
    torch.testing.assert_close(network(z), network.network(z) ** 3)
