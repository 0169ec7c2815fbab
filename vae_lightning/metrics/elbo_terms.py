"""ELBOTerms: log-densities of codes drawn from q -> the terms of both readings of the ELBO, with errors."""

from __future__ import annotations

from jaxtyping import Float
from torch import Tensor

from vae_lightning.metrics.means import MeanWithError, with_errors


class ELBOTerms(MeanWithError):
    """The ELBO's terms, means over observations in nats with standard errors: as energy and entropy, and for each x.

        ELBO = E_q[log p(x, z)] + H[q(z | x)]  =  -reconstruction - rate
               negative_energy    entropy

    in averages over the given samples of log p(x | z) + log p(z), of -log q(z | x) and of -log p(x | z). Of codes on a
    continuous scale the entropy is differential: it may be negative, and moves with the scale of z, as the energy does.
    Source: Hoffman, Johnson, ELBO Surgery: yet another way to carve up the variational evidence lower bound (2016),
    Sec. 2.

    Examples:
        >>> import torch
        >>> from vae_lightning.metrics import ELBOTerms
        >>> terms, fair = ELBOTerms(), torch.full((10, 5), 0.5).log()  # ten samples of five observations, one fair bit
        >>> terms.update(log_likelihood=torch.full((10, 5), -3.0), log_prior=fair, log_posterior=fair)
        >>> {name: round(value.item(), 4) for name, value in terms.compute().items() if not name.endswith("error")}
        {'reconstruction': 3.0, 'negative_energy': -3.6931, 'entropy': 0.6931}
    """

    def __init__(self) -> None:
        super().__init__(("reconstruction", "negative_energy", "entropy"))

    def update(
        self,
        log_likelihood: Float[Tensor, "samples batch"],
        log_prior: Float[Tensor, "samples batch"],
        log_posterior: Float[Tensor, "samples batch"],
    ) -> None:
        """Add a batch: log p(x | z), log p(z) and log q(z | x), in nats."""
        reconstruction = -log_likelihood.mean(0)
        energy = log_prior.double().mean(0) - reconstruction.double()
        self.add(
            {"reconstruction": reconstruction, "negative_energy": energy, "entropy": -log_posterior.double().mean(0)}
        )

    def compute(self) -> dict[str, Tensor]:
        """Each term by name, and its error as `name_error`."""
        return with_errors(self.estimates())
