"""A trained model of a few documents in four languages, and of the miniature archive."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from support.documents import write_documents
from support.models import trainer

from vae_lightning.data import Texts
from vae_lightning.models import HashingVAE


@pytest.fixture(scope="session")
def trained_on_texts(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with `docs` and the checkpoint `model.ckpt` of a model of them."""
    folder = tmp_path_factory.mktemp("texts")
    data = Texts(write_documents(folder / "docs"), val_size=0, test_size=0, batch_size=8)
    torch.manual_seed(0)
    run = trainer(max_epochs=3, limit_val_batches=0)
    run.fit(HashingVAE(num_bits=9, num_words=data.num_words), datamodule=data)
    run.save_checkpoint(folder / "model.ckpt")
    return folder
