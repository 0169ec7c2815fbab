"""Incomplete: a model of complete observations -> the same model of those whose entries may be missing (NaN)."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Size, Tensor
from torch.distributions import Distribution

from vae_lightning.conditional import OfFamily
from vae_lightning.counts import Counts
from vae_lightning.distributions import observed_part
from vae_lightning.latent_variable import ConditionalLike, LatentVariableModel


class Incomplete:
    """A model as importance sampling asks it, of rows that may have missing entries; it shares the model's parts.

    The encoder sees zeros for what is missing; log p(x | z) is of the observed entries alone. Where the encoder never
    saw such rows its q is a poor proposal: the weights make up for that, and their effective sample size tells.
    """

    def __init__(self, model: LatentVariableModel) -> None:
        self.encoder: ConditionalLike = _Adapted(model.encoder, before=_filled)
        self.decoder: ConditionalLike = _Adapted(model.decoder, after=observed_part)
        self.prior = model.prior

    def log_likelihood(self, x: Tensor | Counts, z: Tensor) -> Tensor:
        """Log p(x | z) of what is observed, (S, B)."""
        return self.decoder(z).log_prob(x)  # type: ignore[arg-type]  # a bag of words takes Counts


def incomplete(model: LatentVariableModel, x: Tensor | Counts) -> LatentVariableModel | Incomplete:
    """The model itself, unless x has missing entries and the model's family takes none."""
    decoder = model.decoder
    if isinstance(x, Counts) or not x.isnan().any():
        return model
    if isinstance(decoder, OfFamily) and decoder.family.takes_missing:
        return model
    observed_part(decoder.prototype())  # TypeError now, not in the midst of it
    return Incomplete(model)


class _Adapted:
    """A conditional whose context passes through `before`, and whose distribution through `after`."""

    def __init__(
        self,
        part: ConditionalLike,
        before: Callable[[Tensor | Counts], Tensor | Counts] = lambda c: c,
        after: Callable[[Distribution], Distribution] = lambda p: p,
    ) -> None:
        self.part, self.before, self.after = part, before, after
        self.context_shape = part.context_shape

    @property
    def event_shape(self) -> Size:
        return self.part.event_shape

    def prototype(self) -> Distribution:
        return self.after(self.part.prototype())

    def __call__(self, c: Tensor | Counts) -> Distribution:
        return self.after(self.part(self.before(c)))


def _filled(x: Tensor | Counts) -> Tensor | Counts:
    return x if isinstance(x, Counts) else torch.where(x.isnan(), 0.0, x)
