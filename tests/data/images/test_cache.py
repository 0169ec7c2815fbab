"""The cache of decoded images: made once, of exactly these files, whole or not there; read batch by batch."""

from __future__ import annotations

import multiprocessing
import os
import pickle
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor

from vae_lightning.data import ImageFolder
from vae_lightning.data.images import cache, decode
from vae_lightning.data.images.decode import Shape
from vae_lightning.data.mapped import KEPT, Mapped, RowsFile

forked = multiprocessing.get_context("fork")


@pytest.fixture
def photos(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of seven pictures; caches go beside it."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    folder = tmp_path / "photos"
    folder.mkdir()
    for number, pixels in enumerate(np.random.default_rng(0).integers(0, 256, (7, 12, 16, 3), np.uint8)):
        Image.fromarray(pixels).save(folder / f"{number}.png")
    return folder


def caches(photos: Path) -> list[Path]:
    return sorted(photos.parent.glob("cache/vae-lightning/images-*"))


def images(photos: Path, **options: Any) -> Tensor:
    """All of them, by id."""
    data = ImageFolder(photos, predict_split="all", **options)
    data.setup("predict")
    x = data.split("all").x
    assert isinstance(x, Tensor)
    return x


def in_memory(photos: Path, size: tuple[int, int] | None = None) -> Tensor:
    return decode.decode_all(sorted(photos.iterdir()), Shape(size, channels=3)).float() / 255


@pytest.fixture
def decoding(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The files that were decoded."""
    seen: list[str] = []

    def decoded(paths: Sequence[Path], shape: Shape, damaged: None) -> Iterator[Tensor]:
        seen.extend(path.name for path in paths)
        return decode.decoded(paths, shape)

    monkeypatch.setattr(cache, "decoded", decoded)
    return seen


def test_files_are_decoded_once(photos: Path, decoding: list[str]) -> None:
    first, again = images(photos), images(photos)
    assert torch.equal(first, in_memory(photos))
    assert torch.equal(first, again)
    assert decoding == [f"{number}.png" for number in range(7)]
    assert len(caches(photos)) == 1


def test_splits_are_those_of_images_in_memory(photos: Path) -> None:
    data = ImageFolder(photos, val_size=2, test_size=1, batch_size=2)
    data.setup("fit")
    whole = in_memory(photos)
    for name in ("train", "val", "test"):
        split = data.split(name)
        assert torch.equal(split.x, whole[split.ids])
    for x, _ in data.train_dataloader():
        assert len(x) == 2


@pytest.mark.parametrize(
    "change",
    [
        lambda photos: os.utime(photos / "3.png", (1, 1)),
        lambda photos: (photos / "3.png").rename(photos / "33.png"),
        lambda photos: (photos / "3.png").unlink(),
        lambda photos: (photos / "3.png").write_bytes((photos / "4.png").read_bytes()),
    ],
    ids=["time", "name", "fewer", "content"],
)
def test_a_change_of_a_file_makes_another_cache(photos: Path, change: Callable[[Path], object]) -> None:
    images(photos)
    change(photos)
    assert torch.equal(images(photos), in_memory(photos))
    assert len(caches(photos)) == 2


def test_each_shape_has_a_cache_of_its_own(photos: Path) -> None:
    images(photos)
    assert torch.equal(images(photos, size=8), in_memory(photos, (8, 8)))
    assert images(photos, channels=1).shape == (7, 1, 12, 16)
    assert len(caches(photos)) == 3


@pytest.mark.parametrize(
    "damage",
    [
        lambda content: content[: len(content) // 2],
        lambda content: b"",
        lambda content: content + b"\0",
        lambda content: content[:100] + bytes([content[100] ^ 1]) + content[101:],
        lambda content: content[:-1] + bytes([content[-1] ^ 1]),
        lambda content: content[:-8] + bytes(8),
    ],
    ids=["half", "empty", "longer", "a bit of an image", "a bit of the sum", "no shape"],
)
def test_a_damaged_cache_is_made_again(photos: Path, decoding: list[str], damage: Callable[[bytes], bytes]) -> None:
    images(photos)
    (place,) = caches(photos)
    whole = place.read_bytes()
    place.write_bytes(damage(whole))
    assert torch.equal(images(photos), in_memory(photos))
    assert len(decoding) == 14
    assert place.read_bytes() == whole


def test_what_is_interrupted_leaves_nothing(photos: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def killed(paths: Sequence[Path], shape: Shape, damaged: None) -> Iterator[Tensor]:
        yield from list(decode.decoded(paths, shape))[:5]
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(cache, "decoded", killed)
        with pytest.raises(KeyboardInterrupt):
            images(photos)
    assert caches(photos) == []
    assert torch.equal(images(photos), in_memory(photos))


def test_a_damaged_picture_is_named_and_nothing_is_kept(photos: Path) -> None:
    (photos / "5.png").write_bytes((photos / "5.png").read_bytes()[:200])
    with pytest.raises(ValueError, match=r"5\.png is not a whole image"):
        images(photos)
    assert caches(photos) == []


def test_without_a_place_for_it_images_are_in_memory(photos: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("shutil.disk_usage", lambda _: SimpleNamespace(free=1000))
    assert torch.equal(images(photos), in_memory(photos))
    assert caches(photos) == []
    (photos.parent / "file").touch()
    monkeypatch.setenv("XDG_CACHE_HOME", str(photos.parent / "file"))
    assert torch.equal(images(photos), in_memory(photos))


def _count(photos: Path, start: Any) -> None:
    start.wait()
    images(photos)


def test_two_processes_decode_once(photos: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def decoded(paths: Sequence[Path], shape: Shape, damaged: None) -> Iterator[Tensor]:
        with (tmp_path / "decoding").open("a") as file:
            file.write("once\n")
        return decode.decoded(paths, shape)

    monkeypatch.setattr(cache, "decoded", decoded)
    start = forked.Barrier(2)
    children = [forked.Process(target=_count, args=(photos, start)) for _ in range(2)]
    for child in children:
        child.start()
    for child in children:
        child.join(60)
    assert [child.exitcode for child in children] == [0, 0]
    assert (tmp_path / "decoding").read_text() == "once\n"
    assert list((tmp_path / "cache/vae-lightning").iterdir()) == caches(photos)  # no lock is left


def _resident() -> int:
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def _read_all(path: Path, rows: int, answer: Any) -> None:
    whole, before = Mapped.whole(RowsFile(path, (rows, 3, 64, 64))), _resident()
    most = before
    for part in torch.randperm(rows).split(128):
        assert not whole[part].any()
        most = max(most, _resident())
    answer.put(most - before)


def test_memory_is_that_of_a_batch(tmp_path: Path) -> None:
    """200 MB of images, read in random order, take less than 30 MB."""
    rows = 3 * KEPT // (3 * 64 * 64)
    with (tmp_path / "rows").open("wb") as file:
        file.truncate(rows * 3 * 64 * 64)
    answer = forked.SimpleQueue()
    child = forked.Process(target=_read_all, args=(tmp_path / "rows", rows, answer))
    child.start()
    child.join(60)
    assert child.exitcode == 0
    assert answer.get() < 30e6


def test_rows_of_a_file_travel_to_another_process_by_its_name(tmp_path: Path) -> None:
    (tmp_path / "rows").write_bytes(bytes(range(12)))
    some = Mapped.whole(RowsFile(tmp_path / "rows", (4, 3))).select(torch.tensor([3, 0]))
    copy = pickle.loads(pickle.dumps(some))
    assert copy.shape == (2, 3)
    assert torch.cat(list(copy.split(1))).tolist() == [[9, 10, 11], [0, 1, 2]]
