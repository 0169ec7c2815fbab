"""Every study, by the name that `vae-lightning reproduce` takes."""

from __future__ import annotations

from typing import Any

from vae_lightning.studies.base import Study
from vae_lightning.studies.celeba import CelebAStudy
from vae_lightning.studies.documents import DocumentsStudy
from vae_lightning.studies.libi import LiBIStudy
from vae_lightning.studies.mixture import MixtureStudy
from vae_lightning.studies.names import StudyName
from vae_lightning.studies.newsgroups import NewsgroupsStudy
from vae_lightning.studies.priors import PriorsStudy
from vae_lightning.studies.tradeoff import TradeoffStudy

STUDIES: dict[StudyName, type[Study[Any, Any]]] = {
    "celeba": CelebAStudy,
    "documents": DocumentsStudy,
    "libi": LiBIStudy,
    "mixture": MixtureStudy,
    "newsgroups": NewsgroupsStudy,
    "priors": PriorsStudy,
    "tradeoff": TradeoffStudy,
}
