"""Faces -> what reading and training them costs beside torchvision's loaders and the DCGAN tutorial's loop.

    python benchmarks/images.py [building] [reading] [training] [memory] --path celeba/img_half_89x109.zip

Without --path the faces are VAE_LIGHTNING_DATA's. Both readers have the same JPEG files, cut to a square and resized to
64 x 64 with antialiasing. Building the cache is compared by the processor's time, so that more cores do not count.
Memory is of a process of its own, that reads a made-up cache of so many faces with 40 attributes each through 200
batches; what importing the package takes is told apart. A step of the GAN (64 x 64, width 64, batches of 16) in the
Trainer, with reading and augmentation, is followed by one of the tutorial's loop with the same batch at hand: two
optimizers, three backward passes. So it is with the channels last in memory.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
import zipfile
import zlib
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import lightning.pytorch as pl
import torch
from comparisons import Absent, AsFast, Comparison, Costs, Row, Share, faces, in_turns, limit, main, timed
from peers.dcgan import TutorialLoop, optimizer
from torch import Tensor
from torch.utils.data import DataLoader
from torchvision.datasets import ImageFolder
from torchvision.transforms import v2

import vae_lightning as vl
from vae_lightning.data import CelebA
from vae_lightning.data.images import cache
from vae_lightning.data.images.celeba.layout import ATTRIBUTES, faces_of
from vae_lightning.data.images.decode import Square
from vae_lightning.training import trainer

SIDE, BATCH, EPOCHS, BATCHES, ROUNDS, PART = 64, 128, 3, 200, 5, 500


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


@contextmanager
def some(asked: argparse.Namespace, num: int) -> Iterator[Path]:
    """A folder of faces, with a cache of its own; FileNotFoundError without any."""
    if isinstance(archive := faces(asked), Absent):
        raise FileNotFoundError(archive.why)
    with tempfile.TemporaryDirectory() as place:
        os.environ["XDG_CACHE_HOME"] = f"{place}/cache"
        yield unpacked(archive, num, Path(place) / "images")


def milliseconds(loader: Iterable[tuple[Tensor, Tensor]]) -> float:
    """An image of an epoch, by the clock."""
    began = time.perf_counter()
    found = sum(len(x) for x, _ in loader)
    return 1e3 * (time.perf_counter() - began) / found


def building(asked: argparse.Namespace) -> Iterator[Row]:
    """Making the cache, in turns with torchvision's way to the same floats."""
    num = 50 if asked.quick else PART

    def run() -> Costs | Absent:
        with some(asked, num) as folder:
            new = iter(range(ROUNDS + 2))

            def ours() -> float:
                os.environ["XDG_CACHE_HOME"] = f"{folder.parent}/cache-{next(new)}"
                data = CelebA(folder / "faces", size=SIDE, val_size=1, test_size=1)
                return timed(lambda: data.setup("fit"), unit=1e3 / num)()

            def theirs() -> None:
                assert all(image.shape == (3, SIDE, SIDE) for image, _ in of_torchvision(folder))

            ways = {"ours": ours, "torchvision": timed(theirs, unit=1e3 / num)}
            return in_turns(ways, 1 if asked.quick else ROUNDS)

    costs = given_costs(run)
    yield Comparison("making the cache of faces, a face", "ours", "torchvision", Share(1.0)).row(costs)


def reading(asked: argparse.Namespace) -> Iterator[Row]:
    """Batches of 128, the first epoch left out."""

    def run() -> Costs | Absent:
        with some(asked, 200 if asked.quick else asked.num) as folder:
            data = CelebA(folder / "faces", size=SIDE, batch_size=BATCH, val_size=1, test_size=1)
            data.setup("fit")
            peer = DataLoader(of_torchvision(folder), BATCH, shuffle=True, num_workers=2, persistent_workers=True)
            ways = {
                "ours": lambda: milliseconds(data.train_dataloader()),
                "torchvision and two workers": lambda: milliseconds(peer),
            }
            return in_turns(ways, 1 if asked.quick else EPOCHS)

    work, peer = "reading faces, an image", "torchvision and two workers"
    yield Comparison(work, "ours", peer, AsFast(10), "clock ms").row(given_costs(run))


def given_costs(run: Callable[[], Costs | Absent]) -> Costs | Absent:
    """Those that `run` measures, unless there are no faces."""
    try:
        return run()
    except FileNotFoundError as error:
        return Absent(str(error))


class InTurns(pl.Callback):
    """After each step of the Trainer, a step of another loop with the same batch; seconds of the processor of each."""

    def __init__(self, loop: TutorialLoop) -> None:
        self.loop, self.since = loop, time.process_time()
        self.ours: list[float] = []
        self.theirs: list[float] = []

    def on_train_batch_end(
        self,
        trainer: pl.Trainer,
        module: pl.LightningModule,
        outputs: object,
        batch: tuple[Tensor, Tensor],
        number: int,
    ) -> None:
        ended = time.process_time()
        self.loop.step(batch[0])
        after = time.process_time()
        self.ours.append(ended - self.since)
        self.theirs.append(after - ended)
        self.since = after


def training(asked: argparse.Namespace) -> Iterator[Row]:
    """Steps of the GAN, as they are and with the channels last."""
    steps = 2 if asked.quick else asked.steps
    ways: dict[str, tuple[list[pl.Callback], Share]] = {
        "a step of the DCGAN": ([], Share(1.1)),
        "a step of the DCGAN, channels last": ([vl.callbacks.ChannelsLast()], Share()),
    }
    for name, (callbacks, relation) in ways.items():
        costs = given_costs(partial(played, asked, callbacks, steps))
        yield Comparison(name, "ours", "the tutorial's loop", relation).row(costs)


def played(asked: argparse.Namespace, callbacks: list[pl.Callback], steps: int) -> Costs:
    """Both loops on the same batches."""
    with some(asked, PART) as folder:
        data = CelebA(folder / "faces", size=SIDE, flip=True, batch_size=16)
        game = vl.Adversarial(vl.nn.DCGANDiscriminator, fakes=vl.MeanFakes())
        networks = {"encoder": vl.nn.DCGANEncoder, "decoder": vl.nn.DCGANGenerator}
        gan = vl.GaussianVAE(100, vl.Normal((3, SIDE, SIDE), 0.1), objective=game, optimizer=optimizer, **networks)
        turns = InTurns(TutorialLoop())
        run = trainer(None, callbacks=[*callbacks, turns], max_steps=steps + 2, max_epochs=-1, limit_val_batches=0)
        run.fit(gan, datamodule=data)
    return {
        "ours": [1e3 * each for each in turns.ours[2:]],
        "the tutorial's loop": [1e3 * each for each in turns.theirs[2:]],
    }


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
    """Read batches, and print the memory that took, as JSON."""
    imported = resident("VmRSS")
    data = CelebA(archive, size=SIDE, batch_size=BATCH, flip=True)
    data.setup("fit")
    peak = resident("VmHWM")
    for number, (x, y) in enumerate(data.train_dataloader()):
        assert (x.shape[1:], y.shape[1:]) == ((3, SIDE, SIDE), (40,))
        if number == BATCHES:
            break
    print(json.dumps({"peak": peak - imported, "after": resident("VmRSS") - imported}))


def memory(asked: argparse.Namespace) -> Iterator[Row]:
    """Of a process of its own."""
    num = 2_000 if asked.quick else asked.faces
    with tempfile.TemporaryDirectory() as place:
        os.environ["XDG_CACHE_HOME"] = f"{place}/cache"
        command = [sys.executable, __file__, "--read", str(made_up(Path(place), num))]
        done = subprocess.run(command, check=True, capture_output=True, text=True)
    found = json.loads(done.stdout.splitlines()[-1])
    note = f"{found['after']:,.0f} MB after {BATCHES} batches"
    yield limit(f"memory of {num:,} faces beyond the imports", found["peak"], 300, "MB", Share(1.0), note)


def options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--path", type=Path, help="a zip file of faces")
    parser.add_argument("--num", type=int, default=1000, help="how many of them are read")
    parser.add_argument("--faces", type=int, default=200_000, help="how many made-up ones, for the memory")
    parser.add_argument("--steps", type=int, default=8, help="how many steps of the GAN")


if __name__ == "__main__":
    if "--read" in sys.argv:
        read(Path(sys.argv[2]))
    else:
        main({"building": building, "reading": reading, "training": training, "memory": memory}, __doc__, options)
