"""What the study of priors runs by itself: a VAE of digits, and what is watched of it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

from lightning.pytorch.callbacks import Callback

from vae_lightning.callbacks import ActiveUnits, ELBOSurgery
from vae_lightning.conditional import Network
from vae_lightning.estimators import Reparameterised
from vae_lightning.families import Normal
from vae_lightning.models.latent_variable import LatentVariableModule
from vae_lightning.objectives import ELBO, IWAE, AnalyticELBO
from vae_lightning.priors import AggregatedPosterior, FactorisedPrior, MixturePrior, Prior, VampPrior
from vae_lightning.studies.priors.models import HIDDEN, IMAGE, LATENT, PIXELS, one_level, two_levels

TERMS = ("reconstruction", "mutual_information", "marginal_kl")
"""Their sum is the NELBO."""


@dataclass(frozen=True)
class PriorsSize:
    """How much is computed at a scale."""

    epochs: int
    seeds: int
    samples: int  # K of the test log-likelihood
    validate_every: int = 10  # epochs


def _cut() -> list[Callback]:
    return [ELBOSurgery(every_n_epochs=1), ActiveUnits(every_n_epochs=1)]


@dataclass(frozen=True)
class Cell:
    """A name, what builds its model for so many epochs, what is watched, and the terms that sum to its NELBO."""

    name: str
    build: Callable[[int], LatentVariableModule]
    diagnostics: Callable[[], list[Callback]] = _cut
    terms: Sequence[str] = TERMS

    @property
    def path(self) -> str:
        """The name as that of a folder."""
        return self.name.replace(" ", "-").replace(",", "").replace("=-", "")


def _normal() -> Prior:
    return FactorisedPrior(Normal(LATENT))


def _two_levels(name: str, decoder: Network) -> Cell:
    """Whose posteriors have neither a mean, as active units need, nor the natural form that surgery sums over."""
    return Cell(name, partial(two_levels, decoder), list, ("reconstruction", "kl"))


CELLS = (
    Cell("standard normal", lambda _: one_level(AnalyticELBO(Reparameterised()), _normal())),
    Cell("mixture of 50", lambda _: one_level(ELBO(Reparameterised()), MixturePrior(Normal(LATENT), 50))),
    Cell("VampPrior of 100", lambda _: one_level(ELBO(Reparameterised()), VampPrior(LATENT, IMAGE, 100))),
    Cell(
        "aggregated posterior of 500",
        lambda _: one_level(ELBO(Reparameterised()), AggregatedPosterior(LATENT, IMAGE, 500)),
    ),
    Cell("IWAE, K = 1", lambda _: one_level(IWAE(Reparameterised(1)), _normal())),
    Cell("IWAE, K = 5", lambda _: one_level(IWAE(Reparameterised(5)), _normal())),
    Cell("IWAE, K = 50", lambda _: one_level(IWAE(Reparameterised(50)), _normal())),
    _two_levels("HVAE", HIDDEN),
    _two_levels("PixelHVAE", PIXELS),
)
