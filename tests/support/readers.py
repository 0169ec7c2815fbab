"""Everything the package reads from a file, as objects that write a good one, read it, and say what is right."""

from __future__ import annotations

import gzip
import io
import json
import os
import tarfile
import tempfile
import zipfile
from collections.abc import Callable
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Any
from unittest.mock import Mock, patch

import lightning.pytorch as pl
import numpy as np
import torch
from PIL import Image

from support.archive import ARCHIVE, VOCABULARY, write_miniature
from support.models import hashing, newsgroups, trainer
from support.mutations import damaged_bytes, damaged_inside, damaged_value
from support.own_files import ARRAYS, TEXTS, read_arrays, read_texts
from vae_lightning.callbacks.images.reference_cache import ReferenceCache
from vae_lightning.callbacks.run.records import MetricsFile
from vae_lightning.cli import main
from vae_lightning.data import MNIST, ImageFolder, Omniglot
from vae_lightning.data.texts.archive import MEMBERS, read_corpus
from vae_lightning.data.texts.cache import cached_corpus
from vae_lightning.metrics.functional.scatter import Scatter
from vae_lightning.metrics.images.feature_sample import FeatureSample
from vae_lightning.models import HashingVAE
from vae_lightning.search import CodeIndex
from vae_lightning.search.hamming import scan
from vae_lightning.search.storage.container import Container
from vae_lightning.search.storage.growing import Growing
from vae_lightning.studies.store import CellStore, Plain


@dataclass(frozen=True)
class Reader:
    """Writes good files into an empty folder; reads a folder; says whether what was read of a damaged one is right.

    `damage` names the files that are damaged, by a pattern; `right(folder, result, good)` compares what was read with
    what an independent reader finds in the damaged files, or with `good`, what was read before the damage.
    """

    write: Callable[[Path], None]
    damage: str
    read: Callable[[Path], Any]
    right: Callable[[Path, Any, Any], bool]
    spoil: Callable[[Path, Random], bytes] | None = None

    def spoiled(self, path: Path, rng: Random) -> bytes:
        """The damaged content of a file."""
        if self.spoil is not None and rng.random() < 0.6:
            return self.spoil(path, rng)
        return damaged_bytes(path.read_bytes(), rng) if rng.random() < 0.5 else damaged_inside(path, rng)


def same(one: Any, other: Any) -> bool:
    """Equal, arrays and tensors bit for bit."""
    if isinstance(one, torch.Tensor | np.ndarray):
        return type(one) is type(other) and one.shape == other.shape and bool((one == other).all())
    if isinstance(one, dict):
        return isinstance(other, dict) and one.keys() == other.keys() and all(same(one[k], other[k]) for k in one)
    if isinstance(one, list | tuple):
        return len(one) == len(other) and all(map(same, one, other))
    return bool(one == other)


def as_before(folder: Path, result: Any, good: Any) -> bool:
    """What has a hash is read as it was, or not at all."""
    return same(result, good)


def as_before_or_none(folder: Path, result: Any, good: Any) -> bool:
    """What can be made again counts as not there."""
    return result is None or same(result, good)


def text(path: Path, content: str) -> None:
    path.write_text(content)


def anything(folder: Path, result: Any, good: Any) -> bool:
    """Any content is somebody's: it must only be read without a fall."""
    return True


# --- text -----------------------------------------------------------------------------------------------------------


def corpus_values(corpus: Any) -> Any:
    parts = [
        [getattr(part, name) for name in ("offsets", "words", "counts", "labels")]
        for part in (corpus.train, corpus.test)
    ]
    return parts, corpus.label_names


def triples(folder: Path, result: Any, good: Any) -> bool:
    """The counts of both parts, as Python's own tarfile and int() find them."""
    with tarfile.open(folder / ARCHIVE) as archive:
        texts = {info.name.rpartition("/")[2]: archive.extractfile(info) for info in archive if info.isfile()}
        lines = {name: texts[name].read().split(b"\n") for name in MEMBERS if name.endswith(".data")}
    found = {name: sorted(tuple(map(int, line.split())) for line in rows if line) for name, rows in lines.items()}
    parts, _ = result
    for (offsets, words, counts, _), name in zip(parts, ("train.data", "test.data"), strict=True):
        documents = np.repeat(np.arange(1, len(offsets)), np.diff(offsets))
        if sorted(zip(documents.tolist(), (words + 1).tolist(), counts.tolist(), strict=True)) != found[name]:
            return False
    return True


def read_vocabulary(folder: Path) -> Any:
    data = newsgroups(folder, num_words=20)
    data.setup()
    return data.words


def write_parsed(folder: Path) -> None:
    write_miniature(folder)
    parsed(folder)


def parsed(folder: Path) -> Any:
    """From the cache, which is in this folder here."""
    with patch.dict(os.environ, {"XDG_CACHE_HOME": str(folder)}):
        return corpus_values(cached_corpus(folder / ARCHIVE))


# --- images ---------------------------------------------------------------------------------------------------------


def write_idx(folder: Path) -> None:
    rng = np.random.default_rng(0)
    for part, size in {"train": 12, "t10k": 5}.items():
        for name, array in {
            "images-idx3": rng.integers(0, 256, (size, 6, 6), dtype=np.uint8),
            "labels-idx1": np.arange(size, dtype=np.uint8) % 3,
        }.items():
            sizes = b"".join(side.to_bytes(4, "big") for side in array.shape)
            content = bytes([0, 0, 8, array.ndim]) + sizes + array.tobytes()
            packed = part == "train"
            path = folder / f"{part}-{name}-ubyte{'.gz' if packed else ''}"
            path.write_bytes(gzip.compress(content, mtime=0) if packed else content)


def idx_pixels(folder: Path, result: Any, good: Any) -> bool:
    """As many images as both headers say, their pixels the files' own."""
    total = 0
    for part in ("train-images-idx3-ubyte.gz", "t10k-images-idx3-ubyte"):
        content = (folder / part).read_bytes()
        content = gzip.decompress(content) if part.endswith(".gz") else content
        total += np.frombuffer(content[16:], np.uint8).astype(np.int64).sum()
    return bool(round(float(result[0]) * 255) == total)


def write_images(folder: Path) -> None:
    rng = np.random.default_rng(0)
    pixels = rng.integers(0, 256, (9, 7, 3), dtype=np.uint8)
    for label in ("a", "b"):
        (folder / label).mkdir()
        Image.fromarray(pixels).save(folder / label / "colour.png")
        Image.fromarray(pixels).save(folder / label / "photo.jpg")
        Image.fromarray(pixels[..., 0]).save(folder / label / "grey.bmp")
        Image.fromarray(pixels).save(folder / label / "frames.tiff")
        Image.fromarray(pixels).save(folder / label / "picture.webp")


def write_omniglot(folder: Path) -> None:
    rng = np.random.default_rng(0)
    for part in ("images_background", "images_evaluation"):
        image = folder / "drawing.png"
        Image.fromarray(rng.random((20, 20)) > 0.2).save(image)
        with zipfile.ZipFile(folder / f"{part}.zip", "w") as archive:
            for number in range(4):
                archive.write(image, f"{part}/Greek/character01/{number}.png")
        image.unlink()


def split_sums(data: Any) -> Any:
    data.prepare_data()
    data.setup()
    parts = [data.split(name) for name in ("train", "val", "test")]
    return [sum(float(part.x.double().sum()) for part in parts), sum(len(part) for part in parts)]


# --- what runs keep -------------------------------------------------------------------------------------------------


def write_checkpoint(folder: Path) -> None:
    archive = folder.parent / "archive"
    if not archive.exists():
        archive.mkdir()
        write_miniature(archive)
    fit = trainer(max_steps=1, folder=folder / "run")
    fit.fit(hashing(), newsgroups(archive))
    fit.save_checkpoint(folder / "model.ckpt")


def spoil_checkpoint(path: Path, rng: Random) -> bytes:
    content = damaged_value(torch.load(path, weights_only=True), rng)
    out = path.with_suffix(".spoiled")
    torch.save(content, out)
    spoiled = out.read_bytes()
    out.unlink()
    return spoiled


def spoil_json(path: Path, rng: Random) -> bytes:
    return json.dumps(damaged_value(json.loads(path.read_text()), rng)).encode()


def model_bits(folder: Path) -> Any:
    model = HashingVAE.load_from_checkpoint(folder / "model.ckpt", map_location="cpu", weights_only=True)
    return dict(model.state_dict())


INDEXED = torch.rand(20, 10, generator=torch.Generator().manual_seed(0)) < 0.5


def write_index(folder: Path) -> None:
    """With tables, so that all that an index can have is damaged."""
    names, titles = [f"größe {n}" for n in range(20)], [f"{n} wide rivers" for n in range(20)]
    with patch.object(scan, "CODES", 10):
        CodeIndex.build(INDEXED, names, titles=titles, labels=["a", None] * 10, out=folder / "docs.index")


def read_index(folder: Path) -> Any:
    index = CodeIndex.open(folder / "docs.index")
    return [[index.nearest(INDEXED, 3, exact=exact).table for exact in (False, True)], index.row("größe 7")]


def spoil_index(path: Path, rng: Random) -> bytes:
    """One whose hashes are all right: as somebody may write it, whose words are nobody's."""
    container = Container.open(path)
    names = sorted(name for name in INDEX_ARRAYS if name in container)
    broken, said = rng.choice([*names, "said"]), container.said
    with Growing() as growing, tempfile.TemporaryFile() as out:
        for name in names:
            array = container.array(name).copy()
            if name == broken:
                array = _spoilt_array(array, rng)
            growing.append(name, array)
        growing.finish(out, damaged_value(said, rng) if broken == "said" else said)
        out.seek(0)
        return out.read()


INDEX_ARRAYS = (
    "codes", "hashes", "labels", "words", "order0", "starts0",
    *(f"{name}.{part}" for name in ("names", "titles", "vocabulary") for part in ("bytes", "ends")),
)  # fmt: skip


def _spoilt_array(array: Any, rng: Random) -> Any:
    if not array.size or rng.random() < 0.3:
        return array[: rng.randrange(len(array) + 1)]
    array = array.astype(np.uint64) if array.dtype != np.uint8 or rng.random() < 0.2 else array
    most = rng.choice((2, 255, np.iinfo(array.dtype).max))
    array.flat[rng.randrange(array.size)] = rng.randint(0, min(int(most), int(np.iinfo(array.dtype).max)))
    return array


@dataclass(frozen=True)
class _Cell:
    name: str = "a cell"
    path: str = "."


ONE = _Cell()


def cells(folder: Path) -> CellStore[_Cell, dict[str, float]]:
    return CellStore(folder, lambda cell: {"world": "Linear", "seed": 3, "rate": 0.1}, Plain())


def write_cell(folder: Path) -> None:
    cells(folder).write(ONE, {"loss": 0.25, "steps": 3.0})


def write_features(folder: Path) -> None:
    x = torch.arange(12.0, dtype=torch.float64).view(4, 3)
    scatter = Scatter(torch.tensor(4.0, dtype=torch.float64), x.mean(0), x.T @ x)
    ReferenceCache(folder).save({"what": "a test"}, FeatureSample(scatter, x, torch.arange(4)))


def read_features(folder: Path) -> Any:
    found = ReferenceCache(folder).load({"what": "a test"})
    return None if found is None else [found.scatter.mean, found.scatter.matrix, found.rows, found.keys]


def write_metrics(folder: Path) -> None:
    (folder / "metrics.json").write_text(json.dumps({"val/nelbo": 3.5, "test/nelbo": None}))


def update_metrics(folder: Path) -> Any:
    run = Mock(spec=pl.Trainer, log_dir=str(folder), callback_metrics={"val/kl": torch.tensor(1.0)})
    run.configure_mock(is_global_zero=True, fast_dev_run=False, sanity_checking=False)
    MetricsFile().on_validation_end(run, Mock(spec=pl.LightningModule))
    return json.loads((folder / "metrics.json").read_text())


def has_the_new_figure(folder: Path, result: Any, good: Any) -> bool:
    return bool(result["val/kl"] == 1.0)


# --- configurations ---------------------------------------------------------------------------------------------------

CONFIG = """
model:
  class_path: vae_lightning.models.GaussianVAE
  init_args:
    latent_dim: 2
    observed: {class_path: vae_lightning.families.Bernoulli, init_args: {event_shape: [1, 8, 8]}}
    encoder: {class_path: vae_lightning.nn.MLP, init_args: {hidden: [8]}}
    objective:
      class_path: vae_lightning.objectives.IWAE
      init_args: {estimator: {class_path: vae_lightning.estimators.Reparameterised, init_args: {num_samples: 2}}}
    prior:
      class_path: vae_lightning.priors.VampPrior
      init_args: {latent_shape: 2, observed_shape: [1, 8, 8], num_components: 3}
data:
  class_path: vae_lightning.data.Digits
  init_args: {binarisation: vae_lightning.data.StaticBinarisation, batch_size: 16}
"""


def run_config(folder: Path) -> Any:
    """`fit --config` of one step; what the command says in one line, as an error that names the file."""
    said = io.StringIO()
    options = ["--trainer.fast_dev_run", "1", "--trainer.accelerator", "cpu", "--trainer.enable_progress_bar", "false"]
    try:
        with redirect_stderr(said), redirect_stdout(io.StringIO()):
            main(["fit", "--config", str(folder / "config.yaml"), *options])
    except SystemExit:
        lines = [line for line in said.getvalue().splitlines() if line.startswith("vae-lightning: ")]
        raise ValueError(f"config.yaml: {lines[-1] if lines else said.getvalue()}") from None


def own(name: str, write: Callable[[Path], None], read: Callable[[Path], Any]) -> Reader:
    """A file of somebody's own data: nothing says that a changed number is wrong, so any is right."""
    return Reader(lambda folder: write(folder / name), name, lambda folder: read(folder / name), anything)


READERS = {
    "config": Reader(lambda f: text(f / "config.yaml", CONFIG), "config.yaml", run_config, anything),
    "archive": Reader(write_miniature, ARCHIVE, lambda f: corpus_values(read_corpus(f / ARCHIVE)), triples),
    "vocabulary": Reader(write_miniature, VOCABULARY, read_vocabulary, anything),
    "parse cache": Reader(write_parsed, "**/20news-*.npz", parsed, as_before),
    "idx": Reader(write_idx, "*ubyte*", lambda f: split_sums(MNIST(f, val_size=3)), idx_pixels),
    "images": Reader(write_images, "*/*", lambda f: split_sums(ImageFolder(f, size=8)), anything),
    "zip": Reader(write_omniglot, "*.zip", lambda f: split_sums(Omniglot(f, size=8)), anything),
    "checkpoint": Reader(write_checkpoint, "model.ckpt", model_bits, anything, spoil_checkpoint),
    "index": Reader(write_index, "docs.index", read_index, as_before, None),
    "somebody's index": Reader(write_index, "docs.index", read_index, anything, spoil_index),
    "cell": Reader(write_cell, "figures.json", lambda f: cells(f).read(ONE), anything, spoil_json),
    "features": Reader(write_features, "*.npz", read_features, as_before_or_none),
    "metrics": Reader(write_metrics, "metrics.json", update_metrics, has_the_new_figure, spoil_json),
}
READERS |= {f"texts, {name}": own(name, write, read_texts) for name, write in TEXTS.items()}
READERS |= {f"arrays, {name}": own(name, write, read_arrays) for name, write in ARRAYS.items()}
