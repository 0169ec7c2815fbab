"""CelebA: the layouts that faces come in, official and seeded splits, attributes, [-1, 1], and what is refused."""

from __future__ import annotations

import gzip
import json
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest
import torch
from PIL import Image
from support.command import ROOT, command, figures, forked
from support.faces import NAMES, NUM, find_real_faces, numbers, official, signs, write_faces, zip_faces
from support.models import trainer
from support.served import served
from torch import nn
from torchvision.transforms import v2

import vae_lightning as vl
from vae_lightning.callbacks import FrechetInceptionDistance, ImageMeans
from vae_lightning.construction.hyperparameters import is_plain
from vae_lightning.data import CelebA, ImageFolder
from vae_lightning.data.images import cache, decode
from vae_lightning.data.images.celeba import FacePreparation, layout
from vae_lightning.data.images.pixels import SignedPixels
from vae_lightning.data.loaders import Observations, TrainingLoader
from vae_lightning.data.orders import TrainingOrder
from vae_lightning.families import Normal
from vae_lightning.models import GaussianVAE
from vae_lightning.nn import MLP


@pytest.fixture
def faces(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder in CelebA's layout; caches go beside it."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return write_faces(tmp_path / "celeba")


def ready(data: CelebA) -> CelebA:
    data.prepare_data()
    data.setup("fit")
    return data


def refused(data: CelebA) -> str:
    with pytest.raises(ValueError, match=r".+") as error:
        ready(data)
    assert "\n" not in str(error.value)
    return str(error.value)


def ids(split: Observations) -> list[int]:
    return sorted(split.ids.tolist())


def shades(split: Observations) -> list[float]:
    """Bytes of the right upper corner, in the order of ids."""
    assert isinstance(split.x, torch.Tensor)
    return ((split.x[split.ids.argsort(), 0, 0, -1] + 1) * 127.5).tolist()


# --- layouts ---------------------------------------------------------------------------------------------------------


def as_folder(folder: Path) -> Path:
    return folder


def as_zip(folder: Path) -> Path:
    zip_faces(folder)
    return folder


def as_root(folder: Path) -> Path:
    return folder.parent


def as_images(folder: Path) -> Path:
    return folder / "img_align_celeba"


def as_csv(folder: Path) -> Path:
    """As Kaggle hands it on: a folder in the folder, and lists of commas."""
    inner = folder / "img_align_celeba"
    inner.rename(folder / "inner")
    inner.mkdir()
    (folder / "inner").rename(inner / "img_align_celeba")
    for name, head in {"list_attr_celeba": NAMES, "list_eval_partition": ["partition"]}.items():
        rows = (folder / f"{name}.txt").read_text().splitlines()[2 * (name == "list_attr_celeba") :]
        content = [",".join(["image_id", *head]), *(row.replace(" ", ",") for row in rows)]
        (folder / f"{name}.csv").write_text("\r\n".join(content))
        (folder / f"{name}.txt").unlink()
    return folder


def as_packed_lists(folder: Path) -> Path:
    """As the real ones lie at hand: another zip, lists of other names."""
    zip_faces(folder).rename(folder / "faces.zip")
    for name in ("list_attr_celeba", "list_eval_partition"):
        (folder / f"{name}.first.txt.gz").write_bytes(gzip.compress((folder / f"{name}.txt").read_bytes()))
        (folder / f"{name}.txt").unlink()
    return folder / "faces.zip"


LAYOUTS = [as_folder, as_zip, as_root, as_images, as_csv, as_packed_lists]


@pytest.mark.parametrize("layout_of", LAYOUTS, ids=lambda each: each.__name__)
def test_each_layout_is_read(faces: Path, layout_of: Callable[[Path], Path]) -> None:
    data = ready(CelebA(layout_of(faces), size=8))
    parts = {"train": data.train, "val": data.val, "test": data.test}
    for number, split in enumerate(parts.values()):
        assert ids(split) == [row for row, told in enumerate(official()) if told == number]
        assert np.array_equal(split.y, signs()[split.ids])
    assert data.attribute_names == NAMES
    assert [name.rpartition("/")[2] for name in data.names] == numbers()
    assert shades(data.train) == pytest.approx([10 + 15 * row for row in range(6)], abs=2)
    x, y = data.train.batch(torch.arange(4))
    assert (x.shape, y.shape, y.dtype) == ((4, 3, 8, 8), (4, 3), torch.uint8)
    assert data.train.limits == (-1, 1)


def test_they_are_looked_for_in_the_data_folder(faces: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VAE_LIGHTNING_DATA", str(faces.parent))
    assert len(ready(CelebA(size=8)).train) == NUM // 2


def test_a_zip_file_is_read_as_the_folder_in_it_and_nothing_is_unpacked(faces: Path) -> None:
    folder = ready(CelebA(faces, size=8)).train
    data = ready(CelebA(zip_faces(faces), size=8)).train
    assert torch.equal(data.x, folder.x)  # type: ignore[arg-type]
    assert sorted(path.name for path in faces.iterdir()) == [
        "img_align_celeba.zip", "list_attr_celeba.txt", "list_eval_partition.txt"
    ]  # fmt: skip


# --- pixels ----------------------------------------------------------------------------------------------------------


def test_the_crop_is_the_tutorials(faces: Path) -> None:
    """The largest central square, then antialiased: of torchvision's own transforms, in [-1, 1]."""
    path = faces / "img_align_celeba" / numbers()[0]
    Image.fromarray(np.random.default_rng(0).integers(0, 256, (22, 18, 3), np.uint8)).save(path, quality=95)
    expected = v2.Resize((8, 8), antialias=True)(v2.CenterCrop(18)(v2.PILToTensor()(Image.open(path))))
    train = ready(CelebA(faces, size=8)).train
    (x,) = train.batch((train.ids == 0).nonzero()[:, 0])[0]
    torch.testing.assert_close(x, expected / 127.5 - 1)


def test_another_crop_is_the_image_folders_and_shares_its_cache(faces: Path) -> None:
    ready(CelebA(faces, size=8, crop=10))
    folder = ImageFolder(faces / "img_align_celeba", size=8, crop=10, predict_split="all")
    folder.setup("predict")
    data = CelebA(faces, size=8, crop=10, predict_split="all")
    data.setup("predict")
    torch.testing.assert_close(data.split("all").x, folder.split("all").x * 2 - 1)  # type: ignore[operator]


def test_training_sees_half_in_a_mirror_and_others_in_every_epoch(faces: Path) -> None:
    data = ready(CelebA(faces, size=8, flip=True)).train
    plain, rows = data.batch(torch.arange(6))[0], torch.arange(6)
    assert isinstance(plain, torch.Tensor)
    seen = []
    for draw in range(40):
        x, _ = data.batch(rows, draw)
        assert isinstance(x, torch.Tensor)
        mirrored = (x[:, 0, 0, 0] < x[:, 0, 0, -1]).numpy()  # the left half is brighter
        assert torch.equal(torch.where(torch.tensor(mirrored)[:, None, None, None], plain.flip(-1), plain), x)
        one_by_one = [data.batch(rows[[row]], draw)[0] for row in range(6)]
        assert torch.equal(torch.cat(one_by_one), x)  # type: ignore[arg-type]  # whatever batch it is in
        seen.append(mirrored)
    share = np.mean(seen)
    assert share == pytest.approx(0.5, abs=4 * 0.5 / np.sqrt(240))
    assert len({each.tobytes() for each in seen}) > 20
    assert torch.equal(data.x, plain)  # type: ignore[arg-type]  # evaluation does not


def test_a_resumed_epoch_sees_the_same_mirror_images(faces: Path) -> None:
    data = ready(CelebA(faces, size=8, flip=True)).train
    first = TrainingLoader(data, TrainingOrder(6, 2, seed=3))
    whole = [x for x, _ in first]
    stopped = TrainingLoader(data, TrainingOrder(6, 2, seed=3))
    next(iter(stopped))
    resumed = TrainingLoader(data, TrainingOrder(6, 2, seed=3))
    resumed.load_state_dict(stopped.state_dict())
    assert all(torch.equal(a, b) for a, b in zip(whole[1:], [x for x, _ in resumed], strict=True))  # type: ignore[arg-type]


def test_the_ends_of_the_range_are_black_and_white() -> None:
    view = SignedPixels()
    x = view(torch.tensor([0, 255], dtype=torch.uint8).reshape(2, 1, 1, 1), torch.arange(2))
    assert x.flatten().tolist() == [-1, 1] == list(view.limits)


# --- splits and attributes -------------------------------------------------------------------------------------------


def test_without_a_list_splits_are_seeded(faces: Path) -> None:
    (faces / "list_eval_partition.txt").unlink()
    cut = [ready(CelebA(faces, size=8, val_size=2, test_size=3, split_seed=seed)) for seed in (0, 0, 1)]
    assert [(len(d.train), len(d.val), len(d.test)) for d in cut] == [(7, 2, 3)] * 3
    assert sorted(ids(cut[0].train) + ids(cut[0].val) + ids(cut[0].test)) == list(range(NUM))
    assert ids(cut[0].test) == ids(cut[1].test) != ids(cut[2].test)


def test_what_the_list_does_not_have_is_cut_from_training(faces: Path) -> None:
    """As of the first ten thousand faces, which are all for training."""
    rows = [f"{name} 0" for name in numbers()[:6]] + [f"{name} 2" for name in numbers()[6:9]]  # three are not known
    (faces / "list_eval_partition.txt").write_text("\n".join(rows))
    data = ready(CelebA(faces, size=8, val_size=2, test_size=5))
    assert ids(data.test) == [6, 7, 8]
    assert (len(data.val), len(data.train)) == (2, 7)
    assert not set(ids(data.test)) & {*ids(data.train), *ids(data.val)}


@pytest.mark.parametrize(
    ("attributes", "names", "labels"),
    [("Male", ["Male"], signs()[:, 1]), (["Smiling", "Bald"], ["Smiling", "Bald"], signs()[:, [2, 0]]), ([], [], 0)],
)
def test_attributes_are_chosen(faces: Path, attributes: Any, names: list[str], labels: Any) -> None:
    data = CelebA(faces, size=8, attributes=attributes, predict_split="all")
    data.setup("predict")
    assert data.attribute_names == names
    assert np.array_equal(data.split("all").y, labels if attributes else np.zeros(NUM))


def test_without_attributes_labels_are_zero(faces: Path) -> None:
    (faces / "list_attr_celeba.txt").unlink()
    assert not ready(CelebA(faces, size=8)).train.y.any()


# --- damage ----------------------------------------------------------------------------------------------------------


def damage(faces: Path, *rows: int) -> list[str]:
    names = [numbers()[row] for row in rows]
    for name in names:
        path = faces / "img_align_celeba" / name
        path.write_bytes(path.read_bytes()[:300])
    return names


@pytest.mark.parametrize("packed", [False, True])
def test_a_truncated_file_is_named_counted_and_skipped_on_request(
    faces: Path, packed: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    names = damage(faces, 0, 7)
    if packed:
        zip_faces(faces)
    message = refused(CelebA(faces, size=8))
    assert f"2 of {NUM} faces cannot be read: " in message
    assert all(name in message for name in names)
    assert message.endswith("give the whole files, or set data.skip_damaged to true to leave these out")
    monkeypatch.setattr(cache, "decoded", lambda *_: pytest.fail("they were decoded, and are not again"))
    with pytest.warns(UserWarning, match="2 of 12 faces cannot be read: .*: they are left out"):
        data = ready(CelebA(faces, size=8, skip_damaged=True))
    assert [name.rpartition("/")[2] for name in data.names] == [name for name in numbers() if name not in names]
    whole = data.whole()
    assert shades(whole) == pytest.approx([10 + 15 * row for row in range(NUM) if row not in (0, 7)], abs=2)
    assert np.array_equal(whole.y, np.delete(signs(), (0, 7), axis=0))


def test_damaged_files_are_left_out_where_there_is_no_place_for_a_cache(
    faces: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    damage(faces, 3)
    monkeypatch.setattr(cache, "cache_folder", lambda: Path("/dev/null/nowhere"))
    with pytest.warns(UserWarning, match="1 of 12"):
        assert len(ready(CelebA(faces, size=8, skip_damaged=True)).whole()) == NUM - 1


def test_a_face_of_16_bits_is_read_by_its_high_byte(faces: Path) -> None:
    """Pillow would clip it at 255: white."""
    (faces / "img_align_celeba" / numbers()[3]).unlink()
    Image.fromarray(np.full((22, 18), 30_000, np.uint16)).save(faces / "img_align_celeba" / "000004.png")
    assert shades(ready(CelebA(faces, size=8)).whole())[3] == pytest.approx(30_000 >> 8)


def test_a_face_of_floats_is_named_and_skipped_on_request(faces: Path) -> None:
    (faces / "img_align_celeba" / numbers()[3]).unlink()
    Image.fromarray(np.full((22, 18), 0.5, np.float32)).save(faces / "img_align_celeba" / "000004.tif")
    told = refused(CelebA(faces, size=8))
    assert "1 of 12 faces cannot be read: " in told
    assert "000004.tif: its pixels are floats, of which none is known as white" in told
    with pytest.warns(UserWarning, match="1 of 12"):
        assert len(ready(CelebA(faces, size=8, skip_damaged=True)).whole()) == NUM - 1


def test_a_cache_that_left_out_images_of_16_bits_is_made_again(faces: Path) -> None:
    """Until these were read, the list of what a cache has not was called otherwise."""
    names = damage(faces, 0, 7)
    for _ in range(2):
        with pytest.warns(UserWarning, match="2 of 12 faces cannot be read"):
            data = ready(CelebA(faces, size=8, skip_damaged=True))
        assert not {name.rpartition("/")[2] for name in data.names} & set(names)
        (written,) = cache.cache_folder().glob("images-*.left-out")
        written.replace(written.with_suffix(".damaged"))


def test_an_image_folder_takes_no_cache_without_its_damaged_files(faces: Path) -> None:
    damage(faces, 3)
    with pytest.warns(UserWarning, match="1 of 12"):
        ready(CelebA(faces, size=8, crop=10, skip_damaged=True))
    with pytest.raises(ValueError, match=f"{numbers()[3]} is not a whole image"):
        ImageFolder(faces / "img_align_celeba", size=8, crop=10).setup("fit")


def test_no_face_that_can_be_read(faces: Path) -> None:
    damage(faces, *range(NUM))
    assert "none of 12 images can be read: " in refused(CelebA(faces, size=8, skip_damaged=True))


def edit(name: str, change: Callable[[list[str]], list[str]]) -> Callable[[Path], object]:
    def done(folder: Path) -> None:
        lines = (folder / name).read_text().splitlines()
        (folder / name).write_text("\n".join(change(lines)))

    return done


ATTR, PARTITION = "list_attr_celeba.txt", "list_eval_partition.txt"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (edit(ATTR, lambda lines: lines[:-1]), "has 11 rows, but says that they are 12: give the whole list"),
        (edit(ATTR, lambda lines: ["11", *lines[1:-1]]), r"has no row for 1 of 12 faces (000012.jpg): give the list"),
        (edit(ATTR, lambda lines: ["5", *lines[1:7]]), "has no row for 7 of 12 faces (000006.jpg, 000007.jpg, 000008"),
        (edit(ATTR, lambda lines: [*lines[:-1], lines[-1] + " 1"]), "line 14: expected a face and 3 values, got 5"),
        (edit(ATTR, lambda lines: [*lines[:-1], lines[-1][:10] + " 1 1 7"]), "line 14: expected -1, 0, 1, got '7'"),
        (edit(ATTR, lambda lines: []), "is empty"),
        (edit(ATTR, lambda lines: ["<!DOCTYPE html>", *lines]), "is a web page, not the list"),
        (edit(PARTITION, lambda lines: [*lines[:-1], "000012.jpg 3"]), "line 12: expected 0, 1, 2, got '3'"),
        (edit(PARTITION, lambda lines: [f"{line[:10]} 2" for line in lines]), "none of these 12 faces for training"),
        (lambda folder: (folder / ATTR).write_bytes(b"12\n\xff\xfe\n"), "cannot read"),
        (lambda folder: (folder / PARTITION).rename(folder / f"{PARTITION}.gz"), "as text or packed by gzip"),
    ],
)  # fmt: skip
def test_a_list_that_does_not_fit_is_named(faces: Path, change: Callable[[Path], object], message: str) -> None:
    change(faces)
    told = refused(CelebA(faces, size=8))
    assert message in told
    assert "list_" in told or "the list of splits" in told


def test_an_attribute_that_is_not_there(faces: Path) -> None:
    message = "has no attribute Tall: it has Bald, Male, Smiling"
    assert message in refused(CelebA(faces, size=8, attributes="Tall"))
    (faces / ATTR).unlink()
    assert "there is no list_attr_celeba.txt beside" in refused(CelebA(faces, size=8, attributes="Male"))


def write_zip(path: Path, *names: str) -> Path:
    with zipfile.ZipFile(path, "w") as out:
        for name in names:
            out.writestr(name, b"no image")
    return path


@pytest.mark.parametrize("name", ["../1.jpg", "faces/../../1.jpg", "/etc/1.jpg", "faces\\..\\1.jpg"])
def test_a_path_out_of_the_zip_file_is_refused(tmp_path: Path, name: str) -> None:
    archive = write_zip(tmp_path / "faces.zip", "1.jpg", name)
    assert f"faces.zip has {name!r}, a path out of it" in refused(CelebA(archive))


def test_zip_files_that_are_none(tmp_path: Path) -> None:
    page, cut = tmp_path / "page.zip", tmp_path / "cut.zip"
    page.write_bytes(b"\n<html><title>Google Drive - Quota exceeded</title>")
    assert "is a web page, as Google Drive has one where its quota is used up" in refused(CelebA(page))
    cut.write_bytes(write_zip(tmp_path / "whole.zip", "1.jpg").read_bytes()[:-10])
    assert "it is no zip file, or not the whole one; download it again" in refused(CelebA(cut))
    assert "there are 0 images in" in refused(CelebA(write_zip(tmp_path / "empty.zip", "1.txt", "__MACOSX/._1.jpg")))


def test_an_empty_folder(tmp_path: Path) -> None:
    message = refused(CelebA(tmp_path))
    assert f"there are no faces in {tmp_path}: get img_align_celeba.zip from https://mmlab" in message
    (tmp_path / "img_align_celeba").mkdir()
    assert "there are no images in" in refused(CelebA(tmp_path))


def test_a_bomb_in_a_zip_file_is_refused(faces: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(decode, "LARGEST", 100)
    assert "22 x 18 pixels, and at most 100 are read" in refused(CelebA(zip_faces(faces), size=8))


def test_the_page_of_a_quota_is_told_with_the_manual_way(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The check of the content stays: what came is another file."""
    monkeypatch.setenv("VAE_LIGHTNING_DATA", str(tmp_path))
    page = tmp_path / "site" / "page"
    page.parent.mkdir()
    page.write_text("<html>Quota exceeded</html>")
    with served(page.parent) as address:
        monkeypatch.setattr(layout, "SITE", f"{address}/page?id=")
        told = refused(CelebA())
        assert "the answer is a web page (HTML), not the file" in told
        assert f"by hand and save it as {tmp_path}/celeba/img_align_celeba.zip" in told
        assert "where the day's quota of a file is used up: try again tomorrow, or see https://mmlab" in told
        page.write_text("another file")
        assert "expected 00d2c5bc6d35e252742224ab0c1e8fcb" in refused(CelebA())
    assert not list((tmp_path / "celeba").iterdir())
    assert "there are no faces in" in refused(CelebA(download=False))


# --- hyper-parameters, preparation, verbs -----------------------------------------------------------------------------


def test_what_was_done_to_the_faces_is_recorded() -> None:
    data = CelebA("somewhere", size=(16, 24), crop=100, flip=True, attributes=["Male"])
    assert data.observed_shape == (3, 16, 24)
    kept = {name: data.hparams[name] for name in ("path", "size", "crop", "flip", "attributes", "skip_damaged")}
    assert kept == {
        "path": "somewhere", "size": (16, 24), "crop": 100, "flip": True, "attributes": ["Male"], "skip_damaged": False
    }  # fmt: skip
    assert all(map(is_plain, data.hparams.values()))


@pytest.mark.parametrize("packed", [False, True])
def test_other_pictures_become_what_training_saw(faces: Path, packed: bool) -> None:
    data = CelebA(faces, size=8, predict_split="all")
    data.setup("predict")
    assert isinstance(data.preparation, FacePreparation)
    found = data.preparation.read(str(zip_faces(faces)) if packed else faces / "img_align_celeba")
    assert torch.equal(found.observations.x, data.split("all").x)  # type: ignore[arg-type]
    (block,) = found.blocks(NUM)
    torch.testing.assert_close(block.original, (block.x + 1) / 2)
    assert [name.rpartition("/")[2] for name in found.names] == numbers()


def test_floats_are_x_itself_and_answers_are_in_their_units() -> None:
    preparation, x = FacePreparation([1, 8, 8]), torch.rand(2, 1, 8, 8) * 2 - 1
    found = preparation.read(x)
    assert torch.equal(found.observations.x, x)  # type: ignore[arg-type]
    torch.testing.assert_close(next(found.blocks(2)).original, preparation.to_original(x))
    # of a density: p(picture) = p(x) |dx / d picture|, here 2 a pixel
    uniform = torch.distributions.Uniform(-1, 1)
    assert preparation.log_volume(x).tolist() == pytest.approx([-uniform.log_prob(x[:1]).sum().item()] * 2)
    with pytest.raises(ValueError, match="the model takes pictures of shape"):
        preparation.read(torch.rand(2, 3, 8, 8))


def test_a_vae_of_faces_fits_and_answers_in_pictures(faces: Path, tmp_path: Path) -> None:
    """The shipped config, smaller: pictures of the run and of the verbs are in [0, 1]."""
    small = ["--model.latent_dim", "3", "--model.encoder.width", "4", "--model.decoder.network.width", "4"]
    options = ["--trainer.max_epochs", "1", "--trainer.accelerator", "cpu", "--data.size", "8", "--data.path", faces]
    command("fit", "--config", "celeba/vae", "--trainer.logger.save_dir", tmp_path, *options, *small)
    (drawn,) = (tmp_path / "version_0" / "pictures").glob("val-reconstructions-*.png")
    assert drawn.is_file()
    checkpoint = tmp_path / "version_0" / "checkpoints" / "best.ckpt"
    command("reconstruct", "--data", faces / "img_align_celeba", "--ckpt", checkpoint, "--out", tmp_path / "grid.png")
    grid = np.asarray(Image.open(tmp_path / "grid.png").convert("RGB"))
    # the first row is of originals, of 48 pixels: its right halves have their shades
    shown = [grid[26, 2 + 50 * row + 40, 0] for row in range(8)]
    assert shown == pytest.approx([10 + 15 * row for row in range(8)], abs=3)
    model = vl.load(checkpoint)
    assert model.reconstruct(faces / "img_align_celeba" / numbers()[0]).x.min() >= 0


class Seen(nn.Module):
    """Features that keep the images that they are asked of."""

    images: ClassVar[list[torch.Tensor]] = []  # of all its copies

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        Seen.images.append(x.clone())
        return x.flatten(1)[:, :4]


def test_distances_are_of_images_in_0_to_1(faces: Path, tmp_path: Path) -> None:
    Seen.images.clear()
    data = CelebA(faces, size=8, batch_size=6)
    distance = FrechetInceptionDistance(
        features=Seen(), cache=tmp_path / "fid", num=4, every_n_epochs=1, sampler=ImageMeans()
    )
    model = GaussianVAE(2, Normal((3, 8, 8), 1.0), MLP, MLP)
    trainer(distance, max_epochs=1).fit(model, datamodule=data)
    real, made = Seen.images[-2:]
    torch.testing.assert_close(real, (data.val.x + 1) / 2)  # type: ignore[operator]
    assert made.mean().item() == pytest.approx(0.5, abs=0.2)  # of means that are near 0, the middle of [-1, 1]
    assert model.sample(3).shape == (3, 3, 8, 8)


@pytest.mark.parametrize("mode", ["L", "CMYK", "RGBA", "P"])
def test_faces_of_other_kinds_are_read_as_viewers_show_them(faces: Path, mode: str) -> None:
    """In the zip file, too; of one turned by its camera, the upper side is up."""
    place = faces / "img_align_celeba"
    (place / numbers()[0]).unlink()
    pixels = np.full((18, 18, 3), 200, np.uint8)
    pixels[:9] = 100
    exif = Image.Exif()
    exif[0x0112] = 3  # upside down
    ending, options = ("tif", {}) if mode == "CMYK" else ("png", {"exif": exif})
    image = Image.fromarray(pixels if mode == "CMYK" else pixels[::-1]).convert(mode)
    image.save(place / f"000001.{ending}", **options)
    data = ready(CelebA(zip_faces(faces), size=8))
    assert data.attribute_names == NAMES  # which are of 000001.jpg
    (x,) = data.train.batch((data.train.ids == 0).nonzero()[:, 0])[0]
    shades = (x + 1) * 127.5
    assert shades[:, 0].flatten().tolist() == pytest.approx([100] * 24, abs=5)  # a palette has no closer one
    assert shades[:, -1].flatten().tolist() == pytest.approx([200] * 24, abs=5)


# --- two processes ----------------------------------------------------------------------------------------------------


FACES_OF_TWO = 46  # of which 11 are for the test: three batches, the last of three
SMALL_VAE = [
    *("--config", "celeba/vae", "--model.latent_dim", "3", "--model.encoder.width", "4", "--data.size", "8"),
    *("--model.decoder.network.width", "4", "--data.batch_size", "8", "--data.eval_batch_size", "4"),
    *("--trainer.max_epochs", "1", "--trainer.enable_progress_bar", "false"),
]
ONE: list[str | Path] = ["--trainer.accelerator", "cpu", "--trainer.devices", "1"]
TWO: list[str | Path] = ["--config", ROOT / "configs" / "trainer" / "ddp.yaml"]


def watched(cache: Path) -> list[str]:
    """The bound and its tighter one, the surgery, and a distance, for `--trainer.callbacks`."""
    options: dict[str, dict[str, Any]] = {
        "LogLikelihood": {"Ks": [1, 5], "fit_Ks": [1]},
        "ELBOSurgery": {"chunk": 5},
        "FrechetInceptionDistance": {"features": {"class_path": "torch.nn.Flatten"}, "cache": str(cache), "num": 11},
    }
    found = [
        {"class_path": f"vae_lightning.callbacks.{name}", "init_args": {**given, "every_n_epochs": 1}}
        for name, given in options.items()
    ]
    return ["--trainer.callbacks", json.dumps(found)]


def test_two_processes_build_one_cache_train_and_give_the_figures_of_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The bound, its surgery and the distance of 11 test faces, to six digits."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    place = write_faces(tmp_path / "celeba", FACES_OF_TWO)
    options = [*SMALL_VAE, "--data.path", place, *watched(tmp_path / "fid")]
    done = forked("fit", *options, *TWO, "--trainer.logger.save_dir", tmp_path, processes=2)
    assert done.returncode == 0, done.stderr
    assert len(list((tmp_path / "cache/vae-lightning").iterdir())) == 1
    checkpoint, found = tmp_path / "version_0" / "checkpoints" / "last.ckpt", []
    for where, processes in ((ONE, 1), (TWO, 2)):
        out = tmp_path / str(processes)
        done = forked(
            "test", *options, *where, "--ckpt_path", checkpoint, "--trainer.logger.save_dir", out, processes=processes
        )
        assert done.returncode == 0, done.stderr
        found.append({name: value for name, value in figures(out / "version_0").items() if name.startswith("test/")})
    one, two = found
    assert {
        f"test/{name}" for name in ("nelbo", "log_likelihood", "elbo", "rate", "marginal_kl", "frechet_distance")
    } <= one.keys()
    assert two == pytest.approx(one, rel=1e-6, abs=1e-6)


# --- the real faces --------------------------------------------------------------------------------------------------


def test_real_faces() -> None:
    """The hundred originals, whose first 40 attributes are known: the first face is a smiling young woman."""
    archive = find_real_faces()
    data = CelebA(archive, val_size=10, test_size=10, predict_split="all")
    data.setup("predict")
    whole = data.split("all")
    assert whole.stored.shape == (100, 3, 64, 64)
    assert len(data.attribute_names) == 40
    first = {name for name, sign in zip(data.attribute_names, whole.y[0].tolist(), strict=True) if sign}
    assert {"Smiling", "Young", "Attractive"} <= first
    assert "Male" not in first
    assert {len(part) for part in ready(data).load()} == {80, 10}
