"""Joint trainings: a row of the table each, of models that begin as the ground truth and the encoder fitted to it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from vae_lightning.estimators import Reparameterised
from vae_lightning.objectives import AnalyticELBO, Objective
from vae_lightning.priors import Prior
from vae_lightning.studies.celeba.beyond.codes import Codes, Independent
from vae_lightning.studies.celeba.sigma import KnownSigma, LearnedSigma, Sigma


def _elbo() -> Objective:
    return AnalyticELBO(Reparameterised())


def _standard(latent: int, image: Sequence[int]) -> Prior | None:
    return None


@dataclass(frozen=True)
class Joint:
    """What is trained on samples of the ground truth, from its decoder and the encoder fitted to it, and how.

    Args:
        name: of the table's row.
        sigma: the noise of p(x | z), and whether it learns.
        objective: makes what is maximised.
        prior: makes p(z) of so many latents, for images of a shape; None for the standard normal one.
        codes: the family of q(z | x); its encoder is fitted to the ground truth first.
        held: parts of the module that do not learn, such as `model.decoder`.
        share: it sees one in so many of the images that others see.
        batch: images of a batch; None for as many as others have.
        beta: the weight of the KL, of those that make the curve of the trade-off.
        paper: the figures of the paper's Table 1, by metric.
    """

    name: str
    sigma: Sigma = field(default_factory=KnownSigma)
    objective: Callable[[], Objective] = _elbo
    prior: Callable[[int, Sequence[int]], Prior | None] = _standard
    codes: Codes = field(default_factory=Independent)
    held: tuple[str, ...] = ()
    share: int = 1
    batch: int | None = None
    beta: float | None = None
    paper: Mapping[str, float] = field(default_factory=dict, hash=False)

    def epochs(self, of_all: int) -> int:
        """Of training, where others have so many."""
        return max(1, of_all // self.share)

    @property
    def settings(self) -> dict[str, int]:
        """What sets its training apart, beside the name, from that of the paper's."""
        batch = {} if self.batch is None else {"joint batch": self.batch}
        return batch if self.share == 1 else {**batch, "share": self.share}

    @property
    def path(self) -> str:
        """The name as that of a folder."""
        return self.name.replace(",", "").replace("=", "").replace(" ", "-")


JOINTS = (
    Joint("joint, fixed sigma", beta=1.0, paper={"elbo": -5898.94, "fid": 77.10}),
    Joint("joint, learned sigma", LearnedSigma(), paper={"elbo": 9035.69, "fid": 117.87}),
)
"""The paper's; further ones are in `beyond.models`."""
