"""MNIST, Omniglot and ImageFolder on small files in their formats: what is read, and what is refused."""

from __future__ import annotations

import gzip
import hashlib
import multiprocessing
import os
import re
import shutil
import struct
import tracemalloc
import zipfile
import zlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from jsonargparse import ArgumentParser
from lightning.pytorch import LightningDataModule
from numpy.typing import NDArray
from PIL import Image
from support.served import served
from torchvision.transforms import v2

from vae_lightning.construction.hyperparameters import is_plain
from vae_lightning.data import MNIST, DynamicBinarisation, ImageFolder, Omniglot, StaticBinarisation
from vae_lightning.data.images import decode, mnist, omniglot
from vae_lightning.data.images.base import ImageDataModule
from vae_lightning.data.images.celeba import FacePreparation
from vae_lightning.data.images.preparation import ImagePreparation

RNG = np.random.default_rng(0)


def pixels(*shape: int) -> NDArray[np.uint8]:
    return RNG.integers(0, 256, shape, dtype=np.uint8)


def save(path: Path, image: NDArray[np.uint8], **options: Any) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(image).save(path, **options)


def ready(data: ImageDataModule) -> ImageDataModule:
    data.prepare_data()
    data.setup("fit")
    return data


def refused(data: ImageDataModule) -> str:
    """The one line that says why these data cannot be had."""
    with pytest.raises(ValueError, match=r".+") as error:
        ready(data)
    assert "\n" not in str(error.value)
    return str(error.value)


def assert_bytes(x: torch.Tensor, images: NDArray[np.uint8]) -> None:
    """x is the images as float32 in [0, 1], and no bit is lost."""
    assert x.dtype == torch.float32
    assert ((x * 255).round().byte().numpy() == images).all()
    assert (x.double() * 255 - torch.from_numpy(images)).abs().max() < 1e-4


# --- MNIST -----------------------------------------------------------------------------------------------------------

IMAGES, LABELS = {"train": pixels(60, 28, 28), "t10k": pixels(11, 28, 28)}, {}
LABELS["train"], LABELS["t10k"] = np.repeat(np.arange(10, dtype=np.uint8), 6), np.arange(11, dtype=np.uint8) % 10


def idx(array: NDArray[np.uint8]) -> bytes:
    sizes = b"".join(size.to_bytes(4, "big") for size in array.shape)
    return bytes([0, 0, 8, array.ndim]) + sizes + array.tobytes()


def zipped(content: bytes) -> bytes:
    """Without the time: it would be in the names of the tests, which all workers must agree on."""
    return gzip.compress(content, mtime=0)


def write_mnist(folder: Path, packed: bool = True) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for part in ("train", "t10k"):
        for name, array in {"images-idx3": IMAGES[part], "labels-idx1": LABELS[part]}.items():
            path = folder / f"{part}-{name}-ubyte"
            if packed:
                path.with_name(f"{path.name}.gz").write_bytes(zipped(idx(array)))
            else:
                path.write_bytes(idx(array))
    return folder


@pytest.mark.parametrize("place", [".", "raw", "MNIST/raw"])
@pytest.mark.parametrize("packed", [True, False])
def test_mnist_is_read_where_torchvision_keeps_it(tmp_path: Path, place: str, packed: bool) -> None:
    write_mnist(tmp_path / place, packed)
    data = ready(MNIST(tmp_path, val_size=20))
    assert data.observed_shape == (1, 28, 28)
    assert [len(data.split(name)) for name in ("train", "val", "test")] == [40, 20, 11]
    for name in ("train", "val"):
        split = data.split(name)
        assert_bytes(split.x[:, 0], IMAGES["train"][split.ids])
        assert split.y.tolist() == LABELS["train"][split.ids].tolist()
    assert data.val.y.bincount().tolist() == [2] * 10
    in_file = data.test.ids - 60  # ids go on where those of the training file end
    assert_bytes(data.test.x[:, 0], IMAGES["t10k"][in_file])
    assert data.test.y.tolist() == LABELS["t10k"][in_file].tolist()
    assert sorted(in_file.tolist()) == list(range(11))


@pytest.mark.parametrize("packed", [True, False])
def test_mnist_is_found_under_the_names_that_others_give_it(tmp_path: Path, packed: bool) -> None:
    """As Kaggle hands it out."""
    expected = ready(MNIST(write_mnist(tmp_path, packed), val_size=10))
    for file in tmp_path.iterdir():
        file.rename(tmp_path / file.name.replace("-idx", ".idx"))
    assert (tmp_path / ("train-images.idx3-ubyte" + ".gz" * packed)).exists()
    assert torch.equal(ready(MNIST(tmp_path, val_size=10)).train.x, expected.train.x)


def test_mnist_resized_is_as_pil_resizes_with_antialiasing(tmp_path: Path) -> None:
    data = ready(MNIST(write_mnist(tmp_path), val_size=0, size=(14, 7)))
    assert data.observed_shape == (1, 14, 7)
    expected = [
        np.asarray(Image.fromarray(image).resize((7, 14), Image.Resampling.BILINEAR)) for image in IMAGES["t10k"]
    ]
    difference = (data.test.x[:, 0] * 255).round() - torch.from_numpy(np.stack(expected))[data.test.ids - 60]
    assert difference.abs().max() <= 1


@pytest.mark.parametrize(
    ("file", "content", "message"),
    [
        ("train-images-idx3-ubyte.gz", None, "there is no train-images-idx3-ubyte.gz in .*: get it from http"),
        (
            "train-images-idx3-ubyte.gz",
            b"<html>",
            "cannot read .*train-images-idx3-ubyte.gz .*: it is not whole, or not packed by gzip; give",
        ),
        ("t10k-images-idx3-ubyte.gz", zipped(idx(IMAGES["t10k"]))[:5000], "cannot read .*t10k-images"),
        (
            "t10k-images-idx3-ubyte.gz",
            zipped(idx(IMAGES["t10k"])[:5000]),
            "has 4984 of 8624 bytes: give the file as its authors have it",
        ),
        ("t10k-labels-idx1-ubyte.gz", zipped(idx(IMAGES["t10k"])), "not an idx file of bytes with 1 axes"),
        ("t10k-labels-idx1-ubyte.gz", zipped(b""), "not an idx file of bytes with 1 axes"),
        ("t10k-images-idx3-ubyte.gz", zipped(idx(IMAGES["t10k"]) + b"x"), "has more than 8624 bytes"),
        ("t10k-images-idx3-ubyte.gz", zipped(b"\0\0\x08\x03" + b"\xff" * 12), "announces 7.* bytes, and at most 1,07"),
        ("t10k-labels-idx1-ubyte.gz", zipped(idx(LABELS["train"])), "has 11 images, but .* 60 labels"),
    ],
)
def test_damaged_mnist_is_named_in_one_line(tmp_path: Path, file: str, content: bytes | None, message: str) -> None:
    path = write_mnist(tmp_path) / file
    path.unlink() if content is None else path.write_bytes(content)
    assert re.search(message, refused(MNIST(tmp_path, val_size=10)))


# --- Omniglot --------------------------------------------------------------------------------------------------------

DRAWINGS = {
    "images_background/Greek/character01/0001_01.png": 255 * (pixels(105, 105) > 20),
    "images_background/Greek/character01/0001_02.png": 255 * (pixels(105, 105) > 20),
    "images_background/Greek/character02/0002_01.png": 255 * (pixels(105, 105) > 20),
    "images_background/Latin/character01/0003_01.png": 255 * (pixels(105, 105) > 20),
    "images_evaluation/Gurmukhi/character01/0965_01.png": 255 * (pixels(105, 105) > 20),
    "images_evaluation/Gurmukhi/character02/0966_01.png": 255 * (pixels(105, 105) > 20),
}
CHARACTERS = [
    "Greek/character01",
    "Greek/character02",
    "Latin/character01",
    "Gurmukhi/character01",
    "Gurmukhi/character02",
]


def write_omniglot(folder: Path) -> Path:
    """Drawings of one bit a pixel, ink black, as the original ones are."""
    for name, drawing in DRAWINGS.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(drawing.astype(np.uint8)).convert("1").save(path)
    return folder


def zip_omniglot(folder: Path) -> Path:
    """The two zip files, and nothing else."""
    write_omniglot(folder)
    for part in ("images_background", "images_evaluation"):
        shutil.make_archive(str(folder / part), "zip", folder, part)
        shutil.rmtree(folder / part)
    return folder


@pytest.mark.parametrize("place", [".", "omniglot-py"])
@pytest.mark.parametrize("write", [write_omniglot, zip_omniglot])
def test_omniglot_trains_on_background_and_tests_on_evaluation(tmp_path: Path, place: str, write: Any) -> None:
    write(tmp_path / place)
    data = ready(Omniglot(tmp_path, size=None, val_size=1))
    assert [len(data.split(name)) for name in ("train", "val", "test")] == [3, 1, 2]
    assert data.label_names == CHARACTERS
    assert data.observed_shape == (1, 105, 105)
    drawings, labels = list(DRAWINGS.values()), [0, 0, 1, 2, 3, 4]
    for split in (data.train, data.val, data.test):
        for x, y, n in zip(split.x, split.y, split.ids, strict=True):
            assert_bytes(x[0], (255 - drawings[n]).astype(np.uint8))  # ink is 1
            assert y == labels[n]
    assert sorted(data.test.ids.tolist()) == [4, 5]
    assert ready(Omniglot(tmp_path)).train.x.shape[1:] == (1, 28, 28)
    assert not list((tmp_path / place).glob(".*"))


def test_omniglot_may_be_unpacked_by_two_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    zip_omniglot(tmp_path)
    unpacked = zipfile.ZipFile.extractall

    def after_another(file: zipfile.ZipFile, *arguments: Any) -> None:
        unpacked(file, *arguments)
        unpacked(file, tmp_path, *arguments[1:])

    monkeypatch.setattr(zipfile.ZipFile, "extractall", after_another)
    assert len(ready(Omniglot(tmp_path)).test) == 2
    assert not list(tmp_path.glob(".*"))


def test_damaged_omniglot_is_named_in_one_line(tmp_path: Path) -> None:
    assert "neither a folder images_background nor images_background.zip" in refused(Omniglot(tmp_path))
    zip_omniglot(tmp_path)
    archive = tmp_path / "images_evaluation.zip"
    archive.write_bytes(archive.read_bytes()[:-30])
    assert "cannot unpack" in refused(Omniglot(tmp_path))
    assert not (tmp_path / "images_evaluation").exists()
    (tmp_path / "images_evaluation").mkdir()
    assert "there are no images in" in refused(Omniglot(tmp_path))


# --- ImageFolder -----------------------------------------------------------------------------------------------------


def write_labelled(folder: Path, side: int = 12) -> dict[str, NDArray[np.uint8]]:
    names = ["cat/1.png", "cat/deep/er/2.PNG", "cat/3.bmp", "dog/1.png", "dog/2.png", "eel/1.png", "eel/2.png"]
    images = {name: pixels(side, side + 4, 3) for name in names}
    for name, image in images.items():
        save(folder / name, image)
    return images


def test_sub_folders_are_labels(tmp_path: Path) -> None:
    images = write_labelled(tmp_path)
    (tmp_path / "cat" / "readme.txt").write_text("not an image")
    save(tmp_path / ".thumbnails" / "1.png", pixels(3, 3))
    data = ready(ImageFolder(tmp_path, val_size=2, test_size=1))
    assert data.label_names == ["cat", "dog", "eel"]
    assert data.files == sorted(images)
    assert data.observed_shape == (3, 12, 16)
    assert [len(data.split(name)) for name in ("train", "val", "test")] == [4, 2, 1]
    for split in (data.train, data.val, data.test):
        for x, y, n in zip(split.x, split.y, split.ids, strict=True):
            file = data.files[n]
            assert_bytes(x.permute(1, 2, 0), images[file])
            assert data.label_names[y] == file.split("/")[0]


def test_a_flat_folder_is_of_one_label_and_may_become_grey(tmp_path: Path) -> None:
    images = {f"{n}.png": pixels(8, 8, 3) for n in range(6)}
    for name, image in images.items():
        save(tmp_path / name, image)
    data = ready(ImageFolder(tmp_path, channels=1, val_size=1, test_size=1))
    assert data.observed_shape == (1, 8, 8)
    assert data.train.y.tolist() == [0] * 4
    for x, n in zip(data.train.x, data.train.ids, strict=True):
        red, green, blue = np.moveaxis(images[data.files[n]].astype(float), -1, 0)
        luma = 0.299 * red + 0.587 * green + 0.114 * blue  # ITU-R 601
        assert (x[0] * 255 - torch.from_numpy(luma)).abs().max() <= 1


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("crop", [None, (9, 7)])
def test_images_that_are_resized_together_are_those_resized_alone(
    tmp_path: Path, crop: tuple[int, int] | None, channels: int
) -> None:
    """Bit for bit, of torchvision's own transforms; 40 of one size, among which some are not read or of another."""
    for number in range(40):
        save(tmp_path / f"{number:02}.png", pixels(*(12, 16) if number != 20 else (14, 11), 3))
    (tmp_path / "05.png").write_bytes(b"no image")
    damaged: dict[int, str] = {}
    found = decode.decode_all(sorted(tmp_path.iterdir()), decode.Shape((8, 6), crop, channels), damaged)
    assert list(damaged) == [5]
    steps = [v2.PILToTensor(), *([v2.CenterCrop(crop)] if crop else []), v2.Resize((8, 6), antialias=True)]
    alone = [
        v2.Compose(steps)(Image.open(p).convert("L" if channels == 1 else "RGB"))
        for p in sorted(tmp_path.iterdir())
        if p.name != "05.png"
    ]
    assert torch.equal(found, torch.stack(alone))


def test_a_crop_is_central_and_comes_before_the_size(tmp_path: Path) -> None:
    image = pixels(20, 30, 3)
    for n in range(3):
        save(tmp_path / f"{n}.png", image)
    middle = image[5:15, 9:21]
    data = ready(ImageFolder(tmp_path, crop=(10, 12), val_size=0, test_size=0))
    assert_bytes(data.train.x[0].permute(1, 2, 0), middle)
    data = ImageFolder(tmp_path, crop=(10, 12), size=5, val_size=0, test_size=0)
    assert data.observed_shape == (3, 5, 5)  # known before the files are read
    expected = np.asarray(Image.fromarray(middle).resize((5, 5), Image.Resampling.BILINEAR))
    assert ((ready(data).train.x[0].permute(1, 2, 0) * 255).round() - torch.from_numpy(expected)).abs().max() <= 1
    assert "0.png: images of 20 x 30 pixels are smaller than the crop (25, 25)" in refused(
        ImageFolder(tmp_path, crop=25)
    )


def test_photographs_of_several_sizes_and_kinds_become_alike(tmp_path: Path) -> None:
    """JPEG, palettes, transparency, one bit, and a photograph that lies on its side."""
    exif = Image.Exif()
    exif[0x0112] = 6  # a quarter turn
    wide = np.zeros((10, 20, 3), np.uint8)
    wide[:, :10] = 255
    save(tmp_path / "0.jpg", wide, exif=exif)
    save(tmp_path / "1.png", pixels(9, 14, 4))
    Image.fromarray(pixels(7, 7, 3)).convert("P").save(tmp_path / "2.png")
    Image.fromarray(pixels(7, 9)).convert("1").save(tmp_path / "3.png")
    save(tmp_path / "4.jpeg", pixels(16, 16))
    data = ready(ImageFolder(tmp_path, size=8, val_size=0, test_size=0))
    assert data.train.x.shape == (5, 3, 8, 8)
    upright = data.train.x[data.train.ids == 0][0]
    assert upright[:, :3].min() > 0.9
    assert upright[:, 5:].max() < 0.1
    assert "give a size to resize all to" in refused(ImageFolder(tmp_path, val_size=0, test_size=0))


def test_folders_that_cannot_be_used(tmp_path: Path) -> None:
    assert f"there is no folder {tmp_path}/none" in refused(ImageFolder(tmp_path / "none"))
    (tmp_path / "notes.txt").write_text("x")
    assert f"there are no images in {tmp_path}: files ending in .jpg" in refused(ImageFolder(tmp_path))
    write_labelled(tmp_path)
    assert "test_size 4 and val_size 3 leave nothing of 7" in refused(ImageFolder(tmp_path, test_size=4, val_size=3))
    save(tmp_path / "stray.png", pixels(12, 16, 3))
    assert "has images (stray.png) beside sub-folders of images" in refused(ImageFolder(tmp_path))


def test_images_that_cannot_be_used(tmp_path: Path) -> None:
    write_labelled(tmp_path)
    odd = tmp_path / "dog" / "odd.png"
    save(odd, pixels(5, 6, 3))
    assert refused(ImageFolder(tmp_path)) == (
        f"{odd} has 5 x 6 pixels, but 1.png 12 x 16: give a size to resize all to"
    )
    odd.write_bytes(odd.read_bytes()[:60])
    assert f"{odd} is not a whole image (" in refused(ImageFolder(tmp_path, size=8))
    odd.write_text("<html>")
    assert refused(ImageFolder(tmp_path, size=8)).startswith(f"{odd} is not an image: expected one of .jpg")
    odd.write_text("%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 12 16\nshowpage\n")  # which Ghostscript would run
    assert refused(ImageFolder(tmp_path, size=8)).startswith(f"{odd} is not an image: expected one of .jpg")
    odd.unlink()
    os.mkfifo(odd)
    assert len(ready(ImageFolder(tmp_path)).files) == 7  # a pipe is no file


def only(folder: Path, **options: Any) -> NDArray[np.uint8]:
    """The bytes of the one image of a folder, (C, H, W)."""
    data = ready(ImageFolder(folder, val_size=0, test_size=0, **options))
    return (data.train.x[0] * 255).round().byte().numpy()


def test_images_of_every_kind_are_read_as_viewers_show_them(tmp_path: Path) -> None:
    """Each against pixels that were written: of one bit, a palette with transparency, inks, alpha, 12 bits scaled."""
    colours = np.array([[200, 10, 30], [0, 255, 7], [90, 90, 90]], dtype=np.uint8)
    index = RNG.integers(0, 3, (6, 5)).astype(np.uint8)
    palette = Image.fromarray(index, mode="P")
    palette.putpalette(colours.tobytes())
    palette.save(tmp_path / "a.png", transparency=bytes([0, 128, 255]))
    assert (only(tmp_path) == np.moveaxis(colours[index], -1, 0)).all()

    alpha = np.dstack([pixels(6, 5, 3), pixels(6, 5, 1)])
    Image.fromarray(alpha).save(tmp_path / "a.png")
    assert (only(tmp_path) == np.moveaxis(alpha[..., :3], -1, 0)).all()

    bits = RNG.integers(0, 2, (6, 5)).astype(bool)
    Image.fromarray(bits).save(tmp_path / "a.png")
    assert (only(tmp_path, channels=1)[0] == 255 * bits).all()

    (tmp_path / "a.png").unlink()
    inks = pixels(6, 5, 4)
    Image.fromarray(inks, mode="CMYK").save(tmp_path / "a.tif")
    expected = (255 - inks[..., :3].astype(float)) * (255 - inks[..., 3:].astype(float)) / 255
    assert np.abs(only(tmp_path) - np.moveaxis(expected, -1, 0)).max() <= 1

    (tmp_path / "a.tif").unlink()
    values = RNG.integers(0, 4096, (6, 5, 3)).astype(">u2")
    (tmp_path / "a.ppm").write_bytes(b"P6 5 6 4095\n" + values.tobytes())
    assert np.abs(only(tmp_path) - np.moveaxis(values / 4095 * 255, -1, 0)).max() <= 1


def png_of_16_bits(path: Path, colour: int, values: NDArray[np.uint16]) -> None:
    """By hand, since Pillow writes gray alone: colour is PNG's number, 2 for RGB, 4 for gray and alpha, 6 for RGBA."""
    height, width, _ = values.shape
    rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in values)
    header = struct.pack(">IIBBBBB", width, height, 16, colour, 0, 0, 0)
    chunks = ((b"IHDR", header), (b"IDAT", zlib.compress(rows)), (b"IEND", b""))
    content = b"".join(
        struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data)) for name, data in chunks
    )
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + content)


def tiff(path: Path, image: NDArray[Any], fields: dict[int, int]) -> None:
    """What Pillow does not write: its file, in which some fields (256: width, 258: bits, 262: what 0 is) are others."""
    Image.fromarray(image).save(path)
    content = bytearray(path.read_bytes())
    for entry in range(10, 10 + 12 * content[8], 12):
        tag, kind, count = struct.unpack_from("<HHI", content, entry)
        if tag in fields:
            place = entry + 8 if count == 1 else struct.unpack_from("<I", content, entry + 8)[0]
            struct.pack_into(f"<{count}{'H' if kind == 3 else 'I'}", content, place, *[fields[tag]] * count)
    path.write_bytes(content)


def in_12_bits(values: NDArray[np.uint16]) -> NDArray[np.uint8]:
    """Two numbers in three bytes."""
    bits = np.unpackbits(values.astype(">u2").view(np.uint8), axis=1).reshape(len(values), -1, 16)
    return np.packbits(bits[..., 4:].reshape(len(values), -1), axis=1)


DEEP = RNG.integers(0, 2**16, (12, 16, 4), dtype=np.uint16)
DEEP[0, 0], DEEP[0, 1], GREY, RGB = 0, 2**16 - 1, DEEP[..., 0], DEEP[..., :3]
OF_16_BITS: dict[str, tuple[Callable[[Path], object], NDArray[Any]]] = {
    "gray.png": (lambda path: Image.fromarray(GREY).save(path), GREY >> 8),
    "rgb.png": (lambda path: png_of_16_bits(path, 2, RGB), RGB >> 8),
    "gray and alpha.png": (lambda path: png_of_16_bits(path, 4, DEEP[..., :2]), GREY >> 8),
    "rgba.png": (lambda path: png_of_16_bits(path, 6, DEEP), RGB >> 8),
    "gray.tif": (lambda path: Image.fromarray(GREY).save(path), GREY >> 8),
    "big-endian.tif": (lambda path: Image.fromarray(GREY.astype(">u2")).save(path), GREY >> 8),
    "white is 0.tif": (lambda path: tiff(path, GREY, {262: 0}), 255 - (GREY >> 8)),
    "12 bits.tif": (lambda path: tiff(path, in_12_bits(GREY >> 4), {256: 16, 258: 12}), GREY >> 8),
    "rgb.tif": (lambda path: tiff(path, RGB.copy().view(np.uint8).reshape(12, 32, 3), {256: 16, 258: 16}), RGB >> 8),
    "gray.pgm": (lambda path: path.write_bytes(b"P5 16 12 65535\n" + GREY.astype(">u2").tobytes()), GREY >> 8),
    "12 bits.pgm": (lambda path: path.write_bytes(b"P5 16 12 4095\n" + (GREY >> 4).astype(">u2").tobytes()), GREY >> 8),
}


@pytest.mark.parametrize("name", OF_16_BITS)
@pytest.mark.parametrize("channels", [1, 3])
def test_images_of_16_bits_are_read_by_their_high_bytes(tmp_path: Path, name: str, channels: int) -> None:
    """As viewers show them; Pillow's own `convert` would clip gray ones at 255, which is white nearly everywhere."""
    write, seen = OF_16_BITS[name]
    write(tmp_path / name)
    colours = np.broadcast_to(seen.reshape(12, 16, -1), (12, 16, 3)).astype(float)
    expected = colours if channels == 3 else colours @ [[0.299], [0.587], [0.114]]  # ITU-R 601
    assert np.abs(only(tmp_path, channels=channels) - np.moveaxis(expected, -1, 0)).max() < 0.6  # rounded luma


def test_an_image_of_16_bits_lies_on_its_side(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6  # a quarter turn
    Image.fromarray(GREY).save(tmp_path / "a.png", exif=exif)
    assert (only(tmp_path, channels=1)[0] == np.rot90(GREY >> 8, -1)).all()


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize(
    ("kind", "told"), [("int32", "integers with a sign, or of 32 bits"), ("int16", "integers"), ("float32", "floats")]
)
def test_images_without_a_known_white_are_refused_by_name(tmp_path: Path, kind: str, told: str, channels: int) -> None:
    if kind == "int16":  # as a field says; Pillow has no such mode
        Image.fromarray(GREY).save(tmp_path / "a.tif", tiffinfo={339: 2})
    else:
        Image.fromarray(GREY.astype(kind)).save(tmp_path / "a.tif")
    message = refused(ImageFolder(tmp_path, channels=channels))
    assert message.startswith(f"{tmp_path / 'a.tif'}: its pixels are {told}")
    assert message.endswith("of which none is known as white: convert it to 8 bits (white is 255)")


@pytest.mark.parametrize("orientation", range(1, 9))
def test_a_camera_that_was_turned(tmp_path: Path, orientation: int) -> None:
    """EXIF's eight ways to hold a camera, by the flips and turns that its standard names."""
    image, exif = pixels(6, 5, 3), Image.Exif()
    exif[0x0112] = orientation
    Image.fromarray(image).save(tmp_path / "a.png", exif=exif)
    seen = {
        1: image, 2: image[:, ::-1], 3: image[::-1, ::-1], 4: image[::-1], 5: image.swapaxes(0, 1),
        6: np.rot90(image, -1), 7: image[::-1, ::-1].swapaxes(0, 1), 8: np.rot90(image, 1),
    }[orientation]  # fmt: skip
    assert (only(tmp_path) == np.moveaxis(seen, -1, 0)).all()


# --- bombs -----------------------------------------------------------------------------------------------------------


def status_of_memory(name: str) -> float:
    """VmRSS, what this process holds, or VmHWM, the most it held since that was reset; in MB."""
    lines = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines())
    return int(lines[name].split()[0]) / 1024


def refusals_and_memory(data: Sequence[ImageDataModule], answer: Any) -> None:
    """Put each one's line, and the MB that all of them took at the most."""
    Path("/proc/self/clear_refs").write_text("5")  # resets the peak
    before = status_of_memory("VmRSS")
    answer.put(([refused(each) for each in data], status_of_memory("VmHWM") - before))


def test_bombs_are_refused_before_they_take_memory(tmp_path: Path) -> None:
    """A PNG of 100 million pixels in 12 kB, an idx file that announces 2 GB, a zip file of 0.3 GB in 1 MB."""
    Image.new("1", (10_000, 10_000)).save(tmp_path / "bomb.png")
    write_mnist(tmp_path / "idx")
    header = b"\0\0\x08\x03" + struct.pack(">III", 2_000_000, 32, 32)
    with gzip.open(tmp_path / "idx" / "train-images-idx3-ubyte.gz", "wb", compresslevel=1) as file:
        file.write(header + bytes(10_000_000))
    (tmp_path / "zip").mkdir()
    with (
        zipfile.ZipFile(
            tmp_path / "zip" / "images_background.zip", "w", zipfile.ZIP_DEFLATED, compresslevel=1
        ) as archive,
        archive.open("images_background/a/b/1.png", "w") as member,
    ):
        for _ in range(300):
            member.write(bytes(1 << 20))
    data = [ImageFolder(tmp_path, size=8), MNIST(tmp_path / "idx"), Omniglot(tmp_path / "zip")]
    forked = multiprocessing.get_context("fork")
    answer = forked.SimpleQueue()
    child = forked.Process(target=refusals_and_memory, args=(data, answer))
    child.start()
    (picture, numbers, packed), megabytes = answer.get()
    child.join()
    assert "the image has 10,000 x 10,000 pixels, and at most 67,108,864 are read: make it smaller" in picture
    assert "announces 2,048,000,000 bytes, and at most 1,073,741,824 are read" in numbers
    assert "has 1 files of 314,572,800 bytes, and at most 100,000 of 268,435,456 are unpacked" in packed
    assert megabytes < 60
    assert sorted(path.name for path in (tmp_path / "zip").iterdir()) == ["images_background.zip"]


def test_a_stream_beyond_what_its_header_says_is_not_read_to_its_end(tmp_path: Path) -> None:
    """The bytes that come are not believed either: one more than announced is enough to know."""
    path = tmp_path / "bomb-idx1-ubyte.gz"
    with gzip.open(path, "wb", compresslevel=1) as file:
        file.write(b"\0\0\x08\x01" + struct.pack(">I", 10))
        for _ in range(100):
            file.write(bytes(1 << 20))
    tracemalloc.start()
    with pytest.raises(ValueError, match="has more than 10 bytes"):
        mnist.read_idx(path, 1)
    assert tracemalloc.get_traced_memory()[1] < 2e6
    tracemalloc.stop()


@pytest.mark.parametrize("name", ["../escaped.png", "images_background/../../escaped.png", "/escaped.png"])
def test_a_zip_file_cannot_write_elsewhere(tmp_path: Path, name: str) -> None:
    zip_omniglot(tmp_path / "here")
    with zipfile.ZipFile(tmp_path / "here" / "images_background.zip", "a") as archive:
        archive.writestr(name, b"x")
    with suppress(ValueError):  # or what lies elsewhere is left alone
        ready(Omniglot(tmp_path / "here", val_size=1))
    assert not list(tmp_path.rglob("escaped.png"))
    assert not Path("/escaped.png").exists()


def test_more_images_than_the_machine_can_hold(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Which matters where no cache can be written."""
    write_labelled(tmp_path / "images")
    (tmp_path / "file").touch()
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    monkeypatch.setattr("os.sysconf", lambda name: {"SC_PAGE_SIZE": 1000, "SC_PHYS_PAGES": 4}[name])
    assert "7 images of 12 x 16 pixels take 0.0 GB, and this machine has 0.0: give a smaller size" in refused(
        ImageFolder(tmp_path / "images")
    )


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"size": 0}, "size must be a positive number of pixels, or two of them .height, width.; got 0"),
        ({"size": (8, -1)}, "size must be a positive number"),
        ({"crop": 0}, "crop must be a positive number"),
        ({"channels": 2}, "channels must be 1 .grey. or 3 .red, green, blue., got 2"),
        ({"batch_size": 0}, "batch_size must be at least 1"),
    ],
)
def test_impossible_options(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        ImageFolder(**options)


# --- what all of them do ---------------------------------------------------------------------------------------------


def write_by_class(kind: type[ImageDataModule], folder: Path) -> Path:
    """Twelve images of each of three classes, all of one class before those of the next, for training and test."""
    images, labels = pixels(36, 6, 6), np.repeat(np.arange(3, dtype=np.uint8), 12)
    for part in ("train", "t10k") if kind is MNIST else ("images_background", "images_evaluation"):
        if kind is MNIST:
            (folder / f"{part}-images-idx3-ubyte").write_bytes(idx(images))
            (folder / f"{part}-labels-idx1-ubyte").write_bytes(idx(labels))
            continue
        for n, image in enumerate(images):
            save(folder / part / "Latin" / f"character{labels[n]}" / f"{n:02}.png", image)
    return folder


@pytest.mark.parametrize("kind", [MNIST, Omniglot, ImageFolder])
def test_the_first_observations_of_a_split_are_of_all_classes(kind: type[ImageDataModule], tmp_path: Path) -> None:
    """Whatever the order of the files: who reads the first n, as diagnostics do, is not shown one class alone."""
    folder = write_by_class(kind, tmp_path)
    if kind is ImageFolder:
        folder = folder / "images_background" / "Latin"
    data, other = (ready(kind(folder, val_size=6, split_seed=seed)) for seed in (0, 1))
    for name in ("train", "val", "test"):
        y = data.split(name).y
        for n in range(3, len(y) + 1):
            counts = (y[:n, None] == y.unique()).sum(0)
            assert (counts - n / 3).abs().max() < 2, (name, n)
    first, again = data.test.ids.tolist(), ready(kind(folder, val_size=6)).test.ids.tolist()
    assert first == again != other.test.ids.tolist()


def test_bytes_become_floats_in_the_batch_alone(tmp_path: Path) -> None:
    write_labelled(tmp_path)
    data = ready(ImageFolder(tmp_path, val_size=1, test_size=1, batch_size=2))
    assert data.train.stored.dtype == torch.uint8
    x, y = next(iter(data.train_dataloader()))
    assert x.dtype == torch.float32
    assert (x.shape, y.shape) == ((2, 3, 12, 16), (2,))


def test_binarised_images_and_the_shares_of_two_processes(tmp_path: Path) -> None:
    write_mnist(tmp_path)

    def batches(rank: int, world: int, loader: str) -> list[torch.Tensor]:
        data = MNIST(tmp_path, val_size=0, binarisation=DynamicBinarisation(), batch_size=8 // world, eval_batch_size=3)
        data.trainer = SimpleNamespace(global_rank=rank, world_size=world, overfit_batches=0.0, global_step=0)
        return [x for x, _ in getattr(ready(data), f"{loader}_dataloader")()]

    alone, shares = batches(0, 1, "train"), [batches(rank, 2, "train") for rank in range(2)]
    assert all(torch.cat(parts).equal(whole) for whole, *parts in zip(alone, *shares, strict=True))
    assert set(torch.cat(alone).unique().tolist()) == {0, 1}
    alone, shares = batches(0, 1, "test"), [batches(rank, 2, "test") for rank in range(2)]
    assert all(shares[n % 2][n // 2].equal(whole) for n, whole in enumerate(alone))
    assert sum(map(len, shares)) == len(alone) == 4


@pytest.mark.parametrize(("kind", "name"), [(MNIST, "MNIST"), (Omniglot, "omniglot-py"), (ImageFolder, "images")])
def test_files_are_looked_for_in_the_data_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: type[ImageDataModule], name: str
) -> None:
    monkeypatch.setenv("VAE_LIGHTNING_DATA", str(tmp_path))
    assert kind().folder == tmp_path / name
    assert f"in {tmp_path / name}" in refused(kind(download=False)) if kind is not ImageFolder else refused(kind())


@pytest.mark.parametrize("kind", ["MNIST", "Omniglot", "ImageFolder"])
def test_each_is_built_by_class_path_with_its_binarisation(kind: str) -> None:
    parser = ArgumentParser()
    parser.add_subclass_arguments(LightningDataModule, "data")
    static = {"class_path": "vae_lightning.data.StaticBinarisation", "init_args": {"seed": 4}}
    options = {"binarisation": static, "size": [16, 24], "path": "somewhere"}
    config = {"class_path": f"vae_lightning.data.{kind}", "init_args": options}
    data = parser.instantiate_classes(parser.parse_object({"data": config})).data
    assert isinstance(data.binarisation, StaticBinarisation)
    assert data.binarisation.seed == 4
    assert data.observed_shape == (3 if kind == "ImageFolder" else 1, 16, 24)
    assert data.hparams["size"] == (16, 24)
    assert data.hparams["binarisation"]["class_path"] == "vae_lightning.data.StaticBinarisation"
    assert all(map(is_plain, data.hparams.values()))


# --- download --------------------------------------------------------------------------------------------------------


@pytest.fixture
def site(tmp_path: Path) -> Iterator[tuple[str, Path]]:
    """The address of a server, and the folder it shows."""
    folder = tmp_path / "site"
    folder.mkdir()
    with served(folder) as address:
        yield address, folder


def md5(path: Path) -> str:
    return hashlib.md5(path.read_bytes()).hexdigest()


def test_missing_files_are_downloaded_and_checked(
    site: tuple[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    address, folder = site
    write_mnist(folder)
    zip_omniglot(folder)
    monkeypatch.setenv("VAE_LIGHTNING_DATA", str(tmp_path / "data"))
    monkeypatch.setattr(mnist, "SITE", f"{address}/")
    monkeypatch.setattr(mnist, "MD5", {name: md5(folder / name) for name in mnist.MD5})
    monkeypatch.setattr(omniglot, "SITE", address)
    monkeypatch.setattr(omniglot, "MD5", {name: md5(folder / f"{name}.zip") for name in omniglot.MD5})
    assert len(ready(MNIST(val_size=10)).train) == 50
    assert len(ready(Omniglot()).test) == 2
    shutil.rmtree(folder)  # they are there now
    assert len(ready(MNIST(val_size=10)).train) == 50
    assert len(ready(Omniglot()).test) == 2


def test_a_download_of_another_content_is_refused(
    site: tuple[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    address, folder = site
    write_mnist(folder)
    monkeypatch.setenv("VAE_LIGHTNING_DATA", str(tmp_path / "data"))
    monkeypatch.setattr(mnist, "SITE", f"{address}/")
    assert re.search(r"has md5 \w+, expected f68b3c2dcbeaaa9fbdd348bbdeb94873: get http.* by hand", refused(MNIST()))
    assert not list((tmp_path / "data" / "MNIST").iterdir())


def test_pictures_to_answer_for_come_one_by_one_as_a_list_as_a_folder_or_as_an_array(tmp_path: Path) -> None:
    images = pixels(3, 8, 8)
    for number, image in enumerate(images):
        save(tmp_path / f"photos/{number}.png", image)
    np.save(tmp_path / "x.npy", images[:, None])
    files, preparation = sorted((tmp_path / "photos").iterdir()), ImagePreparation([1, 8, 8])
    kinds = {"list": files, "folder": tmp_path / "photos", "array": images[:, None], "file": str(tmp_path / "x.npy")}
    found = {kind: preparation.read(data) for kind, data in kinds.items()}
    for each in found.values():
        assert_bytes(each.observations.x[:, 0], images)  # type: ignore[index]
    assert_bytes(preparation.read(files[1]).observations.x[:, 0], images[1:2])  # type: ignore[index]
    assert found["folder"].names == ["0.png", "1.png", "2.png"]
    assert found["list"].names == [str(path) for path in files]
    with pytest.raises(ValueError, match="there are no pictures in the list"):
        preparation.read([])
    with pytest.raises(ValueError, match=r"cannot read .*typo\.png: No such file"):
        preparation.read(tmp_path / "typo.png")
    with pytest.raises(ValueError, match="expected files of pictures or numbers"):
        preparation.read(np.array([[[[None]]]]))


@pytest.mark.parametrize("preparation", [ImagePreparation([1, 8, 8]), FacePreparation([1, 8, 8])])
def test_arrays_of_another_white_are_refused(preparation: ImagePreparation | FacePreparation) -> None:
    """Of floats and whole numbers other than bytes nobody can tell which is white; up to 255 they used to be taken."""
    images = pixels(3, 1, 8, 8)
    images[0, 0, 0, 0] = 255
    for white, other in ((255, images.astype(np.int64)), (16, images / 15.9), (65_535, images.astype(np.uint16) * 257)):
        with pytest.raises(ValueError, match=rf"have numbers from .* to 1, got some up to {white}.*: give bytes"):
            preparation.read(other)
    x = (images / 255).astype(">f4")[..., ::-1]
    np.testing.assert_array_equal(preparation.read(x).observations.x, x)  # type: ignore[arg-type]


def test_links_to_files_are_read_and_those_to_folders_are_named(tmp_path: Path) -> None:
    """A folder made of links is a common one; a link to a folder may lead to a whole disk, or round in a circle."""
    elsewhere, mine = tmp_path / "elsewhere", tmp_path / "mine"
    save(elsewhere / "far.png", far := pixels(6, 5, 3))
    mine.mkdir()
    (mine / "near.png").symlink_to(elsewhere / "far.png")
    (mine / "gone.png").symlink_to(elsewhere / "gone.png")
    (mine / "folder").symlink_to(elsewhere)
    with pytest.warns(UserWarning, match=r"mine/folder: a link to a folder is not followed: link its files"):
        assert (only(mine) == np.moveaxis(far, -1, 0)).all()
