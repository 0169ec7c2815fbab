"""The Fréchet inception distance from images on, against pytorch-fid's own code, and its error bars against redraws."""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from pytorch_fid import inception as peer_network
from pytorch_fid.fid_score import calculate_frechet_distance, get_activations
from support.inception_file import random_weights, write_weights
from torch import Tensor, nn

from vae_lightning.metrics import FrechetInceptionDistance, InceptionFeatures
from vae_lightning.metrics.functional import GaussianFit, frechet_distance_of_features, kernel_distance
from vae_lightning.metrics.functional.scatter import Scatter, merge_scatters
from vae_lightning.metrics.images import feature_sample, inception
from vae_lightning.metrics.images.weights import file_sha256


def conv(features: int = 6) -> nn.Module:
    """A network (B, 1, 8, 8) -> (B, features), the same at every call."""
    with torch.random.fork_rng():
        torch.manual_seed(3)
        return nn.Sequential(nn.Conv2d(1, features, 5), nn.Tanh(), nn.AdaptiveAvgPool2d(1), nn.Flatten())


def images(n: int, seed: int, shape: tuple[int, ...] = (1, 8, 8), power: float = 1.0) -> Tensor:
    return torch.rand(n, *shape, generator=torch.Generator().manual_seed(seed)) ** power


def compared(features: Any, real: Tensor, generated: Tensor, batch: int = 5) -> dict[str, Tensor]:
    metric = FrechetInceptionDistance(features)
    for part in real.split(batch):
        metric.update(part, real=True)
    for part in generated.split(batch):
        metric.update(part, real=False)
    return metric.compute()


# -- the Inception network, its file and its preprocessing ---------------------------------------------------------


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_weights(tmp_path_factory.mktemp("weights") / "random.pth")


@pytest.fixture(scope="module")
def ours(weights: Path) -> InceptionFeatures:
    return InceptionFeatures(weights, file_sha256(weights))


def pngs(folder: Path, seed: int, n: int) -> tuple[list[Path], Tensor]:
    """RGB pictures in files, as pytorch-fid reads them, and in [0, 1]; each of two has a look of its own."""
    rng = np.random.default_rng(seed)
    pixels = (255 * rng.beta(1 + seed, 2, size=(n, 40, 32, 3))).astype(np.uint8)
    files = [folder / f"{seed}-{i}.png" for i in range(n)]
    for file, picture in zip(files, pixels, strict=True):
        Image.fromarray(picture).save(file)
    return files, torch.from_numpy(pixels).permute(0, 3, 1, 2) / 255


@pytest.mark.filterwarnings("ignore:The `disp` argument")
def test_pipeline_agrees_with_pytorch_fid_on_the_same_files_and_weights(
    ours: InceptionFeatures, weights: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    load = lambda *_, **__: torch.load(weights, weights_only=True)  # noqa: E731
    monkeypatch.setattr(peer_network, "load_state_dict_from_url", load)
    peer = peer_network.InceptionV3()
    files, pictures = zip(*(pngs(tmp_path, seed, n) for seed, n in ((1, 6), (2, 5))), strict=True)
    theirs = [get_activations(paths, peer, batch_size=6, num_workers=0) for paths in files]
    features = [ours(batch) for batch in pictures]
    for one, other in zip(features, theirs, strict=True):
        assert one.shape == other.shape
        assert other.std(0).mean() > 1e-2  # the random network does tell images apart
        torch.testing.assert_close(one.double(), torch.from_numpy(other), rtol=1e-4, atol=1e-5)
    distance = compared(ours, *pictures)["frechet_distance"].item()
    # the peer's matrix square root of a 2048 x 2048 matrix of rank 5 takes a minute: in the span of all features,
    # where nothing of the distance is lost, it has full rank on neither side but is small
    basis = np.linalg.svd(np.concatenate(theirs), full_matrices=False)[2]
    moments = [part for rows in theirs for part in ((rows @ basis.T).mean(0), np.cov(rows @ basis.T, rowvar=False))]
    expected = calculate_frechet_distance(*moments)
    assert distance == pytest.approx(expected, abs=1e-3)


def test_gray_images_are_repeated_to_three_channels(ours: InceptionFeatures) -> None:
    gray = images(2, 0)
    torch.testing.assert_close(ours(gray), ours(gray.repeat(1, 3, 1, 1)))


def test_the_network_is_loaded_at_the_first_images_and_let_go_of(ours: InceptionFeatures) -> None:
    ours.free()
    metric = FrechetInceptionDistance(ours)
    before = torch.get_rng_state()
    assert not ours.loaded
    metric.update(images(2, 0), real=True)
    assert ours.loaded
    assert metric.state_dict() == {}
    assert list(metric.parameters()) == []
    ours.free()
    assert not ours.loaded
    assert torch.equal(before, torch.get_rng_state())


def test_only_the_fid_weights_are_called_fid(ours: InceptionFeatures, monkeypatch: pytest.MonkeyPatch) -> None:
    rest = {"_error", "_n", "_reference_n"}
    both = FrechetInceptionDistance(ours)
    for real in (True, False):
        both.update(images(2, 0), real=real)
    names = both.compute().keys()
    assert names == {"frechet_distance", "kernel_distance", "kernel_distance_error"} | {
        f"frechet_distance{end}" for end in rest
    }
    monkeypatch.setattr(inception, "FID_SHA256", ours.digest)
    both._computed = None
    assert both.compute().keys() == {"fid", "kid", "kid_error"} | {f"fid{end}" for end in rest}


def test_a_file_is_refused_by_its_hash(weights: Path) -> None:
    with pytest.raises(ValueError, match=r"random.pth has sha256 [0-9a-f]{64}, not 6726825d") as raised:
        InceptionFeatures(weights).check()
    assert "\n" not in str(raised.value)
    InceptionFeatures(weights, file_sha256(weights)[:8].upper()).check()
    with pytest.raises(ValueError, match="at least the first 8 hexadecimal digits"):
        InceptionFeatures(weights, "672682")


def other_networks() -> dict[str, Any]:
    good = random_weights()
    lost = {name: value for name, value in good.items() if not name.startswith("Mixed_7c.branch1x1")}
    return {
        "a ResNet": ({"conv1.weight": torch.zeros(64, 3, 7, 7)}, r"missing \(.*1 unexpected \(conv1.weight"),
        "a branch less": (lost, r"5 missing \(Mixed_7c.branch1x1.bn.bias"),
        "another shape": (good | {"fc.weight": torch.zeros(1000, 2048)}, r"1 of another shape \(fc.weight"),
        "a list": ([torch.zeros(1)], "must hold a dictionary of tensors"),
        "no weights": (None, "holds no weights to be read"),
    }


@pytest.mark.parametrize("kind", other_networks())
def test_weights_of_another_network_are_one_clear_line(kind: str, tmp_path: Path) -> None:
    content, message = other_networks()[kind]
    path = tmp_path / "other.pth"
    path.write_bytes(b"not a pickle") if content is None else torch.save(content, path)
    with pytest.raises(ValueError, match=message) as raised:
        InceptionFeatures(path, file_sha256(path)).check()
    assert "\n" not in str(raised.value)


def test_a_file_that_would_run_code_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "code.pth"
    torch.save({"fc.bias": itertools.count()}, path)
    with pytest.raises(ValueError, match="holds no weights to be read"):
        InceptionFeatures(path, file_sha256(path)).check()


def test_no_file(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"cannot read the weights .*none.pth: No such file"):
        InceptionFeatures(tmp_path / "none.pth").check()


# -- the metric, with a small network ------------------------------------------------------------------------------


@pytest.mark.parametrize(("n_real", "n_generated"), [(60, 41), (60, 5), (4, 60), (5, 4), (6, 7)])
def test_is_the_distance_of_the_features_at_any_number_of_images(n_real: int, n_generated: int) -> None:
    real, generated = images(n_real, 0), images(n_generated, 1, power=2)
    network = conv()
    figures = compared(network, real, generated)
    with torch.no_grad():
        expected = frechet_distance_of_features(network(generated).double(), network(real).double())
    assert figures["frechet_distance"].item() == pytest.approx(expected.item(), rel=1e-5, abs=1e-9)
    assert (figures["frechet_distance_n"], figures["frechet_distance_reference_n"]) == (n_generated, n_real)


def test_rows_beyond_those_kept_count_in_the_moments(monkeypatch: pytest.MonkeyPatch) -> None:
    everything = compared(conv(), images(60, 0), images(50, 1, power=2))
    monkeypatch.setattr(feature_sample, "MAX_ROWS", 20)
    metric = FrechetInceptionDistance(conv())
    for real, power in ((True, 1), (False, 2)):
        for part in images(60 if real else 50, 1 - real, power=power).split(7):
            metric.update(part, real=real)
    assert len(metric.sample(real=True).rows) == 20
    figures = metric.compute()
    assert figures["frechet_distance"].item() == pytest.approx(everything["frechet_distance"].item(), rel=1e-9)
    # two tenths of the rows estimate the same standard error, less surely
    ratio = figures["frechet_distance_error"] / everything["frechet_distance_error"]
    assert 0.4 < ratio < 2.5


@pytest.mark.parametrize(("low", "high"), [(0.0, 1.0), (1e6, 1e6 + 1)])
def test_scatters_merge_exactly(low: float, high: float) -> None:
    rows = low + (high - low) * torch.rand(50, 3, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    parts = [Scatter.of(part) for part in rows.split((1, 20, 29))]
    merged = merge_scatters(parts)
    torch.testing.assert_close(merged.covariance, torch.cov(rows.mT), rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize(("features", "n", "slack"), [(3, 300, 0.0), (6, 40, 0.0), (40, 30, 0.35)])
def test_the_error_is_the_spread_over_redraws(features: int, n: int, slack: float) -> None:
    """60 redraws; the spread's own relative error is 1 / sqrt(2 * 60). Below full rank it may be too large, as told."""
    network, real = conv(features), images(300, 0)
    redraws = [compared(network, real, images(n, 100 + seed, power=1.3), n) for seed in range(60)]
    values = torch.stack([figures["frechet_distance"] for figures in redraws])
    told = torch.stack([figures["frechet_distance_error"] for figures in redraws])
    ratio = (told.mean() / values.std()).log()
    assert -4 * 120**-0.5 < ratio < 4 * 120**-0.5 + slack


@pytest.mark.parametrize("n", [3, 20, 90])
def test_the_influence_of_a_row_is_the_derivative_in_its_weight(n: int) -> None:
    """Of n rows in 20 dimensions, by central differences in each row's share."""
    generator = torch.Generator().manual_seed(n)
    real, rows = (torch.rand(m, 20, generator=generator, dtype=torch.float64) for m in (50, n))
    reference = GaussianFit.of_features(real)

    def fit(weights: Tensor) -> GaussianFit:
        share = weights / weights.sum()
        centred = rows - share @ rows
        return GaussianFit.of_moments(share @ rows, (centred.mT * share) @ centred)

    even, step = torch.ones(n, dtype=torch.float64), 1e-4
    influence = fit(even).influence(reference, rows)
    for row, moved in enumerate(step * torch.eye(n, dtype=torch.float64)):
        change = fit(even + moved).distance(reference) - fit(even - moved).distance(reference)
        assert n * change / (2 * step) == pytest.approx((influence[row] - influence.mean()).item(), abs=1e-5)


def test_kernel_distance_against_the_polynomial_kernel_written_out() -> None:
    one, other = torch.rand(2, 7, 3, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    kernel = lambda x, y: float((x @ y / 3 + 1) ** 3)  # noqa: E731
    within = [sum(kernel(x, y) for x, y in itertools.permutations(rows, 2)) / 42 for rows in (one, other)]
    across = sum(kernel(x, y) for x in one for y in other) / 49
    estimate = kernel_distance(one, other, subsets=1)
    assert estimate.mean.item() == pytest.approx(sum(within) - 2 * across, abs=1e-12)
    assert estimate.standard_error.isnan()


def test_kernel_distance_of_one_distribution_is_zero_within_its_error() -> None:
    generator = torch.Generator().manual_seed(1)
    estimates = [kernel_distance(*torch.rand(2, 200, 4, generator=generator)) for _ in range(200)]
    values, told = (torch.stack(side) for side in zip(*((e.mean, e.standard_error) for e in estimates), strict=True))
    assert abs(values.mean()) < 4 * values.std() / 200**0.5  # unbiased
    # the spread is known to 1 / sqrt(2 * 200), each error to 1 / sqrt(2 * 9), were they normal
    assert abs(told.square().mean().sqrt() / values.std() - 1) < 4 * (400**-0.5 + (18 * 200) ** -0.5)
    apart = kernel_distance(torch.rand(200, 4, generator=generator), torch.rand(200, 4, generator=generator) + 0.5)
    assert apart.mean > 10 * apart.standard_error


@pytest.mark.parametrize(
    ("bad", "message"),
    [
        (torch.zeros(3, 8, 8), r"images must be \(B, 1, H, W\) or .* got \(3, 8, 8\)"),
        (torch.zeros(3, 2, 8, 8), r"got \(3, 2, 8, 8\)"),
        (torch.zeros(0, 1, 8, 8), r"B >= 1, got \(0, 1, 8, 8\)"),
        (torch.full((2, 1, 8, 8), -0.5), r"must be in \[0, 1\], got values from -0.5 to -0.5"),
        (torch.full((2, 1, 8, 8), 255), r"from 255 to 255: rescale"),
        (torch.full((2, 1, 8, 8), torch.nan), "images must be finite"),
    ],
)
def test_what_is_no_image_is_one_clear_line(bad: Tensor, message: str) -> None:
    with pytest.raises(ValueError, match=message) as raised:
        FrechetInceptionDistance(conv()).update(bad, real=True)
    assert "\n" not in str(raised.value)


class NotANumber(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return x.flatten(1) / 0 * 0


@pytest.mark.parametrize(
    ("network", "message"),
    [
        (NotANumber(), "features must be finite"),
        (nn.Identity(), r"must give \(B, F\), got \(2, 1, 8, 8\) from Identity"),
    ],
)
def test_what_is_no_feature_is_one_clear_line(network: nn.Module, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        FrechetInceptionDistance(network).update(images(2, 0), real=False)


@pytest.mark.parametrize(("real", "generated", "message"), [(1, 2, "got 1 real"), (2, 1, "got 1 generated")])
def test_fewer_than_two_images(real: int, generated: int, message: str) -> None:
    with pytest.raises(ValueError, match=f"needs two images or more on either side, {message}"):
        compared(conv(), images(real, 0), images(generated, 1))


def test_the_network_that_is_given_stays_as_it_was() -> None:
    network = nn.Sequential(nn.BatchNorm2d(1), nn.Flatten()).train()
    before = {name: value.clone() for name, value in network.state_dict().items()}
    compared(network, images(9, 0), images(9, 1))
    assert network.training
    assert all(torch.equal(value, before[name]) for name, value in network.state_dict().items())
    assert network[0].weight.requires_grad
