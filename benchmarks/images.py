"""Faces -> what reading and training them costs beside torchvision's loaders and the DCGAN tutorial's loop.

    python benchmarks/images.py --path celeba/img_half_89x109.zip --num 2000 --faces 200000 --steps 20

The figures are printed and kept in images.json. Both readers have the same JPEG files, cut to a square and resized to
64 x 64 with antialiasing. Building the cache is compared by the processor's time, so that more cores do not count.
Memory is of a process of its own, that reads a made-up cache of so many faces with 40 attributes each through 200
batches; what importing the package takes is told apart. A step of the GAN (64 x 64, width 64, batches of 16) in the
Trainer, with reading and augmentation, is followed by one of the tutorial's loop with the same batch at hand: two
optimizers, three backward passes. Medians, of the processor's time. So it is with the channels last in memory.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
import zipfile
import zlib
from collections.abc import Iterable
from pathlib import Path

import lightning.pytorch as pl
import torch
import torch.nn.functional as F
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
FIGURES = Path(__file__).with_suffix(".json")


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


def building(archive: Path) -> None:
    """Print what making the cache of some files costs, in turns with torchvision's way to the same floats."""
    ours, theirs = [], []
    for number in range(ROUNDS):
        with tempfile.TemporaryDirectory() as place:
            os.environ["XDG_CACHE_HOME"] = f"{place}/cache"
            folder = unpacked(archive, PART, Path(place) / "images")
            start = time.process_time()
            CelebA(folder / "faces", size=SIDE, val_size=1, test_size=1).setup("fit")
            between = time.process_time()
            for image, _ in of_torchvision(folder):
                assert image.shape == (3, SIDE, SIDE)
            if number:  # the first is warm-up
                ours.append((between - start) / PART)
                theirs.append((time.process_time() - between) / PART)
    told("building", {"ours_ms": 1e3 * statistics.median(ours), "torchvision_ms": 1e3 * statistics.median(theirs)})


def speeds(archive: Path, num: int) -> None:
    """Print how fast both are read."""
    with tempfile.TemporaryDirectory() as place:
        os.environ["XDG_CACHE_HOME"] = f"{place}/cache"
        folder = unpacked(archive, num, Path(place) / "images")
        data = CelebA(folder / "faces", size=SIDE, batch_size=BATCH, val_size=1, test_size=1)
        data.setup("fit")
        peer = of_torchvision(folder)
        mine = rate([data.train_dataloader()] * (EPOCHS + 1))
        others = rate([DataLoader(peer, BATCH, shuffle=True, num_workers=2, persistent_workers=True)] * (EPOCHS + 1))
        told("reading", {"ours_images_a_second": mine, "torchvision_images_a_second": others, "times": mine / others})


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


class TutorialLoop:
    """The DCGAN tutorial's training, with its networks."""

    def __init__(self) -> None:
        self.generator = vl.nn.DCGANGenerator((100,), 3 * SIDE * SIDE, image_shape=(3, SIDE, SIDE))
        self.discriminator = vl.nn.DCGANDiscriminator((3, SIDE, SIDE))
        self.optimizers = [optimizer(each.parameters()) for each in (self.discriminator, self.generator)]

    def step(self, x: Tensor) -> None:
        """The discriminator on real and on generated images, then the generator."""
        of_discriminator, of_generator = self.optimizers
        self.discriminator.zero_grad()
        self.backward(x, 1.0)
        fake = self.generator(torch.randn(len(x), 100)).reshape(x.shape)
        self.backward(fake.detach(), 0.0)
        of_discriminator.step()
        self.generator.zero_grad()
        self.backward(fake, 1.0)
        of_generator.step()

    def backward(self, x: Tensor, label: float) -> None:
        logits = self.discriminator(x).flatten()
        F.binary_cross_entropy_with_logits(logits, torch.full_like(logits, label)).backward()


def optimizer(parameters: Iterable[Tensor]) -> torch.optim.Optimizer:
    """The tutorial's."""
    return torch.optim.Adam(parameters, lr=0.0002, betas=(0.5, 0.999))


def training(archive: Path, steps: int) -> None:
    """Print what a step of the GAN costs, of both."""
    with tempfile.TemporaryDirectory() as place:
        os.environ["XDG_CACHE_HOME"] = f"{place}/cache"
        data = CelebA(unpacked(archive, PART, Path(place)) / "faces", size=SIDE, flip=True, batch_size=16)
        for name, callbacks in {"training": [], "training, channels last": [vl.callbacks.ChannelsLast()]}.items():
            game = vl.Adversarial(vl.nn.DCGANDiscriminator, fakes=vl.MeanFakes())
            networks = {"encoder": vl.nn.DCGANEncoder, "decoder": vl.nn.DCGANGenerator}
            gan = vl.GaussianVAE(100, vl.Normal((3, SIDE, SIDE), 0.1), objective=game, optimizer=optimizer, **networks)
            turns = InTurns(TutorialLoop())
            run = trainer(None, callbacks=[*callbacks, turns], max_steps=steps + 2, max_epochs=-1, limit_val_batches=0)
            run.fit(gan, datamodule=data)
            ours, theirs = (1e3 * statistics.median(each[2:]) for each in (turns.ours, turns.theirs))
            told(name, {"ours_ms": ours, "tutorial_ms": theirs, "share": ours / theirs})


def told(what: str, figures: dict[str, float]) -> None:
    """Print figures, and keep them."""
    print(f"{what}: {', '.join(f'{name} {value:,.3f}' for name, value in figures.items())}", flush=True)
    known = json.loads(FIGURES.read_text()) if FIGURES.exists() else {}
    FIGURES.write_text(json.dumps(known | {what: figures}, indent=1) + "\n")


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
    after = resident("VmRSS")
    figures = {
        "imported": imported,
        "set_up": ready,
        "peak": peak,
        "after_batches": after,
        "peak_of_data": peak - imported,
    }
    told(f"resident memory of {len(data.names):,} faces, MB", figures)


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
    parser.add_argument("--steps", type=int, help="how many steps of the GAN, of the zip file's faces")
    parser.add_argument("--read", type=Path, help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.path:
        building(asked.path)
        speeds(asked.path, asked.num)
    if asked.path and asked.steps:
        training(asked.path, asked.steps)
    if asked.faces:
        memory(asked.faces)
    if asked.read:
        read(asked.read)


if __name__ == "__main__":
    main()
