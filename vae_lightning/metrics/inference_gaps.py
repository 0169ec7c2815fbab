"""InferenceGaps: log-likelihoods and ELBOs of observations -> mean gaps, on any number of processes."""

from __future__ import annotations

from typing import Any

from jaxtyping import Float
from torch import Tensor

from vae_lightning.metrics.means import MeanWithError, with_errors


class InferenceGaps(MeanWithError):
    """The means over the data of the approximation and the amortisation gap, in nats, with standard errors.

        log p(x) - ELBO(q_phi)  =  log p(x) - ELBO(q*)  +  ELBO(q*) - ELBO(q_phi)

    with q* the best posterior of the encoder's family for each observation.
    Source: Cremer, Li, Duvenaud, Inference Suboptimality in Variational Autoencoders (2018), Eqs 5 and 6.

    Examples:
        >>> import torch
        >>> from vae_lightning.metrics import InferenceGaps
        >>> metric = InferenceGaps()
        >>> metric.update(torch.tensor([-1.0, -1.0]), torch.tensor([-1.5, -1.5]), torch.tensor([-3.0, -3.0]))
        >>> figures = metric.compute()
        >>> figures["approximation_gap"].item(), figures["amortisation_gap"].item()
        (0.5, 1.5)
    """

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(("approximation_gap", "amortisation_gap"), **kwargs)

    def update(
        self,
        log_likelihood: Float[Tensor, " batch"],
        optimised: Float[Tensor, " batch"],
        amortised: Float[Tensor, " batch"],
    ) -> None:
        """Add log p(x), ELBO(q*) and ELBO(q_phi) of a batch, one value per observation."""
        gaps = {"approximation_gap": log_likelihood - optimised, "amortisation_gap": optimised - amortised}
        self.add(gaps)

    def compute(self) -> dict[str, Tensor]:
        """`approximation_gap` and `amortisation_gap`, each with its `..._error`."""
        return with_errors(self.estimates())
