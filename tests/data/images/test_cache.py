"""The cache of decoded images: made once, of exactly these files, whole or not there; read batch by batch."""

from __future__ import annotations

import errno
import multiprocessing
import os
import pickle
import shutil
import time
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from itertools import islice
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from support.faces import write_faces
from support.killed import end_of, killed_at_random
from torch import Tensor

from vae_lightning.data import CelebA, ImageFolder
from vae_lightning.data.images import cache, decode, unfinished
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

    whole = decode.decode

    def decoded(path: Path, shape: Shape) -> Tensor:
        seen.append(path.name)
        return whole(path, shape)

    monkeypatch.setattr(decode, "decode", decoded)
    return seen


def test_files_are_decoded_once(photos: Path, decoding: list[str]) -> None:
    first, again = images(photos), images(photos)
    assert torch.equal(first, again)
    assert sorted(decoding) == [f"{number}.png" for number in range(7)]
    assert torch.equal(first, in_memory(photos))
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
    again = images(photos)
    assert len(decoding) == 14
    assert torch.equal(again, in_memory(photos))
    assert place.read_bytes() == whole


def stopped_at(number: int, error: BaseException) -> Callable[..., Iterator[Tensor]]:
    """Decoding that meets an error after so many images."""

    def decoded(paths: Sequence[Path], *given: Any) -> Iterator[Tensor]:
        yield from islice(decode.decoded(paths, *given), number)
        raise error

    return decoded


def everything(photos: Path) -> list[Path]:
    """All files in the folder of caches, hidden ones, too."""
    return sorted(photos.parent.glob("cache/vae-lightning/*"))


def test_what_is_interrupted_goes_on(photos: Path, decoding: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """With the block in which it was: of seven images in blocks of two, five were there and the fifth is made again."""
    monkeypatch.setattr(unfinished, "BLOCK", 2)
    with monkeypatch.context() as patch:
        patch.setattr(cache, "decoded", stopped_at(5, KeyboardInterrupt()))
        with pytest.raises(KeyboardInterrupt):
            images(photos)
    assert caches(photos) == []
    decoding.clear()
    found = images(photos)
    assert sorted(decoding) == ["4.png", "5.png", "6.png"]
    assert torch.equal(found, in_memory(photos))
    assert everything(photos) == caches(photos)


@pytest.mark.parametrize(
    ("what", "damage", "kept"),
    [
        ("rows", lambda content: content[:1000], 0),
        ("rows", lambda content: content[: 3 * 576], 2),
        ("rows", lambda content: content[:2000] + bytes([content[2000] ^ 1]) + content[2001:], 2),
        ("rows", lambda content: content + bytes(10_000), 6),
        ("notes", lambda content: b"", 0),
        ("notes", lambda content: content[:-1], 4),
        ("notes", lambda content: content[:-5] + b"\xff\n", 4),
        ("notes", lambda content: content + b"[6, [3, 12, 16], 0, {}]\nnull\n[]\n", 6),
        ("notes", lambda content: content.replace(b"12, 16", b"16, 12"), 0),
    ],
    ids=["one", "three", "a bit", "longer", "no notes", "half a line", "no text", "others", "another shape"],
)
def test_of_what_is_unfinished_only_what_holds_is_kept(
    photos: Path,
    decoding: list[str],
    monkeypatch: pytest.MonkeyPatch,
    what: str,
    damage: Callable[[bytes], bytes],
    kept: int,
) -> None:
    monkeypatch.setattr(unfinished, "BLOCK", 2)
    with monkeypatch.context() as patch:
        patch.setattr(cache, "decoded", stopped_at(7, KeyboardInterrupt()))
        with pytest.raises(KeyboardInterrupt):
            images(photos)
    (left,) = [path for path in everything(photos) if path.name.endswith(what)]
    left.write_bytes(damage(left.read_bytes()))
    decoding.clear()
    found = images(photos)
    assert sorted(decoding) == [f"{number}.png" for number in range(kept, 7)]
    assert torch.equal(found, in_memory(photos))
    assert everything(photos) == caches(photos)


def test_an_error_leaves_nothing(photos: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A full disk, after some blocks: images are in memory."""
    monkeypatch.setattr(unfinished, "BLOCK", 2)
    monkeypatch.setattr(cache, "decoded", stopped_at(5, OSError(errno.ENOSPC, "No space left on device")))
    assert torch.equal(images(photos), in_memory(photos))
    assert everything(photos) == []


KILLS, FACES = 20, 60


class Killed:
    """Builds of the cache of some faces, one of which cannot be read, in children that are killed if they take long."""

    def __init__(self, place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("XDG_CACHE_HOME", str(place))
        self.faces, self.log = write_faces(place / "faces", FACES), place / "decoded"
        (self.faces / "img_align_celeba" / "000031.jpg").write_bytes(b"no image")
        self.folder = place / "vae-lightning"
        whole = decode.decode

        def decoded(path: Path, shape: Shape) -> Tensor:
            with self.log.open("a") as file:
                file.write(".")
            return whole(path, shape)

        monkeypatch.setattr(decode, "decode", decoded)

    def build(self, patience: float | None = None) -> int:
        """The child's exit status."""
        data = CelebA(self.faces, size=8, val_size=5, test_size=5, skip_damaged=True)
        return end_of(partial(data.setup, "fit"), patience)

    def take(self) -> dict[str, bytes]:
        """All that it left, by name, which is gone then."""
        found = {path.name: path.read_bytes() for path in self.folder.iterdir()}
        shutil.rmtree(self.folder)
        return found

    def decoded(self) -> int:
        """How many images were decoded since this was asked last."""
        number = len(self.log.read_text())
        self.log.unlink()
        return number


def test_killed_at_twenty_random_moments(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """They end with the files of a build that nobody killed, and each costs a few images."""
    block, ahead = 3, 4
    monkeypatch.setattr(unfinished, "BLOCK", block)
    monkeypatch.setattr(decode, "AHEAD", ahead)
    run = Killed(tmp_path, monkeypatch)
    start = time.monotonic()
    assert run.build() == 0
    took, expected = time.monotonic() - start, run.take()
    assert len(expected) == 2  # the images, and the list of the one that is left out
    assert run.decoded() == FACES

    def check() -> None:
        assert run.take() == expected

    wholes = killed_at_random(run.build, check, longest=took / 2, kills=KILLS)
    assert run.decoded() <= wholes * FACES + KILLS * (block + ahead)


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
    def decoded(*given: Any) -> Iterator[Tensor]:
        with (tmp_path / "decoding").open("a") as file:
            file.write("once\n")
        return decode.decoded(*given)

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
