"""What the LiBI study computes exactly: densities of trained decoders, posterior means, Figure 1."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn

from vae_lightning.data.processes import CubicJTEx, LinearJTEx, Mobius
from vae_lightning.process import default_dtype
from vae_lightning.studies.libi.decoded import DecodedPlane
from vae_lightning.studies.libi.methods import METHODS, Training
from vae_lightning.studies.libi.pictures import preferences
from vae_lightning.studies.libi.posteriors import fit_inference, posterior_means
from vae_lightning.studies.libi.worlds import WORLDS


class TheMap(nn.Module):
    """The Mobius map as a network."""

    def forward(self, z: Tensor) -> Tensor:
        return Mobius().decode(z)


def test_a_decoder_is_integrated_over_its_codes_as_over_its_images() -> None:
    x = Mobius().sample(40, torch.Generator().manual_seed(0)).double()
    exact, decoded = Mobius().log_prob(x), DecodedPlane(TheMap(), Mobius().noise_variance).log_prob(x)
    torch.testing.assert_close(decoded, exact, atol=1e-6, rtol=0)


@pytest.mark.parametrize("name", ["LinearJTEx", "CubicJTEx", "Gaussian"])
def test_a_decoder_with_the_truths_weights_is_the_truth(name: str) -> None:
    world = WORLDS[name]
    with default_dtype(torch.float64):
        module: Any = METHODS["VAE"].build(world, {}, Training(1000, True))
    mixing = torch.tensor([[0.75, 0.25], [1.5, -1.0]])
    for parameter in module.model.decoder.parameters():
        parameter.data.copy_(world.truth.weight if name == "Gaussian" else mixing)  # type: ignore[attr-defined]
    x, z = world.truth.sample(20, torch.Generator().manual_seed(0)).double(), torch.randn(20, 2, dtype=torch.float64)
    torch.testing.assert_close(world.learned_by(module).log_prob(x), world.truth.log_prob(x))
    joint = module.model.decoder(z).log_prob(x) + module.model.prior().log_prob(z)
    torch.testing.assert_close(world.truth.log_joint(x, z), joint, rtol=1e-4, atol=1e-3)  # the scale is in float32


def test_posterior_means_in_the_plane_are_those_of_a_fine_grid() -> None:
    truth, x = CubicJTEx(), torch.tensor([[0.5, -0.2], [0.02, 0.4], [1.0, 3.0]], dtype=torch.float64)
    axis = torch.linspace(-3, 3, 1201, dtype=torch.float64)
    z = torch.cartesian_prod(axis, axis)
    weights = torch.stack([truth.log_joint(row, z).softmax(0) for row in x])
    torch.testing.assert_close(posterior_means(truth, x), weights @ z, atol=1e-6, rtol=0)


def test_posterior_means_of_a_linear_world_are_in_closed_form_and_of_a_network_unknown() -> None:
    x = torch.tensor([[0.3, -1.0]])
    expected = torch.tensor([[1.2462986149, 0.0033776730], [-0.9586698699, 0.6957204199]]) @ x[0]  # goldens, item 1
    torch.testing.assert_close(posterior_means(LinearJTEx(), x)[0].float(), expected)
    with pytest.raises(TypeError, match="posterior means are known of linear and planar"):
        posterior_means(DecodedPlane(TheMap(), Mobius().noise_variance), x)


def test_inference_for_a_fixed_truth_finds_the_best_mean_field_posterior() -> None:
    truth, x = LinearJTEx(), LinearJTEx().sample(200, torch.Generator().manual_seed(0))
    torch.manual_seed(0)
    module = METHODS["VAE"].build(WORLDS["LinearJTEx"], {}, Training(1000, True))
    model = fit_inference(module.model, truth, x, 3000, 0)
    torch.testing.assert_close(model.encoder(x).mean.double(), truth.mean_field()(x).mean, atol=0.06, rtol=0)


def test_the_maps_over_b_are_those_of_figure_1() -> None:
    """Goldens, item 1: the ELBO prefers a high B11 and a low B22, where the information is neither least nor most."""
    gaps, information = preferences()
    at = divmod(int(gaps.argmin()), 50)
    assert at == (0, 49)  # B22 = 0.0001, B11 = 0.0099
    assert (float(gaps[at]), float(information[at])) == pytest.approx((0.009454, 7.045681), abs=1e-6)
    assert divmod(int(gaps.argmax()), 50) == (49, 0)
    assert (float(information.min()), float(information.max())) == pytest.approx((4.748121, 9.343241), abs=2e-6)
