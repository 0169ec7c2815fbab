"""HammingPrecision inside a real fit: the figures of the codes at hand, at its interval, without touching training."""

import csv
from pathlib import Path

import lightning.pytorch as pl
import pytest
import torch
from lightning.pytorch.demos.boring_classes import BoringModel
from lightning.pytorch.loggers import CSVLogger
from small import hashing, newsgroups, trainer
from torch import Tensor

from vae_lightning.callbacks import HammingPrecision
from vae_lightning.data import Newsgroups
from vae_lightning.metrics.functional import hamming_found_within, hamming_precision, hamming_precision_within
from vae_lightning.models import HashingVAE

NUM_BITS = 10


def model() -> HashingVAE:
    return hashing(num_bits=NUM_BITS)


def expected(module: HashingVAE, data: Newsgroups, split: str) -> dict[str, float]:
    queries = data.split(split)
    codes = module.encode(queries.x), module.encode(data.train.x)
    labels = queries.y, data.train.y
    return {
        f"{split}/precision@15": float(hamming_precision(*codes, *labels, k=15)),
        f"{split}/precision_within_1": float(hamming_precision_within(*codes, *labels, radius=1)),
        f"{split}/found_within_1": float(hamming_found_within(*codes, radius=1)),
    }


def test_logs_the_figures_of_the_codes_at_hand(miniature: Path):
    module, data = model(), newsgroups(miniature)
    run = trainer(HammingPrecision(k=15, radius=1, every_n_epochs=1))
    run.fit(module, datamodule=data)
    assert run.logged_metrics.items() >= {n: pytest.approx(v) for n, v in expected(module, data, "val").items()}.items()
    (tested,) = run.test(module, datamodule=data, verbose=False)
    assert {n: tested[n] for n in tested if "within" in n or "@" in n} == pytest.approx(expected(module, data, "test"))
    assert 0 < tested["test/found_within_1"] <= 1


def test_watches_every_nth_epoch_of_a_fit(miniature: Path, tmp_path: Path):
    logger = CSVLogger(tmp_path)
    run = trainer(HammingPrecision(k=15, radius=1, every_n_epochs=2), max_epochs=5, logger=logger)
    run.fit(model(), datamodule=newsgroups(miniature))
    with (Path(logger.log_dir) / "metrics.csv").open() as file:
        assert [int(row["epoch"]) for row in csv.DictReader(file) if row["val/precision@15"]] == [1, 3, 4]


def test_watching_does_not_change_training(miniature: Path):
    def trained(*callbacks: pl.Callback) -> dict[str, Tensor]:
        module = model()
        trainer(*callbacks, max_epochs=2).fit(module, datamodule=newsgroups(miniature))
        return module.state_dict()

    watched, alone = trained(HammingPrecision(k=15, every_n_epochs=1)), trained()
    assert all(torch.equal(watched[name], alone[name]) for name in alone)
    assert any(not torch.equal(alone[name], start) for name, start in model().state_dict().items())


def test_says_what_it_needs_before_training(miniature: Path):
    with pytest.raises(ValueError, match=r"1 <= k <= 100"):
        trainer(HammingPrecision(k=101, every_n_epochs=1)).fit(model(), datamodule=newsgroups(miniature))
    with pytest.raises(TypeError, match="BoringModel has none"):
        trainer(HammingPrecision(k=15)).fit(BoringModel())
    data = newsgroups(miniature)
    data.setup()
    with pytest.raises(ValueError, match="give the Trainer a datamodule"):
        trainer(HammingPrecision(k=15)).validate(model(), dataloaders=data.val_dataloader(), verbose=False)
