"""A trained model of every kind, tiny: its checkpoint, and other data of the kind it was trained on."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path
from tempfile import mkdtemp
from typing import Any

import lightning.pytorch as pl
import numpy as np
import torch
from lightning.pytorch.loggers import CSVLogger
from PIL import Image

import vae_lightning as vl
from support.models import trainer

SMALL = partial(vl.nn.MLP, hidden=[8])
WORDS = ("river", "sea", "house", "open", "wind")


@dataclass(frozen=True)
class Trained:
    """A checkpoint, and the path of some data that its model has not seen."""

    checkpoint: Path
    data: Path

    @property
    def run(self) -> Path:
        """The folder of the run, in which its figures were logged."""
        return self.checkpoint.parent.parent


def table(folder: Path) -> tuple[pl.LightningDataModule, Path]:
    """Sixty named rows of three columns, one of them in large units; six others, in another order of columns."""
    x = np.random.default_rng(0).normal([1, 0, 5000], [1, 2, 300], (66, 3)).astype(np.float32)
    named = [f"r{number},{a},{b},{c}" for number, (a, b, c) in enumerate(x)]
    (folder / "train.csv").write_text("\n".join(["id,age,dose,steps", *named[:60]]))
    others = [f"{c},r{60 + number},note,{a},{b}" for number, (a, b, c) in enumerate(x[60:])]
    (folder / "new.csv").write_text("\n".join(["steps,id,remark,age,dose", *others]))
    return vl.Arrays(path=folder / "train.csv", id="id", standardise=True, batch_size=16), folder / "new.csv"


def texts(folder: Path) -> tuple[pl.LightningDataModule, Path]:
    """Forty texts of five words; a folder of four others, one of which knows none of these."""
    rng = np.random.default_rng(0)
    rows = [" ".join(rng.choice(WORDS, rng.integers(3, 9))) for _ in range(43)]
    (folder / "train.csv").write_text("\n".join(["text", *rows[:40]]))
    (folder / "new" / "part").mkdir(parents=True)
    for name, text in zip(("a.txt", "b.txt", "part/c.txt", "d.txt"), [*rows[40:], "unheard of"], strict=True):
        (folder / "new" / name).write_text(text)
    return vl.Texts(folder / "train.csv", batch_size=8, min_documents=1), folder / "new"


def pictures(folder: Path) -> tuple[pl.LightningDataModule, Path]:
    """Digits, binarised; a folder with five of another size."""
    bright = np.random.default_rng(0).integers(0, 256, (5, 16, 16), np.uint8)
    (folder / "new").mkdir()
    for number, pixels in enumerate(bright):
        Image.fromarray(pixels).save(folder / "new" / f"{number}.png")
    return vl.Digits(vl.ThresholdBinarisation(), val_size=50, test_size=1600, batch_size=49), folder / "new"


def points(folder: Path) -> tuple[pl.LightningDataModule, Path]:
    """Points of a process; others in a .npy."""
    np.save(folder / "new.npy", np.random.default_rng(0).normal(size=(7, 2)))
    return vl.FullBatch(vl.Synthetic(vl.data.processes.LinearJTEx(), [60, 20, 20]), steps=4), folder / "new.npy"


def _bits() -> vl.Bernoulli:
    return vl.Bernoulli((1, 8, 8))


KINDS: dict[str, tuple[Callable[[], Any], Callable[[Path], tuple[pl.LightningDataModule, Path]]]] = {
    "GaussianVAE": (lambda: vl.GaussianVAE(2, vl.Normal(3, scale=0.5), SMALL, SMALL), table),
    "VAE": (lambda: vl.VAE(vl.Bernoulli(4), _bits(), SMALL, SMALL, vl.ELBO(vl.DisARM())), pictures),
    "HashingVAE": (
        lambda: vl.HashingVAE(4, 5, partial(vl.nn.BagOfWordsMLP, features=vl.nn.WordFrequencies, hidden=[8])),
        texts,
    ),
    "HVAE": (lambda: vl.HVAE([2, 2], _bits(), SMALL, SMALL, SMALL, SMALL), pictures),
    "MRFVAE": (lambda: vl.MRFVAE(vl.BernoulliMRF(3, 2), _bits(), encoder=SMALL, decoder=SMALL), pictures),
    "RBM": (lambda: vl.RBM(_bits(), vl.Bernoulli(6), sampling_steps=20), pictures),
    "RBM of numbers": (lambda: vl.RBM(vl.Normal(3, scale=1.0), vl.Bernoulli(4), sampling_steps=20), table),
    "RBM of texts": (lambda: vl.RBM(vl.Multinomial(5), vl.Bernoulli(3), sampling_steps=20), texts),
    "LiBI": (lambda: vl.LiBI(2, vl.Normal(2, scale=0.06), SMALL, SMALL, steps=4), points),
    "an Ensemble's member": (
        lambda: vl.Ensemble(
            member=lambda: vl.GaussianVAE(2, vl.Normal(2, scale=0.3), SMALL, SMALL), seeds=2, execution=vl.Eager()
        ),
        points,
    ),
}


@cache
def trained(kind: str) -> Trained:
    """Fitted once in a session, for an epoch."""
    folder = Path(mkdtemp(prefix="kinds-"))
    build, make = KINDS[kind]
    torch.manual_seed(0)
    (data, new), model = make(folder), build()
    fit = trainer(max_epochs=1, logger=CSVLogger(folder, "", "run"))
    best = folder / "run" / "checkpoints" / "best.ckpt"
    best.parent.mkdir(parents=True)
    if isinstance(model, vl.Ensemble):
        fit.fit(model, vl.Stacked([data, data]))
        torch.save(model.checkpoint(1), best)
        fit.save_checkpoint(best.with_name("ensemble.ckpt"))
    else:
        fit.fit(model, data)
        fit.save_checkpoint(best)
    return Trained(best, new)
