"""MetricDiagnostic: a metric's figures in the log, reset before each split; and what models have to have."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import lightning.pytorch as pl
import pytest
import torch
from lightning.pytorch.demos.boring_classes import BoringModel
from support.models import digits, gaussian_vae, hashing, newsgroups, trainer
from torch import Tensor, nn
from torchmetrics.aggregation import MeanMetric

from vae_lightning.answers.hashing import Encodes
from vae_lightning.batches import Batch
from vae_lightning.callbacks import Diagnostic, GradientVariance, HammingPrecision, MetricDiagnostic, SmoothKNN
from vae_lightning.callbacks.images.samplers import ImageSamples
from vae_lightning.latent_variable import Draw
from vae_lightning.models import Ensemble, HashingVAE
from vae_lightning.models.codes import codes_in
from vae_lightning.models.protocols import ChecksData, Generates, WritesMembers, part, seed_of


class MeanCode(MetricDiagnostic):
    """The mean of all codes of a split, under a name of its own."""

    def observe(self, trainer: pl.Trainer, module: pl.LightningModule, draw: Draw, batch: Batch) -> None:
        self.metric.update(draw.z.mean(), weight=draw.z.shape[1])

    def figures(self) -> dict[str, Tensor]:
        return {"mean_code": self.metric.compute().double()}


class Silent(Diagnostic):
    """Looks at no batch."""

    def report(self, trainer: pl.Trainer, module: pl.LightningModule, split: str) -> None:
        self.split = split


def test_each_split_has_figures_of_its_own() -> None:
    watch, data = MeanCode(MeanMetric()), digits()
    module, run = gaussian_vae(), trainer(watch)
    run.validate(module, datamodule=data, verbose=False)
    (figures,) = run.validate(module, datamodule=data, verbose=False)
    expected = torch.cat([module.evaluate(batch, b).z for b, batch in enumerate(data.val_dataloader())], 1).mean()
    assert figures["val/mean_code"] == pytest.approx(expected.item(), rel=1e-5)


def test_a_diagnostic_of_no_batch_needs_no_observe() -> None:
    silent = Silent()
    trainer(silent).test(gaussian_vae(), datamodule=digits(), verbose=False)
    assert silent.split == "test"


def test_a_metric_diagnostic_says_what_it_observes() -> None:
    with pytest.raises(TypeError, match="abstract"):
        MetricDiagnostic(MeanMetric())


class Counting(HashingVAE):
    """Counts the documents that it is asked to encode by themselves."""

    encoded = 0

    def hashes(self, x: Any) -> Tensor:
        self.encoded += len(x)
        return super().hashes(x)


def test_evaluated_documents_are_not_encoded_again(miniature: Path) -> None:
    """Their codes are in the draw; those of the 100 training documents are not."""
    torch.manual_seed(0)
    module, data = Counting(3, 80), newsgroups(miniature)
    trainer(HammingPrecision(k=15)).validate(module, datamodule=data, verbose=False)
    assert module.encoded == 100
    for number, batch in enumerate(data.val_dataloader()):
        assert torch.equal(codes_in(module.evaluate(batch, number), module), module.hashes(batch[0]))


class Bare(BoringModel):
    """A model with encoder, decoder and prior, and nothing else."""

    def __init__(self) -> None:
        super().__init__()
        self.model = gaussian_vae().model


@pytest.mark.parametrize(
    ("callback", "missing"), [(GradientVariance(), "trained by an Objective"), (SmoothKNN(), r"sample\(n\)")]
)
def test_models_that_lack_what_is_asked_of_them(callback: pl.Callback, missing: str) -> None:
    with pytest.raises(TypeError, match=rf"{type(callback).__name__} needs a model .*{missing}.*; Bare has none"):
        trainer(callback, max_epochs=0).fit(Bare(), datamodule=digits())


def test_what_models_tell_callbacks() -> None:
    vae, hashes = gaussian_vae(), hashing()
    hashes.seed = 3
    members = Ensemble([gaussian_vae(), gaussian_vae()])
    assert all(isinstance(module, Generates) for module in (vae, hashes))
    assert all(isinstance(module, ChecksData) for module in (vae, hashes))
    assert isinstance(hashes, Encodes)
    assert isinstance(members, WritesMembers)
    assert not any(isinstance(module, WritesMembers) for module in (vae, BoringModel()))
    assert not any(isinstance(BoringModel(), protocol) for protocol in (Generates, Encodes, ChecksData))
    assert (seed_of(hashes), seed_of(BoringModel())) == (3, 0)
    assert part(vae, "model") is vae.model
    assert part(vae, "nothing") is None
    assert part(nn.Linear(1, 1), "weight") is None  # a parameter is no part
    with pytest.raises(TypeError, match="ImageSamples needs a model with sample"):
        ImageSamples()(BoringModel(), 3)
