"""Faces -> images a second from the cache and from torchvision's loaders, what building it costs, and resident memory.

    python benchmarks/images.py --path celeba/img_half_89x109.zip --num 2000 --faces 200000

Both read the same JPEG files, cut to a square and resized to 64 x 64 with antialiasing. Building is compared by the
CPU's time, so that more cores do not count. Memory is of a process of its own, that reads a made-up cache of so many
faces with 40 attributes each through 200 batches; what importing the package takes is told apart.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
import zipfile
import zlib
from collections.abc import Iterable
from pathlib import Path

import torch
from torch.utils.data import DataLoader
from torchvision.datasets import ImageFolder
from torchvision.transforms import v2

from vae_lightning.data import CelebA
from vae_lightning.data.images import cache
from vae_lightning.data.images.celeba.layout import ATTRIBUTES, faces_of
from vae_lightning.data.images.decode import Square

SIDE, BATCH, EPOCHS, BATCHES = 64, 128, 3, 200


def unpacked(archive: Path, num: int, folder: Path) -> Path:
    """The first images of a zip file, in a folder of one class, as torchvision wants it."""
    with zipfile.ZipFile(archive) as packed:
        for name in sorted(name for name in packed.namelist() if name.endswith(".jpg"))[:num]:
            target = folder / "faces" / Path(name).name
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(packed.read(name))
    return folder


def of_torchvision(folder: Path) -> ImageFolder:
    """The same images, by its transforms."""
    square = v2.Lambda(lambda image: v2.functional.center_crop(image, [min(image.shape[-2:])] * 2))
    scaled = [
        v2.Resize((SIDE, SIDE), antialias=True),
        v2.ToDtype(torch.float32, scale=True),
        v2.Normalize([0.5], [0.5]),
    ]
    return ImageFolder(str(folder), v2.Compose([v2.PILToTensor(), square, *scaled]))


def rate(loaders: Iterable[Iterable[tuple[torch.Tensor, torch.Tensor]]]) -> float:
    """Images a second over some epochs, the first left out."""
    spent, seen = 0.0, 0
    for epoch, loader in enumerate(loaders):
        start = time.perf_counter()
        found = sum(len(x) for x, _ in loader)
        if epoch:
            spent, seen = spent + time.perf_counter() - start, seen + found
    return seen / spent


def speeds(archive: Path, num: int) -> None:
    """Print what building costs, and how fast both are read."""
    with tempfile.TemporaryDirectory() as place:
        os.environ["XDG_CACHE_HOME"] = f"{place}/cache"
        folder = unpacked(archive, num, Path(place) / "images")
        data = CelebA(folder / "faces", size=SIDE, batch_size=BATCH, val_size=1, test_size=1)
        start = time.process_time()
        data.setup("fit")
        ours = time.process_time() - start
        start = time.process_time()
        peer = of_torchvision(folder)
        for image in peer:
            assert image[0].shape == (3, SIDE, SIDE)
        theirs = time.process_time() - start
        print(f"building, images a second of CPU time: {num / ours:,.0f}; decoded by torchvision {num / theirs:,.0f}")
        mine = rate([data.train_dataloader()] * (EPOCHS + 1))
        others = rate([DataLoader(peer, BATCH, shuffle=True, num_workers=2, persistent_workers=True)] * (EPOCHS + 1))
        print(f"read, images a second: {mine:,.0f}; torchvision, two workers {others:,.0f}: {mine / others:.0f} times")


def made_up(place: Path, num: int) -> Path:
    """A zip file of so many empty files, the list of their attributes, and the cache of what they would be."""
    archive, names = place / "img_align_celeba.zip", [f"{number:06d}.jpg" for number in range(1, num + 1)]
    with zipfile.ZipFile(archive, "w") as out:
        for name in names:
            out.writestr(f"img_align_celeba/{name}", b"")
    with (place / f"{ATTRIBUTES}.txt").open("w") as lists:
        lists.write(f"{num}\n{' '.join(f'attribute_{n}' for n in range(40))}\n")
        lists.writelines(f"{name} {' '.join(['1', '-1'] * 20)}\n" for name in names)
    faces, shape = faces_of(archive), Square((SIDE, SIDE), None, 3)
    target = cache.cache_folder() / f"images-{cache._key(faces.root, faces.files, shape)}-v{cache.FORMAT}"
    target.parent.mkdir(parents=True, exist_ok=True)
    checksum, block = zlib.crc32(repr([3, SIDE, SIDE]).encode()), os.urandom(3 * SIDE * SIDE)
    with target.open("wb") as out:
        for _ in range(num):
            out.write(block)
            checksum = zlib.crc32(block, checksum)
        out.write(cache._END.pack(3, SIDE, SIDE, checksum))
    return archive


def resident(what: str) -> float:
    """Megabytes: VmRSS now, or VmHWM, the most there were."""
    line = next(line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith(what))
    return int(line.split()[1]) / 1024


def read(archive: Path) -> None:
    """Read batches, and print what memory that took."""
    imported = resident("VmRSS")
    data = CelebA(archive, size=SIDE, batch_size=BATCH, flip=True)
    data.setup("fit")
    ready, peak = resident("VmRSS"), resident("VmHWM")
    for number, (x, y) in enumerate(data.train_dataloader()):
        assert (x.shape[1:], y.shape[1:]) == ((3, SIDE, SIDE), (40,))
        if number == BATCHES:
            break
    print(
        f"resident memory, MB, of {len(data.names):,} faces: {imported:.0f} imported, {ready:.0f} set up (at most "
        f"{peak:.0f}), {resident('VmRSS'):.0f} after {BATCHES} batches: {resident('VmRSS') - imported:.0f} for the data"
    )


def memory(num: int) -> None:
    """Print it, of a process of its own."""
    with tempfile.TemporaryDirectory() as place:
        os.environ["XDG_CACHE_HOME"] = f"{place}/cache"
        archive = made_up(Path(place), num)
        subprocess.run([sys.executable, __file__, "--read", archive], check=True)


def main() -> None:
    """Run what is asked."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--path", type=Path, help="a zip file of faces, for the speeds")
    parser.add_argument("--num", type=int, default=2000, help="how many of them")
    parser.add_argument("--faces", type=int, help="how many made-up ones, for the memory")
    parser.add_argument("--read", type=Path, help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.path:
        speeds(asked.path, asked.num)
    if asked.faces:
        memory(asked.faces)
    if asked.read:
        read(asked.read)


if __name__ == "__main__":
    main()
