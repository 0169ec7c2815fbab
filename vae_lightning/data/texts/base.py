"""BagsOfWords: documents over a vocabulary -> what every corpus tells a model, a checkpoint and a reader of its log."""

from __future__ import annotations

import abc
from functools import cached_property
from typing import Any

import torch
from lightning.pytorch.utilities import rank_zero_info, rank_zero_only
from torch.distributions import LogNormal

from vae_lightning.data.base import InMemoryDataModule
from vae_lightning.data.loaders import Observations
from vae_lightning.data.protocols import SplitName
from vae_lightning.data.texts.bag_of_words import counts
from vae_lightning.data.texts.preparation import TextPreparation
from vae_lightning.data.texts.readers import Reader
from vae_lightning.data.texts.tokenizers import Tokenizer
from vae_lightning.data.texts.vocabulary import vocabulary_hash


class BagsOfWords(InMemoryDataModule, abc.ABC):
    """Documents as counts of the words of a vocabulary, best first; a batch is (Counts, labels).

    `words` and `label_names` are there after setup. Both are kept in checkpoints, for whoever reads those without the
    documents, and a checkpoint of other words is refused.
    """

    words: list[str]
    label_names: list[str]
    tokenizer: Tokenizer
    reader: Reader | None = None

    def __init__(self, batch_size: int, eval_batch_size: int, predict_split: SplitName = "test") -> None:
        super().__init__(batch_size, eval_batch_size, predict_split)
        self.words, self.label_names = [], []

    def setup(self, stage: str | None = None) -> None:
        """Load the splits, once; ValueError for a trainer that would convert them to another precision."""
        precision = self.trainer.precision if self.trainer is not None else "32-true"
        if precision in ("64-true", "bf16-true", "16-true"):
            raise ValueError(f"bags of words stay in single precision, not {precision}: use 32-true or bf16-mixed")
        super().setup(stage)

    @property
    def vocabulary_hash(self) -> str:
        """sha256 over the words in their order; ValueError before setup()."""
        self.split("train")
        return vocabulary_hash(self.words)

    @property
    def preparation(self) -> TextPreparation:
        """How other texts become x."""
        return TextPreparation(self.words, self.tokenizer, self.reader)

    @cached_property
    def length_distribution(self) -> LogNormal:
        """The log-normal of greatest likelihood for the lengths of the training documents, in words kept."""
        return fit_lengths(counts(self.train).total)

    def state_dict(self) -> dict[str, Any]:
        """The vocabulary and the labels, for whoever reads the checkpoint without the documents."""
        vocabulary = {"words": self.words, "vocabulary_hash": self.vocabulary_hash, "label_names": self.label_names}
        return super().state_dict() | vocabulary

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Check that the checkpoint speaks of the same words; ValueError otherwise."""
        super().load_state_dict(state_dict)
        self.setup()
        theirs, ours = state_dict["vocabulary_hash"], self.vocabulary_hash
        if theirs != ours:
            raise ValueError(
                f"the checkpoint's vocabulary {theirs[:12]} ({len(state_dict['words'])} words) is not this data's "
                f"{ours[:12]} ({len(self.words)} words): use the archive, num_words, ranking and stop_words of the run"
            )

    @rank_zero_only
    def report(self, name: str, num_words: int, occurrences: int, splits: dict[SplitName, Observations]) -> None:
        """One line: how many documents and words, and how much of `occurrences`, the training text's, they are."""
        totals = {name: counts(data).total for name, data in splits.items()}
        sizes = ", ".join(f"{len(total):,} {name}" for name, total in totals.items())
        kept = (totals["train"].sum() + totals["val"].sum()) / occurrences
        empty = sum(int((total == 0).sum()) for total in totals.values())
        lengths = fit_lengths(totals["train"])
        left_empty = f" ({empty} left without words)" if empty else ""
        rank_zero_info(
            f"{name}: {sizes} documents{left_empty}; "
            f"{len(self.words):,} of {num_words:,} words, which are {kept:.1%} of the training text; "
            f"vocabulary {vocabulary_hash(self.words)[:12]}; "
            f"lengths log-normal, median {lengths.loc.exp():.0f} words, sigma {lengths.scale:.2f}"
        )


def fit_lengths(lengths: torch.Tensor) -> LogNormal:
    """The log-normal of greatest likelihood, by the mean and deviation of log l; empty documents are left out."""
    logs = lengths[lengths > 0].double().log()
    scale = logs.std(correction=0).clamp_min(1e-6)  # equally long documents have no spread, which LogNormal refuses
    return LogNormal(logs.mean().float(), scale.float())
