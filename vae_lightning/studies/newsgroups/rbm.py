"""The multinomial RBM of documents, which the paper says the best VAE is, trained by persistent chains."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import lightning.pytorch as pl

from vae_lightning.callbacks import AnnealedLikelihood
from vae_lightning.counts import Counts
from vae_lightning.data import Newsgroups
from vae_lightning.models import RBM
from vae_lightning.models.reproducible import ReproducibleModule
from vae_lightning.studies.documents.domains import text
from vae_lightning.studies.documents.training import EXACT_BITS, start_as_a_vae
from vae_lightning.studies.newsgroups.models import DocumentModel
from vae_lightning.studies.newsgroups.size import NewsgroupsSize
from vae_lightning.studies.provenance import Settings
from vae_lightning.studies.store import Figures


@dataclass(frozen=True)
class DocumentRBM(DocumentModel):
    """That of `reproduce documents`. Its posterior is exact, so that its NELBO is -log p(x)."""

    label = name = path = "RBM"
    linear = False

    def build(self, bits: int, data: Newsgroups, size: NewsgroupsSize) -> ReproducibleModule:
        """The RBM, its words as frequent as the data's."""
        module = text(lambda: data).models["RBM, persistent chains"](bits, size.rbm_epochs)
        assert isinstance(module, RBM), "an RBM is asked for"
        x = data.train.x
        assert isinstance(x, Counts), "documents are sparse"
        start_as_a_vae(module, data, x)
        return module

    def epochs(self, size: NewsgroupsSize) -> int:
        """Its own number."""
        return size.rbm_epochs

    def options(self, size: NewsgroupsSize) -> Mapping[str, Any]:
        """A validation anneals, and is dear."""
        return {"check_val_every_n_epoch": max(1, size.rbm_epochs // size.validations)}

    def bounds(self, size: NewsgroupsSize) -> list[pl.Callback]:
        """Its likelihood."""
        return [AnnealedLikelihood(size.chains, size.ais_steps, max(size.ais_steps // 4, 1), EXACT_BITS)]

    def stops(self, size: NewsgroupsSize) -> list[pl.Callback]:
        """Nothing: its rate falls until the last epoch."""
        return []

    def judges(self) -> list[pl.Callback]:
        """None."""
        return []

    def deviance(self, figures: Figures, x: Counts) -> float:
        """From log p(x)."""
        return float((x.log_arrangements + x.log_saturated).double().mean()) - figures["log_likelihood"]

    def settings(self, bits: int, size: NewsgroupsSize) -> Settings:
        """How long it is trained, and how its likelihood is found."""
        told = {"epochs": size.rbm_epochs, "validations": size.validations}
        return {**told, "chains": size.chains, "AIS steps": size.ais_steps}
