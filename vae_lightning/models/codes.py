"""Codes of bits: many documents, or an evaluated batch -> the most probable code of each."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from jaxtyping import Bool
from torch import Tensor

from vae_lightning.answers.hashing import CHUNK_DOCUMENTS, Encodes
from vae_lightning.counts import Counts
from vae_lightning.distributions import as_bits
from vae_lightning.latent_variable import Draw
from vae_lightning.models.rbm import Evaluated


def encode_all(model: Encodes, x: Counts) -> Iterator[Bool[Tensor, "chunk bits"]]:
    """The codes of many documents, on the model's device, a chunk at a time."""
    for rows in torch.arange(len(x)).split(CHUNK_DOCUMENTS):
        yield model.hashes(x.select(rows).to(model.device))


def codes_in(draw: Draw | Evaluated, model: Encodes) -> Bool[Tensor, "rows bits"]:
    """The codes of an evaluated batch: read off its posterior, or encoded if that is not of independent bits."""
    if isinstance(draw, Draw) and (bits := as_bits(draw.posterior)) is not None:
        return bits.logits > 0
    assert isinstance(draw.x, Counts), "documents are sparse"
    return model.hashes(draw.x)
