"""HammingPrecision inside a real fit: the figures of the codes at hand, at its interval."""

import csv
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from lightning.pytorch.demos.boring_classes import BoringModel
from lightning.pytorch.loggers import CSVLogger
from support.models import hashing, newsgroups, trainer
from torch import Tensor

from vae_lightning.callbacks import HammingPrecision
from vae_lightning.data import Newsgroups, Observations, Texts
from vae_lightning.metrics.functional import hamming_found_within, hamming_precision, hamming_precision_within
from vae_lightning.models import HashingVAE

NUM_BITS = 10


def model() -> HashingVAE:
    return hashing(num_bits=NUM_BITS)


def expected(module: HashingVAE, data: Newsgroups, split: str) -> dict[str, float]:
    queries = data.split(split)
    codes = module.hashes(queries.x), module.hashes(data.train.x)
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


def test_says_what_it_needs_before_training(miniature: Path):
    with pytest.raises(ValueError, match=r"must be at most 100, .*, got k = 101: .*lower its k"):
        trainer(HammingPrecision(k=101), max_epochs=0).fit(model(), datamodule=newsgroups(miniature))
    with pytest.raises(TypeError, match="BoringModel has none"):
        trainer(HammingPrecision(k=15)).fit(BoringModel())
    data = newsgroups(miniature)
    data.setup()
    with pytest.raises(ValueError, match="give the Trainer a datamodule"):
        trainer(HammingPrecision(k=15)).validate(model(), dataloaders=data.val_dataloader(), verbose=False)


def test_prediction_needs_no_training_documents(miniature: Path):
    watched = trainer(HammingPrecision(k=101))
    watched.predict(model(), datamodule=newsgroups(miniature), return_predictions=False)
    assert watched.state.finished


class Relabelled(Newsgroups):
    """The miniature, its training documents with other labels."""

    def __init__(self, folder: Path, labels: Tensor) -> None:
        super().__init__(folder, hashes=None, num_words=80, val_size=20, batch_size=16, eval_batch_size=8)
        self.labels = labels

    def load(self) -> tuple[Observations, Observations, Observations]:
        train, val, test = super().load()
        return replace(train, y=self.labels), val, test


@pytest.mark.parametrize(
    ("labels", "told"),
    [
        (torch.zeros(100, dtype=torch.int64), "all 100 training documents have the same label"),
        (torch.arange(100), "each training document has a label of its own"),
        (torch.arange(100) % 4 - 1, "25 of 100 training documents have no label"),  # as `Texts` says it
    ],
)
def test_labels_that_say_nothing_give_no_precision(miniature: Path, labels: Tensor, told: str):
    """Where all are alike every code would have precision 1; how many find any within the radius needs no labels."""
    run = trainer(HammingPrecision(k=15, radius=10, every_n_epochs=1))
    with pytest.warns(UserWarning, match=told):
        run.fit(model(), datamodule=Relabelled(miniature, labels))
    figures = {name for name in run.logged_metrics if "precision" in name or "found" in name}
    assert figures == {"val/found_within_10"}
    assert run.logged_metrics["val/found_within_10"] == 1


def test_texts_without_labels_are_searched_without_precision(tmp_path: Path):
    """One line says so, and training goes on."""
    (tmp_path / "own.csv").write_text("text\n" + "".join(f"river sea {'wide ' * (n % 5)}\n" for n in range(30)))
    data = Texts(tmp_path / "own.csv", val_size=4, test_size=4, batch_size=8)
    run = trainer(HammingPrecision(k=5, radius=8, every_n_epochs=1))
    with pytest.warns(UserWarning, match="22 of 22 training documents have no label: its precisions are left out"):
        run.fit(hashing(num_words=data.num_words), datamodule=data)
    assert {name for name in run.logged_metrics if "precision" in name or "found" in name} == {"val/found_within_8"}


def test_two_labels_are_enough(miniature: Path):
    run = trainer(HammingPrecision(k=100, radius=10, every_n_epochs=1))
    run.fit(model(), datamodule=Relabelled(miniature, torch.arange(100) % 2))
    # all are among the nearest 100, of which half are of the label of a query of label 0 or 1, and none of 2 and 3
    queries = torch.isin(newsgroups_labels(miniature), torch.tensor([0, 1])).double()
    assert float(run.logged_metrics["val/precision@100"]) == pytest.approx(float(queries.mean()) / 2)


def newsgroups_labels(miniature: Path) -> Tensor:
    data = newsgroups(miniature)
    data.setup()
    return data.val.y
