"""CodeWriter: `predict` writes the codes that `encode` gives, by document id, and leaves no shares."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from support.command import HASHING, ROOT, command, on_miniature
from support.models import hashing, newsgroups, trainer

from vae_lightning.callbacks import CodeWriter
from vae_lightning.callbacks.run.code_writer import merge, save
from vae_lightning.data import Digits, DynamicBinarisation
from vae_lightning.models import HVAE, GaussianVAE, HashingVAE


@pytest.fixture(scope="module")
def checkpoint(miniature: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("run")
    command("fit", "--config", HASHING, *on_miniature(miniature, out), "--trainer.max_epochs", "1")
    return out / "version_0" / "checkpoints" / "best.ckpt"


@pytest.mark.parametrize(("split", "count"), [("test", 61), ("train", 100)])
def test_codes_of_a_split(split: str, count: int, checkpoint: Path, miniature: Path, tmp_path: Path) -> None:
    options = ["--config", HASHING, *on_miniature(miniature, tmp_path), "--data.predict_split", split]
    command("predict", *options, "--ckpt_path", checkpoint)
    written = np.load(tmp_path / "version_0" / "codes.npz")
    data = newsgroups(miniature)
    data.setup()
    documents = data.split(split)
    order = documents.ids.argsort()
    assert len(written["ids"]) == count
    assert np.array_equal(written["ids"], documents.ids[order])
    assert np.array_equal(written["labels"], documents.y[order])
    codes = HashingVAE.load_from_checkpoint(checkpoint).hashes(documents.x)
    assert written["codes"].dtype == bool
    assert np.array_equal(written["codes"], codes[order])
    assert len(np.unique(written["codes"], axis=0)) > 1
    assert not list(tmp_path.rglob("*.part*"))


@pytest.mark.parametrize("name", ["vae", "hvae"])
def test_codes_of_images_are_posterior_means(name: str, tmp_path: Path) -> None:
    options = ["--config", ROOT / "configs" / "digits" / f"{name}.yaml", "--trainer.logger.save_dir", tmp_path]
    command("fit", *options, "--trainer.max_epochs", "1", "--trainer.accelerator", "cpu")
    checkpoint = tmp_path / "version_0" / "checkpoints" / "best.ckpt"
    command("predict", *options, "--ckpt_path", checkpoint, "--trainer.accelerator", "cpu")
    written = np.load(tmp_path / "version_0" / "codes.npz")
    model = {"vae": GaussianVAE, "hvae": HVAE}[name].load_from_checkpoint(checkpoint)
    data = Digits(DynamicBinarisation())
    data.setup()
    order = data.test.ids.argsort()
    assert np.array_equal(written["ids"], data.test.ids[order])
    assert written["codes"].shape == (len(data.test), 16)
    # of vectors, the means of both levels; of one level, of all of q
    q = model.model.encoder(data.test.x)
    top = q.mean if name == "vae" else q.top.mean
    np.testing.assert_allclose(written["codes"][:, : top.shape[1]], top[order].detach(), rtol=1e-4, atol=1e-5)


def test_shares_are_merged_by_id_and_removed(tmp_path: Path) -> None:
    ids, labels = torch.randperm(9, generator=torch.Generator().manual_seed(0)), torch.arange(9) * 10
    codes = torch.arange(18).reshape(9, 2) % 3 == 0
    shares = []
    for rank, rows in enumerate(torch.arange(9).split(4)):
        shares.append(tmp_path / f"codes.{rank}.part.npz")
        save(shares[-1], ids[rows], labels[rows], codes[rows])
    merge(shares, tmp_path / "codes.npz")
    order = ids.argsort()
    with np.load(tmp_path / "codes.npz") as merged:
        assert merged["ids"].tolist() == list(range(9))
        assert merged["labels"].tolist() == labels[order].tolist()
        assert merged["codes"].tolist() == codes[order].tolist()
    assert [path.name for path in tmp_path.iterdir()] == ["codes.npz"]


def test_a_share_left_by_a_killed_run_is_not_merged(tmp_path: Path) -> None:
    """A process without documents writes no share, and an old one in its place would bring in foreign codes."""
    folder = tmp_path / "version_0"
    folder.mkdir()
    save(folder / "codes.0.part.npz", torch.arange(3), torch.arange(3), torch.ones(3, 2, dtype=torch.bool))
    writer, run = CodeWriter(), trainer(folder=tmp_path)
    run.logger._version = "version_0"
    writer.on_predict_start(run, hashing())
    writer.on_predict_end(run, hashing())
    assert not list(folder.iterdir())
