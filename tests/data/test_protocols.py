"""Protocols of data modules: who answers which questions, and who is not asked."""

from __future__ import annotations

from pathlib import Path

import pytest
from lightning.pytorch import LightningDataModule
from support.models import digits, newsgroups, trainer

from vae_lightning.data import FullBatch, Synthetic
from vae_lightning.data.processes import LinearJTEx
from vae_lightning.data.protocols import (
    EvaluatesInOrder,
    HasLengths,
    HasTraining,
    HasValidation,
    InMemory,
    NamesPredicted,
    Split,
    datamodule,
    observed_shape,
    vocabulary_size,
)
from vae_lightning.models import HashingVAE
from vae_lightning.nn import TrainingData
from vae_lightning.studies.documents.fewer import Fewer

ALL = (InMemory, EvaluatesInOrder, HasTraining, HasValidation, NamesPredicted)


def test_the_projects_data_modules_answer_what_is_asked_of_all(miniature: Path) -> None:
    for data in (digits(), newsgroups(miniature), Synthetic(LinearJTEx(), (3, 2, 2))):
        data.setup()
        assert all(isinstance(data, protocol) for protocol in ALL)
        assert isinstance(data.train, Split)
        assert isinstance(data.train, TrainingData)


def test_documents_know_their_words_and_lengths_and_images_their_shape(miniature: Path) -> None:
    text, images = newsgroups(miniature), digits()
    text.setup()
    images.setup()
    assert isinstance(text, HasLengths)
    assert not isinstance(images, HasLengths)
    assert (vocabulary_size(text), observed_shape(text)) == (80, None)
    assert (vocabulary_size(images), observed_shape(images)) == (None, (1, 8, 8))


@pytest.mark.parametrize(
    "derived", [lambda data: FullBatch(data, 2), lambda data: Fewer(data, 5, 0)], ids=["all", "few"]
)
def test_a_module_of_another_tells_what_the_other_tells(derived, miniature: Path) -> None:
    assert observed_shape(derived(digits())) == (1, 8, 8)
    assert vocabulary_size(derived(newsgroups(miniature))) == 80
    with pytest.raises(ValueError, match="the model has 70 words but the data 80"):
        HashingVAE(2, 70).check_data(derived(newsgroups(miniature)))


def test_nothing_is_asked_of_what_has_nothing() -> None:
    for data in (None, LightningDataModule(), object()):
        assert observed_shape(data) is None
        assert vocabulary_size(data) is None
        assert not any(isinstance(data, protocol) for protocol in ALL)
    assert datamodule(trainer()) is None
