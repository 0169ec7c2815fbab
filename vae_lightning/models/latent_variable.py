"""LatentVariableModule: what every trained latent-variable model shares: bound, evaluation, terms that fail."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import torch
import torch.distributions as td
from lightning.pytorch.cli import LRSchedulerCallable, OptimizerCallable
from lightning.pytorch.utilities import rank_zero_warn
from lightning.pytorch.utilities.types import OptimizerLRScheduler
from torch import Size, Tensor, nn
from torch.distributions import Distribution

from vae_lightning.batches import Batch, observations
from vae_lightning.conditional import Conditional
from vae_lightning.counts import Counts
from vae_lightning.data.loaders import Observations
from vae_lightning.data.protocols import HasTraining, observed_shape
from vae_lightning.decoders import Autoregressive
from vae_lightning.distributions import Unnormalised, component, mean_code, sample
from vae_lightning.families import ExponentialFamily
from vae_lightning.inference import Imputed, Scores, imputed, scores
from vae_lightning.latent_variable import Draw, LatentVariableModel
from vae_lightning.models.failure import NotFinite
from vae_lightning.models.optimizers import at_rates
from vae_lightning.models.reproducible import ReproducibleModule
from vae_lightning.nn import StartsFromData
from vae_lightning.objectives import Objective
from vae_lightning.randomness import Noise, seeded

LossOf = Callable[[Objective, LatentVariableModel, Tensor | Counts, bool], tuple[Tensor, dict[str, Tensor]]]
"""(a step's objective, model, x, whether figures are read) -> the loss and its figures."""

SAMPLES = 1000  # of z for each row that is scored or filled in


class LatentVariableModule(ReproducibleModule):
    """Trains a `LatentVariableModel` by an `Objective`; evaluation makes one `Draw` a batch."""

    figure_names: tuple[str, ...] = ("nelbo", "reconstruction", "kl")

    def __init__(
        self,
        model: LatentVariableModel,
        objective: Objective,
        optimizer: OptimizerCallable,
        scheduler: LRSchedulerCallable | None,
        evaluation_samples: int,
    ) -> None:
        super().__init__(self.figure_names, optimizer, scheduler)
        if evaluation_samples < 1:
            raise ValueError(f"evaluation_samples counts samples of z per observation, >= 1; got {evaluation_samples}")
        objective.attach(model)
        objective.check(model)
        self.model, self.objective = model, objective
        self.evaluation_samples = evaluation_samples
        self.compute_losses_by(None)

    @property
    def observed(self) -> ExponentialFamily | None:
        """The decoder's family, where it is made of one."""
        decoder = self.model.decoder
        if isinstance(decoder, Autoregressive):
            return decoder.observed
        return decoder.family if isinstance(decoder, Conditional) else None

    def check_data(self, data: object) -> None:
        """ValueError if the data module says that its observations are of another shape."""
        shape, expected = observed_shape(data), self.model.decoder.event_shape
        if shape is not None and Size(shape) != expected:
            raise ValueError(
                f"the model observes {tuple(expected)} but the data are {tuple(shape)}: set the event_shape of "
                f"model.init_args.observed to {list(shape)}"
            )

    def start(self, data: object) -> None:
        """Show the layers and the prior that start from the training data, `data.train`, what these are."""
        start_all(self, data)

    def loss(self, batch: Batch, step: int) -> tuple[Tensor, dict[str, Tensor]]:
        """What training minimises at this step, in nats per observation, and figures to log; a pure function."""
        loss, figures = self.objective.at(step).loss_and_figures(self.model, observations(batch))
        return loss, self.with_own(figures, batch)

    def with_own(self, figures: dict[str, Tensor], batch: Batch) -> dict[str, Tensor]:
        """The figures of a training batch with those that this kind of model adds; by default none."""
        return figures

    def training_loss(self, batch: Batch, step: int, read: bool) -> tuple[Tensor, dict[str, Tensor]]:
        """The loss, by the subclass's own `loss` if it has one; figures may be left out where they are not read."""
        if self.has_own_loss:
            return self.loss(batch, step)
        loss, figures = self._loss_of(self.objective.at(step), self.model, observations(batch), read)
        return loss, self.with_own(figures, batch) if read else figures

    @property
    def has_own_loss(self) -> bool:
        """Whether the class overrides `loss`, which is then what it trains by."""
        return type(self).loss is not LatentVariableModule.loss

    def compute_losses_by(self, loss_of: LossOf | None) -> None:
        """Let training compute its losses by another function of the same values, or as they are written by None."""
        self._loss_of = loss_of or loss_and_read

    @torch.no_grad()
    def failures(self, batch: Batch, step: int) -> dict[str, str]:
        """The constraints that the model fails at this step on a batch, by name, with the reason."""
        return self.objective.at(step).failures(self.model, observations(batch))

    def log_step(self, batch: Batch, loss: Tensor, figures: dict[str, Tensor]) -> None:
        """Log the loss and its figures; name in a warning the constraints that the model fails."""
        super().log_step(batch, loss, figures)
        for name, reason in self.failures(batch, self.global_step).items():
            rank_zero_warn(f"the penalty {name} fails: {reason}")

    def posterior(self, x: Tensor | Counts) -> Distribution:
        """Q(z | x)."""
        return self.model.encoder(x)

    def likelihood(self, z: Tensor) -> Distribution:
        """P(x | z)."""
        return self.model.decoder(z)

    def simulate(self, n: int) -> Distribution:
        """P(x | z), of batch shape (n,), at z from the model's own prior."""
        return self.model.decoder(self.model.prior().sample(Size([n])))

    def simulate_component(self, n: int, k: int) -> Distribution:
        """P(x | z), of batch shape (n,), at z from the k-th component of the prior, such as of a pseudo-input."""
        return self.model.decoder(component(self.model.prior(), k).sample(Size([n])))

    def scorer(self, rows: Observations, samples: int | None) -> Callable[[Tensor | Counts], Scores]:
        """By importance samples of q(z | x), 1,000 by default; TypeError for a q without a normaliser."""
        if isinstance(q := self.model.encoder.prototype(), Unnormalised):
            raise TypeError(
                f"log p(x) is estimated by samples of q(z | x) and their probabilities, which {type(q).__name__} does "
                "not know: use BernoulliMRF with a group of at most 16 bits"
            )
        return partial(scores, self.model, num_samples=SAMPLES if samples is None else samples)

    def imputed(self, x: Tensor, samples: int | None) -> Imputed:
        """By importance samples of q(z | x), 1,000 by default."""
        return imputed(self.model, x, SAMPLES if samples is None else samples)

    @property
    def code_shape(self) -> Size:
        """(*Z)."""
        return self.model.prior.event_shape

    def predict_step(self, batch: Batch, batch_idx: int) -> Tensor:
        """The codes of a batch: the posterior means E_q[z | x], (B, *Z), in full precision."""
        with torch.no_grad(), torch.autocast(self.device.type, enabled=False):
            return mean_code(self.model.encoder(observations(batch)))

    def configure_optimizers(self) -> OptimizerLRScheduler:
        """The optimizer, with its scheduler; what the objective has of its own may train at other rates."""
        return self.scheduled(at_rates(self.optimizer, self.parameters(), self.objective.rates()))

    def on_train_start(self) -> None:
        """ValueError if the run ends before the objective's schedule does."""
        self.objective.check_run(float(self.trainer.estimated_stepping_batches))

    def _explain(self, found: NotFinite, batch: Batch) -> str:
        failures = self.failures(batch, self.global_step)
        return "; ".join(
            [*(f"the penalty {name}: {reason}" for name, reason in failures.items()), super()._explain(found, batch)]
        )

    @torch.no_grad()
    def not_finite(self, batch: Batch) -> str:
        """Which term of the bound, in how many rows of a fresh draw."""
        draw = self.evaluate(batch, 0)
        terms = {"log p(x|z)": draw.log_likelihood, "log p(z)": draw.log_prior, "log q(z|x)": draw.log_posterior}
        bad = [
            f"{name} in {int((~v.isfinite()).any(0).sum())} of {v.shape[1]} rows" for name, v in terms.items()
            if not v.isfinite().all()
        ]  # fmt: skip
        return "; ".join(bad) or "every term is finite for fresh samples"

    @torch.no_grad()
    def evaluate(self, batch: Batch, index: int) -> Draw:
        """One Draw of `evaluation_samples` samples, in full precision, its noise a function of (seed, index) alone."""
        x = observations(batch)
        with seeded(self.seed, "evaluate", index), torch.autocast(self.device.type, enabled=False):
            q = self.model.encoder(x)
            return self.model.draw(x, q, sample(q, self.evaluation_samples, Noise()))

    def figures(self, draw: Draw) -> dict[str, Tensor]:
        """One value per observation, in nats, for each of `figure_names`."""
        reconstruction, kl = -draw.log_likelihood.mean(0), rate(draw)
        return {"nelbo": reconstruction + kl, "reconstruction": reconstruction, "kl": kl}


def loss_and_read(
    objective: Objective, model: LatentVariableModel, x: Tensor | Counts, read: bool
) -> tuple[Tensor, dict[str, Tensor]]:
    """The loss as it is written; its figures only if they are read."""
    return objective.loss_and_figures(model, x) if read else (objective.loss(model, x), {})


def start_all(module: nn.Module, data: object) -> None:
    """Show each part of a module that `StartsFromData` the training data; ValueError where it needs them in vain."""
    for part in module.modules():
        if isinstance(part, StartsFromData):
            if not isinstance(data, HasTraining):
                raise ValueError(
                    f"{type(part).__name__} starts from the training data: fit with a data module that has them as "
                    f"train, as those of vae_lightning.data do; got {type(data).__name__}"
                )
            part.start_from(data.train)


def rate(draw: Draw) -> Tensor:
    """KL(q(z | x) || p(z)), (B,): in closed form where torch knows one, else by the draw's samples."""
    try:
        return td.kl_divergence(draw.posterior, draw.prior.expand(draw.posterior.batch_shape))
    except NotImplementedError:
        return (draw.log_posterior - draw.log_prior).mean(0)
