"""NearestWords: a picture of the words that each bit makes more likely, and less."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import lightning.pytorch as pl
import torch
from jaxtyping import Float
from matplotlib.figure import Figure
from torch import Tensor

from vae_lightning.callbacks.base import Diagnostic
from vae_lightning.callbacks.gallery import has_gallery, show
from vae_lightning.callbacks.reporting import logged_step, silent_tensorboard
from vae_lightning.callbacks.requirements import require_latent_variable_model
from vae_lightning.data.protocols import HasWords, datamodule
from vae_lightning.distributions import is_bag_of_words
from vae_lightning.latent_variable import LatentVariableModel


class NearestWords(Diagnostic):
    """For each bit the `num_words` words whose probability it raises most, and lowers most, as a TensorBoard image.

    The effect of bit j on word k is E_z[sqrt p(k | z, z_j = 1) - sqrt p(k | z, z_j = 0)] over `num_codes` codes of the
    prior: the word's share of the Hellinger distance. Differences of probabilities would name only the commonest
    words, of their logarithms only the rarest. Shows the first 16 bits. The same table is among TensorBoard's texts,
    where it can be read without enlarging it.
    """

    def __init__(self, num_words: int = 8, num_codes: int = 64, every_n_epochs: int = 10) -> None:
        super().__init__(every_n_epochs)
        for name, value in {"num_words": num_words, "num_codes": num_codes}.items():
            if value < 1:
                raise ValueError(f"NearestWords needs {name} >= 1, got {value}")
        self.num_words, self.num_codes = num_words, num_codes

    def setup(self, trainer: pl.Trainer, pl_module: pl.LightningModule, stage: str) -> None:
        """Say before the first epoch that there are no words."""
        if not is_bag_of_words(require_latent_variable_model(self, pl_module).decoder.prototype()):
            raise TypeError(f"NearestWords is of models of documents, as HashingVAE, not of {type(pl_module).__name__}")

    def report(self, trainer: pl.Trainer, module: pl.LightningModule, split: str) -> None:
        """Draw the picture."""
        data = datamodule(trainer)
        if has_gallery(trainer) and isinstance(data, HasWords) and data.words:
            effects = bit_effects(require_latent_variable_model(self, module), self.num_codes)
            rows = named(effects[:16], data.words, self.num_words)
            show(trainer, split, "nearest_words", word_table(rows))
            if writer := silent_tensorboard(trainer):
                writer.add_text(f"{split}/nearest_words", in_markdown(rows), logged_step(trainer))


@torch.no_grad()
def bit_effects(model: LatentVariableModel, num_codes: int) -> Float[Tensor, "bits words"]:
    """What switching each bit on adds to the root of each word's probability, on average over codes of the prior."""
    decoder: Callable[[Tensor], Any] = model.decoder  # of words, which have logits, as setup has seen
    z = model.prior().sample(torch.Size([num_codes]))
    effects = []
    for bit in range(z.shape[-1]):
        on, off = z.clone(), z.clone()
        on[:, bit], off[:, bit] = 1, 0
        raised, lowered = ((decoder(codes).logits / 2).exp() for codes in (on, off))
        effects.append((raised - lowered).mean(0))
    return torch.stack(effects).cpu()


Rows = list[tuple[str, str]]
"""For each bit the words it raises, strongest first, and those it lowers."""


def named(effects: Float[Tensor, "bits words"], words: Sequence[str], num_words: int) -> Rows:
    """The words of the largest and the least effects."""
    orders = effects.argsort(1, descending=True)
    ends = ((order[:num_words], order.flip(0)[:num_words]) for order in orders)
    return [(_joined(raised, words), _joined(lowered, words)) for raised, lowered in ends]


def _joined(which: Tensor, words: Sequence[str]) -> str:
    return ", ".join(words[int(k)] for k in which)


def in_markdown(rows: Rows) -> str:
    """One row a bit."""
    lines = [f"| {bit} | {raised} | {lowered} |" for bit, (raised, lowered) in enumerate(rows)]
    return "\n".join(["| bit | more likely when it is on | less likely |", "|---|---|---|", *lines])


def word_table(rows: Rows) -> Figure:
    """One row a bit: the words it raises, strongest first, then those it lowers."""
    figure = Figure(figsize=(14, 0.5 + 0.45 * len(rows)))
    axes = figure.add_axes((0, 0, 1, 1))
    axes.set_axis_off()
    axes.set_xlim(0, 1)
    axes.set_ylim(len(rows), -1)
    axes.text(0.05, -0.4, "more likely when the bit is on", weight="bold", color="tab:blue")
    axes.text(0.55, -0.4, "less likely", weight="bold", color="tab:red")
    for bit, (raised, lowered) in enumerate(rows):
        axes.text(0.01, bit + 0.5, f"{bit}", weight="bold")
        axes.text(0.05, bit + 0.5, raised, parse_math=False)
        axes.text(0.55, bit + 0.5, lowered, parse_math=False)
    return figure
