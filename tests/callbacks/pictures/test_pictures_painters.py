"""What pictures are made of: strips of images, points and curves; ways between codes; codes over the prior."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import torch.distributions as td
from matplotlib.colors import to_rgb
from sklearn.decomposition import PCA
from support.models import NUM_BITS, events, hashing, newsgroups, trainer
from torch import Size, Tensor

from vae_lightning.callbacks import Consistency, Diagnostic, Interpolations, LatentScatter, SmoothKNN
from vae_lightning.callbacks.pictures.codes import BitCodes, GaussianCodes, codes_of
from vae_lightning.callbacks.pictures.curves import paint_curves
from vae_lightning.callbacks.pictures.latent_scatter import scatter
from vae_lightning.callbacks.pictures.painters import painter
from vae_lightning.callbacks.pictures.plane import paint_plane
from vae_lightning.callbacks.pictures.strips import Strips
from vae_lightning.conditional import Conditional
from vae_lightning.families import Bernoulli, Categorical, Normal, PartlyObserved
from vae_lightning.latent_variable import LatentVariableModel
from vae_lightning.models import GaussianVAE
from vae_lightning.nn import MLP
from vae_lightning.priors import FactorisedPrior, Mixture

NOTHING = torch.zeros(0)


# -- painters --------------------------------------------------------------------------------------------------------


def test_colours_are_clamped_and_large_images_are_not_enlarged() -> None:
    image = torch.tensor([-0.5, 0.5, 1.5])[:, None, None].expand(1, 3, 50, 60)
    seen = painter(Size([3, 50, 60]))(Strips("A title", [image]), NOTHING)
    np.testing.assert_array_equal(seen[-54:, :68][4:-4, 4:-4][:, :60], np.full((46, 60, 3), [0, 128, 255]))
    assert seen.shape[0] == 16 + 8 + 50 + 2 * 4  # a line of text, and the image in its margin


def test_the_limits_of_the_data_are_black_and_white() -> None:
    image = torch.rand(2, 3, 48, 48)
    plain = painter(Size([3, 48, 48]))(Strips("A title", [image]), NOTHING)
    signed = painter(Size([3, 48, 48]), (-1.0, 1.0))(Strips("A title", [image * 2 - 1]), NOTHING)
    assert np.abs(signed.astype(int) - plain).max() <= 1


def test_shorter_strips_end_in_white() -> None:
    black = torch.zeros(3, 1, 48, 48)
    seen = painter(Size([1, 48, 48]))(Strips("A title", [black, black[:1]]), NOTHING)
    upper, lower = seen[-112:][4:54, 4:], seen[-112:][58:108, 4:]
    assert (upper[24, :148] == 0).all(-1).sum() == 3 * 48
    assert (lower[20, :148] == 0).all(-1).sum() == 48


def test_points_lie_over_the_data() -> None:
    data, path = torch.randn(50, 2), torch.tensor([[0.0, 0], [1, 2], [3, 1]])
    (axes,) = paint_plane(Strips("A title", [path, path + 1]), data).axes
    background, *lines = axes.lines
    np.testing.assert_allclose(background.get_xydata(), data, rtol=1e-6)
    for line, expected in zip(lines, (path, path + 1), strict=True):
        np.testing.assert_array_equal(line.get_xydata(), expected)


def test_a_panel_of_curves_for_each_strip() -> None:
    strips = [torch.randn(3, 7), torch.randn(1, 7)]
    (axes,) = paint_curves(Strips("A title", strips, ["first", "second"])).axes
    assert [text.get_text() for text in axes.texts] == ["first", "second"]
    for collection, strip in zip(axes.collections, strips, strict=True):
        heights = np.stack([path.vertices[:, 1] for path in collection.get_paths()])
        # down is larger: minus the heights are the values, up to one shift and scale
        assert np.corrcoef(-heights.ravel(), strip.flatten())[0, 1] == pytest.approx(1, abs=1e-6)


@pytest.mark.parametrize("shape", [(2,), (7,)])
def test_figures_become_pixels(shape: tuple[int, ...]) -> None:
    strips = Strips("A title", [torch.randn(2, *shape)], ["a label"])
    seen = painter(Size(shape))(strips, torch.randn(9, *shape))
    assert seen.dtype == np.uint8
    assert seen.shape[2] == 3
    assert np.ptp(seen) == 255


@pytest.mark.parametrize("shape", [(), (1,), (8, 8), (2, 8, 8), (1, 1, 8, 8)])
def test_other_shapes_are_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(TypeError, match=r"pictures are made of observations .* these are \("):
        painter(Size(shape))


# -- codes -----------------------------------------------------------------------------------------------------------


def model(latent: Any) -> LatentVariableModel:
    encoder, decoder = Conditional(latent, (2,), MLP), Conditional(Normal(2), latent.event_shape, MLP)
    return LatentVariableModel(encoder, decoder, FactorisedPrior(latent))


def test_other_codes_are_refused() -> None:
    assert isinstance(codes_of(Interpolations(), model(Normal(2))), GaussianCodes)
    assert isinstance(codes_of(Interpolations(), model(Bernoulli(2))), BitCodes)
    with pytest.raises(TypeError, match="Interpolations needs codes of Gaussian variables or bits"):
        codes_of(Interpolations(), model(Categorical(3)))


@pytest.mark.parametrize(("steps", "flips"), [(9, [1, 1, 1, 1, 1]), (6, [1, 1, 1, 1, 1]), (4, [2, 1, 2]), (2, [5])])
def test_bits_are_flipped_one_at_a_time_if_there_is_room(steps: int, flips: list[int]) -> None:
    start, end = torch.tensor([0.0, 1, 0, 1, 0, 1, 1]), torch.tensor([1.0, 1, 1, 0, 1, 1, 0])
    path = BitCodes().path(start, end, steps)
    assert torch.equal(path[0], start)
    assert torch.equal(path[-1], end)
    assert (path[1:] != path[:-1]).sum(1).tolist() == flips
    assert len(BitCodes().path(start, start, steps)) == 1


def test_the_spread_of_a_mixture_is_that_of_its_draws() -> None:
    """Half at -1, half at 3, both of scale 0.5: mean 1, variance 4 + 0.25."""
    eta = Normal(1).constrain(torch.tensor([[-1.0, np.log(0.5)], [3.0, np.log(0.5)]]))
    torch.manual_seed(0)
    low, middle, high = GaussianCodes().sweep(torch.zeros(1), 0, Mixture(Normal(1), eta), 3).flatten().tolist()
    # four standard errors of the deviation of 10,000 draws: 4 * sqrt((E d^4 / var^2 - 1) / 4 / 10,000) * sd = 0.02
    assert (high - low) / 6 == pytest.approx(4.25**0.5, abs=0.025)
    assert middle == pytest.approx(1, abs=4 * 4.25**0.5 / 100)


# -- codes over the prior --------------------------------------------------------------------------------------------


def standard(d: int) -> td.Distribution:
    return td.Independent(td.Normal(torch.zeros(d), torch.ones(d)), 1)


def test_contours_hold_half_and_95_percent_of_the_prior() -> None:
    """Of N(0, I) they are circles of radius sqrt(-2 log(1 - mass))."""
    torch.manual_seed(0)
    (axes,) = scatter(torch.zeros(1, 2).double(), torch.zeros(1), standard(2)).axes
    (contours,) = axes.collections
    radii = sorted(float(np.linalg.norm(path.vertices, axis=1).mean()) for path in contours.get_paths())
    for radius, mass in zip(radii, (0.5, 0.95), strict=True):
        exact = np.sqrt(-2 * np.log(1 - mass))
        # r^2 / 2 of 2,000 draws is exponential: its quantile's error is sqrt(mass / (1 - mass) / 2,000)
        assert radius == pytest.approx(exact, abs=4 * np.sqrt(mass / (1 - mass) / 2_000) / exact)


def test_two_bits_have_no_contours() -> None:
    """But the four codes that the prior has."""
    prior = td.Independent(td.Bernoulli(torch.full((2,), 0.5)), 1)
    (axes,) = scatter(torch.rand(30, 2).double(), torch.zeros(30), prior).axes
    assert not axes.collections
    assert axes.lines[0].get_xydata().tolist() == [[0, 0], [0, 1], [1, 0], [1, 1]]


def test_labels_are_coloured() -> None:
    z, y = torch.randn(30, 2).double(), torch.arange(30) % 3
    figure = scatter(z, y, standard(2))
    lines = figure.axes[0].lines
    assert [line.get_label() for line in lines] == ["0", "1", "2"]
    assert len({to_rgb(line.get_color()) for line in lines}) == 3
    for line in lines:
        np.testing.assert_allclose(line.get_xydata(), z[y == int(line.get_label())])


def test_rows_numbers_are_not() -> None:
    """Synthetic data have no labels but their numbers."""
    (line,) = scatter(torch.randn(30, 2).double(), torch.arange(30), standard(2)).axes[0].lines
    assert len(line.get_xydata()) == 30


def test_many_dimensions_are_projected_as_scikit_learn_does() -> None:
    torch.manual_seed(0)
    z = (torch.randn(200, 5) @ torch.randn(5, 5) + 3).double()
    (axes,) = scatter(z, torch.zeros(200), standard(5)).axes
    reference = PCA(2).fit(z.numpy())
    expected = reference.transform(z.numpy())
    drawn, seen = axes.lines
    np.testing.assert_allclose(np.abs(seen.get_xydata()), np.abs(expected), atol=1e-6)
    assert len(drawn.get_xydata()) == 2_000
    assert f"{reference.explained_variance_ratio_.sum():.0%} of their variance" in axes.get_title()


@pytest.mark.parametrize("n", [1, 2])
def test_fewer_observations_than_directions(n: int) -> None:
    (axes,) = scatter(torch.randn(n, 5).double(), torch.zeros(n), standard(5)).axes
    assert np.isfinite(axes.lines[1].get_xydata()).all()


def test_codes_of_text_are_scattered_too(miniature: Path, tmp_path: Path) -> None:
    seen: list[Tensor] = []

    class Noted(LatentScatter):
        def report(self, *args: Any) -> None:
            seen.extend(self.metric.compute())
            super().report(*args)

    module, data, run = hashing(), newsgroups(miniature), trainer(Noted(n=36), folder=tmp_path)
    run.test(module, datamodule=data, verbose=False)
    assert events(Path(run.log_dir)).Tags()["images"] == ["test/latent_scatter"]
    codes, labels = seen
    network = module.model.encoder.network
    p = (data.test.x.dense(80) @ network.weight + network.bias).sigmoid().detach()
    # the first 36 of 61: not all of the fifth batch, and nothing of the last one, which has 5 where the others have 8
    torch.testing.assert_close(codes, p[:36].double(), atol=1e-6, rtol=0)
    assert torch.equal(labels, data.test.y[:36])
    assert codes.shape[1] == NUM_BITS


@pytest.mark.parametrize("d", [2, 4])
def test_missing_entries_are_left_out(d: int) -> None:
    """The view is that of what is there; a figure without finite limits would end the training."""
    data = torch.randn(50, d)
    data[::3, 0] = torch.nan
    rows = torch.stack((data[:4], torch.zeros(4, d)), 1)
    axes = (paint_plane(Strips("", list(rows)), data) if d == 2 else paint_curves(Strips("", list(rows)))).axes[0]
    assert np.isfinite(axes.get_xlim() + axes.get_ylim()).all()
    assert "nan" not in axes.get_title()


@pytest.mark.parametrize("callback", [SmoothKNN(), Consistency()], ids=repr)
def test_what_needs_whole_observations_says_so_before_the_first_epoch(callback: Diagnostic) -> None:
    module = GaussianVAE(2, PartlyObserved(Normal(2, 1.0)))
    with pytest.raises(TypeError, match=r"needs whole observations, and of those of PartlyObserved.* may be missing"):
        callback.setup(trainer(), module, "fit")
