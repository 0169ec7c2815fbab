"""Consistency: log-weights, natural parameters and posteriors -> how far a VAE is from a harmonium."""

from __future__ import annotations

from typing import Any

from jaxtyping import Float
from torch import Tensor
from torchmetrics import Metric

from vae_lightning.metrics.affine_fit import AffineFit, Pairs
from vae_lightning.metrics.functional.importance import effective_sample_size, importance_weighted_bound
from vae_lightning.metrics.means import MeanWithError, with_errors
from vae_lightning.metrics.tightness import Tightness


class Mismatch(MeanWithError):
    """E_x[L_K - L_1], both of the same K samples: a lower bound in expectation on E_x KL(q(z | x) || p(z | x)).

    In nats, never negative; it is near to the mismatch where the effective sample size is not near to one.
    """

    higher_is_better = False

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(("mismatch", "mismatch_effective_sample_size"), **kwargs)

    def update(self, log_weight: Float[Tensor, "samples batch"]) -> None:
        """Add log p(x, z) / q(z | x) of a batch, (K, B)."""
        log_weight = log_weight.double()
        difference = importance_weighted_bound(log_weight) - log_weight.mean(0)
        size = effective_sample_size(log_weight)
        self.add({"mismatch": difference, "mismatch_effective_sample_size": size})

    def compute(self) -> dict[str, Tensor]:
        """Means over the observations, and their standard errors as `..._error`, over data and samples together."""
        return with_errors(self.estimates())


class Consistency(Metric):
    """The figures of consistency: the mismatch, and whatever else applies to a model.

    Each part is a metric of its own that merges its batches and processes.

    Args:
        decoder: takes statistics of z, natural parameters of p(x | z) and statistics of x; if it applies.
        encoder: takes statistics of x, natural parameters of q(z | x) and statistics of z; if it applies.
        tightness: takes both posteriors of every code, of a model with few of them.

    Examples:
        >>> import torch
        >>> from vae_lightning.metrics import Consistency
        >>> metric = Consistency()
        >>> metric.update(torch.full((10, 5), -3.0))  # equal weights: q is the posterior
        >>> metric.compute()["mismatch"].item()
        0.0
    """

    is_differentiable = False
    full_state_update = False

    def __init__(
        self,
        decoder: AffineFit | None = None,
        encoder: AffineFit | None = None,
        tightness: Tightness | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.mismatch = Mismatch(**kwargs)
        self.decoder, self.encoder, self.tightness = decoder, encoder, tightness

    def update(
        self,
        log_weight: Float[Tensor, "samples batch"] | None = None,
        decoder: Pairs | None = None,
        encoder: Pairs | None = None,
        posteriors: tuple[Tensor, Tensor] | None = None,
    ) -> None:
        """Add what is known of a batch, or of a part of it; ValueError for what there is no part for.

        Args:
            log_weight: log p(x, z) / q(z | x) of K samples, (K, B).
            decoder: pairs for the decoder's fit.
            encoder: pairs for the encoder's fit.
            posteriors: log q(z | x) and log p(z | x) for every code, (codes, B) each.
        """
        given: dict[str, tuple[object, object]] = {
            "decoder": (decoder, self.decoder),
            "encoder": (encoder, self.encoder),
        }
        given |= {"tightness": (posteriors, self.tightness)}
        if unwanted := [name for name, (value, part) in given.items() if value is not None and part is None]:
            raise ValueError(f"Consistency was built without {' and '.join(unwanted)}: give it the metric of that name")
        if log_weight is not None:
            self.mismatch.update(log_weight)
        if self.decoder is not None and decoder is not None:
            self.decoder.update(decoder)
        if self.encoder is not None and encoder is not None:
            self.encoder.update(encoder)
        if self.tightness is not None and posteriors is not None:
            self.tightness.update(*posteriors)

    def compute(self) -> dict[str, Tensor]:
        """`mismatch` with its effective sample size, `decoder_r2`, `encoder_r2`, and `epsilon`, `alpha` and bound."""
        figures = dict(self.mismatch.compute())
        for side, fit in {"decoder": self.decoder, "encoder": self.encoder}.items():
            if fit is not None:
                figures |= {f"{side}_{name}": value for name, value in fit.compute().items()}
        return figures if self.tightness is None else figures | self.tightness.compute()

    def reset(self) -> None:
        """Reset all parts."""
        super().reset()
        for part in (self.mismatch, self.decoder, self.encoder, self.tightness):
            if part is not None:
                part.reset()
