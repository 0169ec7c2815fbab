"""What the study of priors runs by itself: a VAE of digits with a prior and an objective."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from vae_lightning.estimators import Reparameterised
from vae_lightning.families import Normal
from vae_lightning.objectives import ELBO, IWAE, AnalyticELBO, Objective
from vae_lightning.priors import AggregatedPosterior, FactorisedPrior, MixturePrior, Prior, VampPrior

LATENT, IMAGE = 16, (1, 8, 8)
SAMPLES = 100  # of z for each digit: what the ELBO and its terms are averages over
TERMS = ("reconstruction", "mutual_information", "marginal_kl")
"""Their sum is the NELBO."""


@dataclass(frozen=True)
class PriorsSize:
    """How much is computed at a scale."""

    epochs: int
    seeds: int
    samples: int  # K of the test log-likelihood


@dataclass(frozen=True)
class Cell:
    """A name, and what makes its objective and its prior."""

    name: str
    make: Callable[[], tuple[Objective, Prior]]

    @property
    def path(self) -> str:
        """The name as that of a folder."""
        return self.name.replace(" ", "-").replace(",", "").replace("=-", "")


def _normal() -> Prior:
    return FactorisedPrior(Normal(LATENT))


CELLS = (
    Cell("standard normal", lambda: (AnalyticELBO(Reparameterised()), _normal())),
    Cell("mixture of 50", lambda: (ELBO(Reparameterised()), MixturePrior(Normal(LATENT), 50))),
    Cell("VampPrior of 100", lambda: (ELBO(Reparameterised()), VampPrior(LATENT, IMAGE, 100))),
    Cell("aggregated posterior of 500", lambda: (ELBO(Reparameterised()), AggregatedPosterior(LATENT, IMAGE, 500))),
    Cell("IWAE, K = 1", lambda: (IWAE(Reparameterised(1)), _normal())),
    Cell("IWAE, K = 5", lambda: (IWAE(Reparameterised(5)), _normal())),
    Cell("IWAE, K = 50", lambda: (IWAE(Reparameterised(50)), _normal())),
)
