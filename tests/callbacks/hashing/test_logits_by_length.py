"""LogitsByLength: with counts the logits grow in proportion to the length, with frequencies they do not."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import pytest
import torch
from support.models import digits, events, gaussian_vae, hashing, newsgroups, trainer

from vae_lightning.callbacks import LogitsByLength
from vae_lightning.callbacks.hashing.logits_by_length import length_picture
from vae_lightning.counts import Counts
from vae_lightning.models import HashingVAE
from vae_lightning.nn import BagOfWordsMLP, WordFrequencies


def watched(module: HashingVAE) -> tuple[torch.Tensor, torch.Tensor]:
    """What the callback keeps of the same text repeated 1 to 24 times, in three uneven batches."""
    torch.nn.init.zeros_(module.model.encoder.network.bias)
    text = torch.zeros(80)
    text[:4] = torch.tensor([1.0, 2, 1, 1])
    diagnostic, run = LogitsByLength(), trainer()
    diagnostic.begin(run, module)
    for times in torch.arange(1.0, 25).split(10):
        batch = Counts.from_dense(times[:, None] * text), torch.zeros(len(times))
        diagnostic.observe(run, module, module.evaluate(batch, 0), batch)
    return torch.cat(diagnostic.lengths), torch.cat(diagnostic.logits)


def test_in_proportion_to_the_length_for_counts() -> None:
    lengths, logits = watched(hashing())
    assert lengths.tolist() == [5 * times for times in range(1, 25)]
    torch.testing.assert_close(logits / logits[0], lengths / 5)
    assert logits[0] > 0


def test_the_same_at_every_length_for_frequencies() -> None:
    _, logits = watched(hashing(encoder=partial(BagOfWordsMLP, features=WordFrequencies)))
    torch.testing.assert_close(logits, logits[:1].expand_as(logits))


def test_the_picture_shows_the_means_of_equal_bins() -> None:
    lengths = torch.tensor([8.0, 1, 2, 4, 16, 32])
    dots, means, slope = length_picture(lengths, 3 * lengths, num_bins=3).axes[0].lines
    assert dots.get_xdata().tolist() == lengths.tolist()
    assert means.get_xdata().tolist() == [1.5, 6, 24]
    assert means.get_ydata().tolist() == [4.5, 18, 72]
    assert slope.get_ydata().tolist() == [4.5, 18, 72]  # these logits are in proportion


def test_a_picture_reaches_tensorboard(miniature: Path, tmp_path: Path) -> None:
    run = trainer(LogitsByLength(every_n_epochs=1), folder=tmp_path)
    run.fit(hashing(), datamodule=newsgroups(miniature))
    (image,) = events(Path(run.log_dir)).Images("val/logits_by_length")
    assert (image.width, image.height) == (440, 320)
    assert image.step == run.global_step - 1 == 6  # where Lightning logs the epoch's scalars


def test_only_documents_have_lengths() -> None:
    with pytest.raises(TypeError, match="LogitsByLength is of codes of documents, as HashingVAE's, not of GaussianVAE"):
        trainer(LogitsByLength()).test(gaussian_vae(), datamodule=digits(), verbose=False)
