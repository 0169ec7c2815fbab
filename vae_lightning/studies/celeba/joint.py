"""Joint trainings: a row of the table each, of models that begin as the ground truth and the encoder fitted to it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from vae_lightning.estimators import Reparameterised
from vae_lightning.objectives import AnalyticELBO, Objective
from vae_lightning.priors import Prior
from vae_lightning.studies.celeba.sigma import KnownSigma, LearnedSigma, Sigma


def _elbo() -> Objective:
    return AnalyticELBO(Reparameterised())


def _standard(latent: int) -> Prior | None:
    return None


@dataclass(frozen=True)
class Joint:
    """What is trained on samples of the ground truth, from its decoder and the encoder fitted to it, and how.

    Args:
        name: of the table's row.
        sigma: the noise of p(x | z), and whether it learns.
        objective: makes what is maximised.
        prior: makes p(z) of so many latents; None for the standard normal one.
        held: parts of the module that do not learn, such as `model.decoder`.
        paper: the figures of the paper's Table 1, by metric.
    """

    name: str
    sigma: Sigma = field(default_factory=KnownSigma)
    objective: Callable[[], Objective] = _elbo
    prior: Callable[[int], Prior | None] = _standard
    held: tuple[str, ...] = ()
    paper: Mapping[str, float] = field(default_factory=dict, hash=False)

    @property
    def path(self) -> str:
        """The name as that of a folder."""
        return self.name.replace(",", "").replace("=", "").replace(" ", "-")


JOINTS = (
    Joint("joint, fixed sigma", paper={"elbo": -5898.94, "fid": 77.10}),
    Joint("joint, learned sigma", LearnedSigma(), paper={"elbo": 9035.69, "fid": 117.87}),
)
"""The paper's; a further model is one more of these."""
