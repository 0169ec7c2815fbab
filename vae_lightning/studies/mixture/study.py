"""The artificial example (VAE Approximation Error, 2022, section 4.1): what a factorised encoder does to a decoder."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import lightning.pytorch as pl
from matplotlib.figure import Figure

from vae_lightning.data.processes import GaussianMixture
from vae_lightning.studies.base import Study
from vae_lightning.studies.mixture.exact import Exact
from vae_lightning.studies.mixture.models import mixture_mrf, mixture_rbm, mixture_vae
from vae_lightning.studies.mixture.pictures import mixture_picture
from vae_lightning.studies.mixture.training import Trained, train
from vae_lightning.studies.names import Scale
from vae_lightning.studies.provenance import Settings
from vae_lightning.studies.report import Row

PHASE_EPOCHS: dict[Scale, int] = {"quick": 3, "medium": 6, "full": 60}
"""Epochs of a VAE's pre-training, and as many of its joint training; of the RBM's only training."""

NO_PAPER = (None, None, None, None)
PAPER = (-3.74, -3.70, -3.68, 0.03)
"""Appendix C.1, of the factorised encoder."""


@dataclass(frozen=True)
class Models:
    """What was trained on the process."""

    process: GaussianMixture
    factorised: Trained
    coupled: Trained
    rbm: Trained


class MixtureStudy(Study[int, Models]):
    """Pre-train each encoder on the true decoder, then train both together; train an RBM; judge all by quadrature.

    The size is the number of epochs of a phase.
    """

    title = "Artificial example (VAE Approximation Error, section 4.1)"
    sizes = PHASE_EPOCHS

    def find(self, out: Path) -> Models:
        """Three models, trained one after another."""
        process, epochs, logs = GaussianMixture(), self.size, out / "tensorboard"
        pl.seed_everything(self.seed, verbose=False)
        return Models(
            process,
            train(mixture_vae(process, epochs), process, epochs, self.seed, logs),
            train(mixture_mrf(process, epochs), process, epochs, self.seed, logs / "mrf"),
            train(mixture_rbm(process, epochs), process, epochs, self.seed, logs / "rbm"),
        )

    def rows(self, found: Models) -> list[Row]:
        """Our figures beside those of the paper, which has none for the MRF encoder and the RBM."""
        nodes, weights = found.process.quadrature()
        truth = float(weights @ found.process.log_prob(nodes))
        likelihood = found.rbm.history[-1].log_likelihood
        rbm = partial(Row, "RBM, maximum likelihood", stderr=0.0, unit="nats", paper=None)
        return [
            Row("ground truth", "log_likelihood", truth, 0.0, -3.65, "nats"),
            *rows_of_vae("", truth, found.factorised.history, PAPER),
            *rows_of_vae("MRF ", truth, found.coupled.history, NO_PAPER),
            rbm("log_likelihood", likelihood),
            rbm("approximation_error", truth - likelihood),
        ]

    def pictures(self, found: Models) -> dict[str, Figure]:
        """The paper's Fig. 2."""
        models = (trained.model for trained in (found.factorised, found.coupled, found.rbm))
        return {"figure2": mixture_picture(found.process, *models)}

    def settings(self, found: Models) -> Settings:
        """The seed, and the steps of each model."""
        return {"seed": self.seed, "steps": f"{found.factorised.steps} a VAE, {found.rbm.steps} the RBM"}


def rows_of_vae(name: str, truth: float, history: Sequence[Exact], papers: Sequence[float | None]) -> list[Row]:
    """Four figures of a VAE: two at the end of the first phase, which is half of its history, two at its end."""
    pretrained, joint = history[len(history) // 2 - 1], history[-1]
    fixed, both = f"{name}encoder pre-trained, decoder fixed", f"{name}encoder and decoder trained"
    figures = [
        (fixed, "elbo", pretrained.elbo),
        (both, "elbo", joint.elbo),
        (both, "log_likelihood", joint.log_likelihood),
        (both, "approximation_error", truth - joint.log_likelihood),
    ]
    return [Row(*figure, 0.0, paper, "nats") for figure, paper in zip(figures, papers, strict=True)]
