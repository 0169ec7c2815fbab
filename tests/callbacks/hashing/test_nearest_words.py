"""NearestWords: the effect of a bit on each word, and the picture of it."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import torch
from matplotlib.figure import Figure
from matplotlib.image import imread
from support.models import events, hashing, newsgroups, trainer

from vae_lightning.callbacks import NearestWords
from vae_lightning.callbacks.hashing.nearest_words import bit_effects, named, word_table
from vae_lightning.models import HashingVAE


def decoded(num_bits: int = 3, num_words: int = 12) -> HashingVAE:
    module = hashing(num_bits=num_bits, num_words=num_words)
    torch.nn.init.normal_(module.model.decoder.network.output.weight)
    return module


def test_the_effect_of_a_bit_averages_over_the_others() -> None:
    """Against all four codes of the other two bits, within the error of 4,000 random ones."""
    module = decoded()
    output = module.model.decoder.network.output
    codes = torch.cartesian_prod(*[torch.tensor([0.0, 1.0])] * 3)
    roots = (codes @ output.weight.T + output.bias).softmax(-1).sqrt().detach()
    exact = torch.stack([roots[codes[:, j] == 1].mean(0) - roots[codes[:, j] == 0].mean(0) for j in range(3)])
    torch.manual_seed(0)
    # roots lie in [0, 1]: four standard errors of an average of 4,000 are at most 4 / sqrt(4,000) = 0.063
    torch.testing.assert_close(bit_effects(module.model, 4_000), exact, atol=0.063, rtol=0)


def test_the_effect_of_the_only_bit_in_closed_form() -> None:
    """With one bit there is no other to average over: sqrt softmax(w + b) - sqrt softmax(b)."""
    module = decoded(num_bits=1)
    output = module.model.decoder.network.output
    expected = (output.weight[:, 0] + output.bias).softmax(0).sqrt() - output.bias.softmax(0).sqrt()
    torch.testing.assert_close(bit_effects(module.model, 5)[0], expected.detach())


def texts(figure: Figure) -> list[str]:
    return [text.get_text() for text in figure.axes[0].texts]


def test_the_table_has_the_words_in_order() -> None:
    effects = torch.tensor([[0.1, 3.0, -2.0, 1.0], [-5.0, 0.0, 4.0, -1.0]])
    written = texts(word_table(named(effects, ["apple", "bread", "cheese", "dates"], 2)))
    assert written[2:] == ["0", "bread, dates", "cheese, apple", "1", "cheese, bread", "apple, dates"]


def test_words_are_not_formulas() -> None:
    """Matplotlib takes what stands between two dollar signs for mathematics, and fails on most of it."""
    figure = word_table(named(torch.tensor([[2.0, 1.0]]), ["$^", "_$"], 2))
    figure.savefig(io.BytesIO())
    assert "$^, _$" in texts(figure)


def test_a_picture_reaches_tensorboard(miniature: Path, tmp_path: Path) -> None:
    module, run = hashing(num_bits=18), trainer(NearestWords(num_words=4, num_codes=8), folder=tmp_path)
    run.validate(module, datamodule=newsgroups(miniature), verbose=False)
    seen = events(Path(run.log_dir))
    (image,) = seen.Images("val/nearest_words")
    pixels = imread(io.BytesIO(image.encoded_image_string))
    assert pixels.shape == (image.height, image.width, pixels.shape[-1])
    assert np.ptp(pixels[..., :3]) == 1  # black or coloured letters on white
    # 16 of the 18 bits: 0.5 + 0.45 * 16 inches of 100 dots
    assert image.height == 770
    (text,) = seen.Tensors("val/nearest_words/text_summary")
    heading, _, *rows = text.tensor_proto.string_val[0].decode().splitlines()
    assert heading.startswith("| bit |")
    assert [row.count(", ") for row in rows] == [2 * 3] * 16  # four words raised, four lowered


def test_without_tensorboard_or_words_there_is_no_picture(miniature: Path, tmp_path: Path) -> None:
    data = newsgroups(miniature)
    trainer(NearestWords()).validate(hashing(), datamodule=data, verbose=False)
    run = trainer(NearestWords(), folder=tmp_path)
    run.validate(hashing(), dataloaders=data.val_dataloader(), verbose=False)
    assert not events(Path(run.log_dir)).Tags()["images"]
