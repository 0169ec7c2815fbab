"""CollapseWatch: says when the code stops telling anything of the observation."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import asdict, dataclass
from typing import Any

import lightning.pytorch as pl
from lightning.pytorch.utilities import rank_zero_warn

from vae_lightning import metrics
from vae_lightning.batches import Batch
from vae_lightning.callbacks.base import Diagnostic
from vae_lightning.callbacks.mode_collapse import SampleWatch
from vae_lightning.callbacks.reporting import logged_step, occasion, tensorboard
from vae_lightning.callbacks.requirements import check_size, require_latent_variable_model, require_mean
from vae_lightning.latent_variable import Draw
from vae_lightning.models.protocols import part
from vae_lightning.objectives import Objective

PATIENCE = 3
"""Reports in a row that are better before something counts as over: near a threshold figures go up and down."""

WAY_OUT = "try beta < 1 or annealed from 0, free bits, a weaker decoder, a learned decoder noise, or a learned prior"


@dataclass(frozen=True)
class Symptoms:
    """What collapse is told by; rates in nats."""

    rate: float
    rate_error: float
    mutual_information: float
    mutual_information_error: float
    active: int
    units: int
    nats: float
    share: float

    way_out = WAY_OUT

    @property
    def severity(self) -> int:
        """0 for no collapse, 1 for a partial one, 2 for a whole."""
        return 2 * self.whole + self.partial

    @property
    def figures(self) -> dict[str, float]:
        """What is logged."""
        return {"collapsed": float(self.whole), "inactive_units_fraction": self.inactive_fraction}

    @property
    def whole(self) -> bool:
        """Whether any of them says that the code tells nothing."""
        return self.rate < self.nats or self.mutual_information < self.nats or self.active == 0

    @property
    def partial(self) -> bool:
        """Whether too many units tell nothing."""
        return not self.whole and self.inactive_fraction > self.share

    @property
    def inactive_fraction(self) -> float:
        """The share of units that are not active."""
        return 1 - self.active / self.units

    def __str__(self) -> str:
        kind = "posterior collapse" if self.whole else "partial posterior collapse" if self.partial else "no collapse"
        rate = self._told("rate", self.rate, self.rate_error)
        information = self._told("mutual information", self.mutual_information, self.mutual_information_error)
        return f"{kind}: {rate}, {information}, {self.active} of {self.units} latent units active"

    def _told(self, name: str, nats: float, error: float) -> str:
        near = f" (near 0: below {self.nats:g})" if nats < self.nats else ""
        return f"{name} {round(nats, 3) + 0.0:.3f} +- {error:.3f} nats{near}"


@dataclass
class Course:
    """How bad a split has been of late: 0 healthy, 1 partial collapse, 2 collapse."""

    severity: int = 0
    better: int = 0  # reports in a row that were
    partial_told: bool = False

    def follow(self, now: int) -> tuple[bool, bool]:
        """Take in a report, at once for the worse, after `PATIENCE` for the better: (did it change, is it to be told).

        To be told is what begins: each collapse, and the first partial one.
        """
        before = self.severity
        self.better = self.better + 1 if now < before else 0
        if now >= before or self.better == PATIENCE:
            self.severity, self.better = now, 0
        worse = self.severity > before
        told = worse and (now == 2 or not self.partial_told)
        self.partial_told |= worse and now == 1
        return self.severity != before, told


class CollapseWatch(Diagnostic):
    """Warns when the posterior collapses: when q(z | x) comes to be the same for every x, and z tells nothing of it.

    Read together, since each alone misleads:

        rate = E_x KL(q(z | x) | p(z))      what the code costs; near 0, q has become the prior
        mutual information I_q(n; z)        what the code tells; near 0 although there is a rate: q is the same for all
                                            x, but is not the prior
        active units                        how many have a posterior mean that varies over the data, as `ActiveUnits`

    Logs `collapsed`, 1 if the rate or the mutual information is below `nats` or no unit is active, else 0, and
    `inactive_units_fraction`. One line is printed, and TensorBoard gets the text `collapse`, when a collapse begins,
    not at every epoch of it; TensorBoard also when it ends, which is when three reports in a row were better. A partial
    collapse, more than `inactive_share` of the units not being active, is printed once a run: the model then has more
    units than it uses, which is harmless where the likelihood is as high as it should be. In the first epochs a code
    that does not tell anything yet looks the same.

    Rate and mutual information are by the evaluation's own samples on the split's first `limit` observations, with
    standard errors, as `ELBOSurgery` says; the units by all of them. It needs no other callback. Costs limit^2
    densities of q: 10 ms for 1,000. TypeError at setup for posteriors other than independent Gaussians and bits.

    A model whose encoder rests, trained by `Adversarial` alone, is watched for mode collapse instead: `sample_spread`
    is the total variance of E[x | z], z from the prior, over that of the data; `collapsed` is 1 where it is below 1/4.
    Samples of some modes alone may be as far apart as the data: `SmoothKNN` sees those.

    Source: Bowman et al., Generating Sentences from a Continuous Space (2016); He et al., Lagging Inference Networks
    and Posterior Collapse in Variational Autoencoders (2019); Burda et al., Importance Weighted Autoencoders (2016).

    Args:
        nats: below this a rate or mutual information is near 0.
        threshold: on the variance of a unit's posterior mean, above which it is active.
        inactive_share: the share of inactive units above which a collapse is called partial.
        limit: observations for rate and mutual information.
        every_n_epochs: in `fit`, watch the validation of every n-th epoch; `validate` and `test` always.
    """

    def __init__(
        self,
        nats: float = 0.1,
        threshold: float = 0.01,
        inactive_share: float = 0.5,
        limit: int = 1_000,
        every_n_epochs: int = 5,
    ) -> None:
        super().__init__(every_n_epochs)
        if not nats > 0:
            raise ValueError(f"CollapseWatch needs nats > 0, below which a rate is near 0; got {nats}")
        if not 0 <= inactive_share <= 1:
            raise ValueError(f"CollapseWatch needs 0 <= inactive_share <= 1, a share of units; got {inactive_share}")
        self.nats, self.inactive_share = nats, inactive_share
        self.units, self.surgery = metrics.ActiveUnits(threshold), metrics.ELBOSurgery(limit=limit)
        self.of_samples: SampleWatch | None = None  # in place of codes
        self._courses: defaultdict[str, Course] = defaultdict(Course)

    def setup(self, trainer: pl.Trainer, pl_module: pl.LightningModule, stage: str) -> None:
        """Say before the first epoch, not after it, that a posterior cannot be watched."""
        posterior = require_latent_variable_model(self, pl_module).encoder.prototype()
        objective, self.of_samples = part(pl_module, "objective"), None
        if isinstance(objective, Objective) and not objective.fits_encoder:
            self.of_samples = SampleWatch()
            return
        self.surgery.expect(posterior, "CollapseWatch")
        require_mean(self, posterior)
        check_size(self, trainer, stage, 2)

    def begin(self, trainer: pl.Trainer, module: pl.LightningModule) -> None:
        """Reset what is watched."""
        if self.of_samples is not None:
            self.of_samples.begin(module.device)
        for metric in (self.units, self.surgery):
            metric.to(module.device).reset()

    def observe(self, trainer: pl.Trainer, module: pl.LightningModule, draw: Draw, batch: Batch) -> None:
        """Add the batch."""
        if self.of_samples is not None:
            self.of_samples.observe(require_latent_variable_model(self, module), draw)
            return
        self.units.update(draw.posterior.mean)
        self.surgery.update(draw.posterior, draw.prior, draw.z)

    def report(self, trainer: pl.Trainer, module: pl.LightningModule, split: str) -> None:
        """Log, and tell what has changed."""
        symptoms = self.symptoms() if self.of_samples is None else self.of_samples.symptoms()
        module.log_dict({f"{split}/{name}": value for name, value in symptoms.figures.items()}, sync_dist=True)
        now = symptoms.severity
        changed, begun = self._courses[f"{trainer.state.fn}/{split}"].follow(now)
        told = f"{occasion(trainer, split)}: {symptoms}" + (f"; {symptoms.way_out}" if now else "")
        if begun:
            rank_zero_warn(told)
        if changed and (writer := tensorboard(trainer)):
            writer.add_text(f"{split}/collapse", told, logged_step(trainer))

    def state_dict(self) -> dict[str, Any]:
        """What has been told, so that a resumed run does not tell it again."""
        return {when: asdict(course) for when, course in self._courses.items()}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Go on from there."""
        self._courses.update({when: Course(**course) for when, course in state_dict.items()})

    def symptoms(self) -> Symptoms:
        """The symptoms of the split so far, over all processes."""
        units, surgery = self.units.units(), self.surgery.compute()
        names = ("rate", "rate_error", "mutual_information", "mutual_information_error")
        return Symptoms(
            **{name: float(surgery[name]) for name in names},
            active=int(units.count),
            units=len(units.variances),
            nats=self.nats,
            share=self.inactive_share,
        )
