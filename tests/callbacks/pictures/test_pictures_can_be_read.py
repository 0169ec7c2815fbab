"""Letters of every picture, at the size at which TensorBoard's time series show it: a card of 300 x 205 pixels."""

from __future__ import annotations

from typing import Any

import pytest
import torch
import torch.distributions as td
from matplotlib.figure import Figure
from matplotlib.text import Text

from vae_lightning.callbacks.active_units import bar_chart
from vae_lightning.callbacks.elbo_surgery import surgery_picture
from vae_lightning.callbacks.gallery import render
from vae_lightning.callbacks.hashing.logits_by_length import length_picture
from vae_lightning.callbacks.pictures.curves import paint_curves
from vae_lightning.callbacks.pictures.images import paint_images
from vae_lightning.callbacks.pictures.latent_scatter import scatter
from vae_lightning.callbacks.pictures.plane import paint_plane
from vae_lightning.callbacks.pictures.strips import Strips
from vae_lightning.callbacks.resampled_posterior import posteriors_picture

LEAST = 7  # pixels, of the letters' size; they were between 3 and 6
TITLE = "Traversals: one unit from -3 to 3 prior standard deviations, beside its activity"
SURGERY = dict.fromkeys(("rate", "mutual_information", "marginal_kl"), 2.0)
SURGERY |= {f"{name}_error": 0.1 for name in SURGERY} | {"log_n": 5.88}


def labels(n: int) -> list[str]:
    return [f"z{unit}: 0.012" for unit in range(n)]


def codes(d: int, kinds: int) -> Figure:
    prior = td.Independent(td.Normal(torch.zeros(d), torch.ones(d)), 1)
    return scatter(torch.randn(40, d).double(), torch.arange(40) % kinds, prior)


def posteriors() -> Figure:
    box, density = torch.tensor([[-2.0, -2.0], [2.0, 2.0]]), -torch.rand(20, 20)
    return posteriors_picture(["q(z | x)", "q_EW, k = 5", "q_EW, k = 50"], [(box, [density] * 4)] * 3)


def in_a_card(width: float, height: float) -> float:
    return min(1, 300 / width, 205 / height)


@pytest.mark.parametrize(
    "make",
    [
        pytest.param(lambda: bar_chart(torch.rand(16).double(), 0.01), id="active units"),
        pytest.param(lambda: surgery_picture(SURGERY), id="surgery"),
        pytest.param(lambda: length_picture(torch.arange(1.0, 90), torch.rand(89) + 0.1), id="logits by length"),
        pytest.param(posteriors, id="resampled posterior"),
        pytest.param(lambda: codes(2, 10), id="codes of two dimensions"),
        pytest.param(lambda: codes(5, 20), id="codes of five, twenty labels"),
        pytest.param(lambda: paint_plane(Strips(TITLE, list(torch.randn(9, 5, 2)), labels(9)), torch.randn(50, 2))),
        pytest.param(lambda: paint_curves(Strips(TITLE, list(torch.randn(10, 9, 7)), labels(10))), id="curves"),
        pytest.param(lambda: paint_curves(Strips(TITLE, list(torch.randn(64, 1, 7)))), id="64 curves"),
    ],
)
def test_letters_of_figures(make: Any) -> None:
    figure = make()
    height, width, _ = render(figure).shape
    pixels = in_a_card(width, height) * figure.dpi / 72
    shown = [text for text in figure.findobj(Text) if text.get_text() and text.get_visible()]
    assert shown
    assert {text.get_text(): size for text in shown if (size := text.get_fontsize() * pixels) < LEAST} == {}
    for legend in (*figure.legends, *(axes.get_legend() for axes in figure.axes if axes.get_legend())):
        assert figure.bbox.padded(1).contains(*legend.get_window_extent().min)  # none is cut off
        assert figure.bbox.padded(1).contains(*legend.get_window_extent().max)


@pytest.mark.parametrize(
    ("strips", "length", "side"),
    [(64, 1, 8), (64, 1, 28), (16, 2, 8), (8, 9, 8), (10, 5, 28), (1, 1, 8), (64, 1, 64)],
)
def test_letters_of_images(strips: int, length: int, side: int) -> None:
    """A title of bars, which are as high as letters get, measured in the picture of white images."""
    white = torch.ones(length, 1, side, side)
    picture = paint_images(Strips("||||", [white] * strips), white)
    rows = (picture < 128).any((1, 2)).nonzero()[0]
    height, width, _ = picture.shape
    assert (rows[-1] - rows[0]) * in_a_card(width, height) > LEAST
