"""AttributeFeatures: the shipped weights, their file, what becomes of images, and what their distance sees."""

from __future__ import annotations

import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from sklearn.metrics import roc_auc_score
from support.command import ROOT
from support.faces import find_many_real_faces
from torch import Tensor
from torch.nn.functional import interpolate
from torchvision.transforms.v2 import functional as damage

import vae_lightning as vl
from vae_lightning.data import CelebA
from vae_lightning.data.images.celeba.splits import face_rows
from vae_lightning.metrics import AttributeFeatures, FrechetInceptionDistance
from vae_lightning.metrics.images import attributes

CHECKPOINTS = ROOT / "checkpoints"
HELD_OUT = 500


def images(*shape: int) -> Tensor:
    return torch.rand(shape, generator=torch.Generator().manual_seed(0))


# -- what becomes of images ----------------------------------------------------------------------------------------


def test_gray_images_are_repeated_to_three_channels() -> None:
    gray = images(2, 1, 64, 64)
    torch.testing.assert_close(AttributeFeatures()(gray), AttributeFeatures()(gray.repeat(1, 3, 1, 1)))


@pytest.mark.parametrize("size", [(128, 128), (109, 89), (8, 8)])
def test_other_sizes_are_resized_with_antialiasing(size: tuple[int, int]) -> None:
    features, other = AttributeFeatures(), images(2, 3, *size)
    resized = interpolate(other, size=(64, 64), mode="bilinear", antialias=True)
    torch.testing.assert_close(features(other), features(resized), atol=1e-4, rtol=1e-4)


def test_images_that_are_not_in_the_unit_interval_are_refused() -> None:
    with pytest.raises(ValueError, match=r"must be in \[0, 1\], got values from -1 to 1: rescale them"):
        AttributeFeatures()(torch.tensor([-1.0, 1.0]).expand(2, 3, 64, 2).repeat(1, 1, 1, 32))


def test_a_batch_does_not_change_the_features_of_an_image() -> None:
    features, batch = AttributeFeatures(), images(7, 3, 64, 64)
    torch.testing.assert_close(features(batch)[3:4], features(batch[3:4]), atol=1e-4, rtol=1e-4)


def test_a_distance_of_them_is_never_called_fid() -> None:
    metric = FrechetInceptionDistance(AttributeFeatures())
    for real in (True, False):
        metric.update(images(4, 3, 64, 64), real=real)
    assert not any("fid" in name or "kid" in name for name in metric.compute())
    assert metric.features.name == metric.features.description["network"] == "AttributeFeatures"
    assert metric.features.description["weights_sha256"] == attributes.SHIPPED_SHA256


# -- their file ----------------------------------------------------------------------------------------------------


def test_the_shipped_file_is_small_beside_its_card_and_of_the_expected_hash() -> None:
    features = AttributeFeatures()
    features.check()
    assert (CHECKPOINTS / "celeba-features.ckpt").resolve() == attributes.SHIPPED
    assert attributes.SHIPPED.stat().st_size < 2e6
    assert attributes.SHIPPED_SHA256 in (CHECKPOINTS / "celeba-features.md").read_text()
    network = features.build()
    assert sum(value.numel() for value in network.parameters()) < 1e6


@pytest.fixture
def damaged(tmp_path: Path) -> Path:
    content = bytearray(attributes.SHIPPED.read_bytes())
    content[len(content) // 2] ^= 1
    path = tmp_path / "damaged.ckpt"
    path.write_bytes(content)
    return path


def test_a_damaged_file_is_one_clear_line(damaged: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ValueError, match=r"damaged.ckpt is not a whole checkpoint .* is damaged") as own:
        AttributeFeatures(damaged).check()
    monkeypatch.setattr(attributes, "SHIPPED", damaged)
    with pytest.raises(ValueError, match=r"damaged.ckpt has sha256 [0-9a-f]{64}, not [0-9a-f]{64}: get") as shipped:
        AttributeFeatures().check()
    assert all("\n" not in str(error.value) for error in (own, shipped))


@pytest.mark.parametrize(
    ("path", "sha256", "message"),
    [
        ("none.ckpt", None, "cannot read the weights none.ckpt: No such file"),
        (CHECKPOINTS / "newsgroups-8bit.ckpt", None, "holds no weights of features: they are not those of nn.Pooled"),
        (CHECKPOINTS / "newsgroups-8bit.ckpt", "12345678", "has sha256 [0-9a-f]{64}, not 12345678"),
        (CHECKPOINTS / "celeba-features.ckpt", "1234567", "at least the first 8 hexadecimal digits"),
    ],
)
def test_another_file_is_one_clear_line(path: str, sha256: str | None, message: str) -> None:
    with pytest.raises(ValueError, match=message) as raised:
        AttributeFeatures(path, sha256).check()
    assert "\n" not in str(raised.value)


# -- real faces that no training saw -------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def held_out(tmp_path_factory: pytest.TempPathFactory) -> tuple[Tensor, Tensor]:
    """The first 400 of the test faces, which the config sets apart, and their attributes."""
    archive, folder = find_many_real_faces(), tmp_path_factory.mktemp("celeba")
    with zipfile.ZipFile(archive) as packed:
        names = sorted(name for name in packed.namelist() if name.endswith(".jpg"))
        sizes = {"test_size": HELD_OUT, "val_size": HELD_OUT}
        rows = face_rows(torch.full((len(names),), -1), sizes, 0)[2][:400]
        place = folder / "img_align_celeba"
        place.mkdir()
        for row in rows.tolist():
            (place / Path(names[row]).name).write_bytes(packed.read(names[row]))
    (attributes_list,) = archive.parent.glob("list_attr_celeba*")
    (folder / attributes_list.name).write_bytes(attributes_list.read_bytes())
    faces = CelebA(folder).whole()
    return (faces.x + 1) / 2, faces.y


def test_the_shipped_weights_tell_attributes_of_faces_that_they_have_not_seen(
    held_out: tuple[Tensor, Tensor],
) -> None:
    """AUC of the attributes that at least twenty faces have and twenty have not; the card has the figures of all."""
    faces, labels = held_out
    classifier = vl.load(CHECKPOINTS / "celeba-features.ckpt")
    with torch.no_grad():
        logits = classifier.network(2 * faces - 1)
    common = [n for n in range(40) if 20 <= labels[:, n].sum() <= len(labels) - 20]
    scores = {classifier.task.names[n]: roc_auc_score(labels[:, n], logits[:, n]) for n in common}
    assert len(scores) > 25
    assert sum(scores.values()) / len(scores) > 0.85
    assert min(scores["Male"], scores["Smiling"], scores["Mouth_Slightly_Open"]) > 0.93


HARM: dict[str, tuple[Callable[[Tensor, float], Tensor], list[float]]] = {
    "blur": (lambda x, sigma: damage.gaussian_blur(x, [9, 9], [sigma, sigma]).clamp(0, 1), [0.5, 1.0, 2.0]),
    "noise": (lambda x, sd: (x + sd * torch.randn_like(x)).clamp(0, 1), [0.03, 0.06, 0.12]),
    "saturation": (damage.adjust_saturation, [0.7, 0.4, 0.0]),
    "other pictures": (lambda x, share: torch.cat((x[: -int(share)], x[-int(share) :].flip(2))), [10, 40, 100]),
}


@pytest.mark.parametrize("kind", HARM)
def test_the_distance_grows_with_harm_to_faces(kind: str, held_out: tuple[Tensor, Tensor]) -> None:
    """200 faces against 200 others, harmed more and more; upside-down faces are other pictures."""
    faces, _ = held_out
    features = AttributeFeatures()
    harm, levels = HARM[kind]
    torch.manual_seed(0)
    found = []
    for images in (faces[200:], *(harm(faces[200:], level) for level in levels)):
        metric = FrechetInceptionDistance(features)
        metric.update(faces[:200], real=True)
        metric.update(images, real=False)
        found.append(metric.compute()["frechet_distance"].item())
    assert found == sorted(found)
    assert found[-1] > 1.2 * found[0]
