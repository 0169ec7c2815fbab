"""Hashing: what a checkpoint says of a HashingVAE -> its codes of documents, by torch alone, without Lightning."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import torch
from jaxtyping import Bool
from jsonargparse import ArgumentParser
from torch import Tensor, nn
from torch.optim import Adam, Optimizer
from torch.optim.lr_scheduler import LRScheduler

from vae_lightning.answers.kept import kept_preparation
from vae_lightning.conditional import Conditional, Network
from vae_lightning.construction.specification import INSTANTIATOR
from vae_lightning.counts import Counts
from vae_lightning.data.preparation import Preparation, Unprepared
from vae_lightning.distributions import parameters
from vae_lightning.families import Bernoulli, Multinomial
from vae_lightning.latent_variable import LatentVariableModel
from vae_lightning.nn import BagOfWordsMLP, WordLogits
from vae_lightning.objectives import Objective
from vae_lightning.priors import FactorisedPrior
from vae_lightning.trust import Trust, one_line

CHUNK_DOCUMENTS = 1024  # encoded at once

_NAMES = ("vae_lightning.models.HashingVAE", "vae_lightning.models.hashing.HashingVAE")


@runtime_checkable
class Encodes(Protocol):
    """Gives each document a code of bits."""

    @property
    def device(self) -> torch.device:
        """Where documents have to be."""

    def hashes(self, x: Counts) -> Bool[Tensor, "rows bits"]:
        """The most probable code of each."""


def text_model(num_bits: int, num_words: int, encoder: Network, decoder: Network) -> LatentVariableModel:
    """Bits z, of which each word of a document x is drawn."""
    bits, words = Bernoulli(num_bits), Multinomial(num_words)
    return LatentVariableModel(
        Conditional(bits, words.event_shape, encoder),
        Conditional(words, bits.event_shape, decoder),
        FactorisedPrior(bits),
    )


def most_probable(model: LatentVariableModel, x: Counts, device: torch.device) -> Bool[Tensor, "rows bits"]:
    """The most probable code of each document, in full precision."""
    with torch.no_grad(), torch.autocast(device.type, enabled=False):
        (logits,) = parameters(model.encoder(x))
        return logits > 0


class Hashing(nn.Module):
    """A trained HashingVAE that only hashes; its arguments are all of a HashingVAE's, of which training's go unused.

    Examples:
        >>> from pathlib import Path
        >>> from vae_lightning.answers.hashing import Hashing
        >>> from vae_lightning.trust import read_unbuilt
        >>> file = Path("checkpoints/newsgroups-8bit.ckpt")
        >>> hashing = Hashing.of(read_unbuilt(file), file)
        >>> hashing.hashes(hashing.read_by.read(["the space shuttle"]).observations.x).shape
        torch.Size([1, 8])
    """

    length_parameters: Tensor

    def __init__(
        self,
        num_bits: int = 8,
        num_words: int = 0,
        encoder: Network = BagOfWordsMLP,
        decoder: Network = WordLogits,
        objective: Objective | None = None,
        optimizer: Callable[[Iterable[Any]], Optimizer] = Adam,
        scheduler: Callable[[Optimizer], LRScheduler] | None = None,
        evaluation_samples: int = 1,
    ) -> None:
        super().__init__()
        self.model = text_model(num_bits, num_words, encoder, decoder)
        self.register_buffer("length_parameters", torch.zeros(2))
        self.read_by: Preparation = Unprepared()

    @classmethod
    def of(cls, content: Mapping[str, Any], path: Path) -> Hashing | None:
        """That of a checkpoint; None for one that does not say in its plainest form that it is of a HashingVAE.

        None, too, for one that cannot be built or is not to be trusted: `loading.load`, which takes all checkpoints,
        says what is wrong. Of the training data nothing is built, so that what the checkpoint says of them is not
        looked at.
        """
        said = dict(content.get("hyper_parameters", {}))
        named = said.pop("_class_path", None), said.pop("_instantiator", None)
        if named not in [(name, INSTANTIATOR) for name in _NAMES] or content.get("specified"):
            return None
        try:
            Trust().check_arguments(cls, said, "")
            with one_line(path):
                return cls._built(said, content, path)
        except ValueError:
            return None

    @classmethod
    def _built(cls, said: Mapping[str, Any], content: Mapping[str, Any], path: Path) -> Hashing:
        """As Lightning builds a module of class paths."""
        parser = ArgumentParser(exit_on_error=False)
        parser.add_class_arguments(cls, "model", fail_untyped=False)
        built: Hashing = parser.instantiate(parser.parse_object({"model": said})).model
        built.load_state_dict(content["state_dict"])
        built.read_by = kept_preparation(content, path) or built.read_by
        return built.eval()

    @property
    def observed_shape(self) -> tuple[int, ...]:
        """(), of a bag of words."""
        return ()

    @property
    def device(self) -> torch.device:
        """Where documents have to be."""
        return self.length_parameters.device

    def hashes(self, x: Counts) -> Bool[Tensor, "rows bits"]:
        """The most probable code of each document."""
        return most_probable(self.model, x, self.device)
