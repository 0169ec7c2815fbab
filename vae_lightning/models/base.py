"""LatentVariableModule: what every trained latent-variable model shares: loss, evaluation, seeds, honest failure."""

from __future__ import annotations

import abc
import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import lightning.pytorch as pl
import torch
import torch.distributions as td
from lightning.pytorch.cli import LRSchedulerCallable, OptimizerCallable
from torch import Tensor
from torch.optim import Optimizer

from vae_lightning.estimators.base import sample
from vae_lightning.latent_variable import Draw, LatentVariableModel
from vae_lightning.metrics.averages import Averages
from vae_lightning.objectives import Objective
from vae_lightning.randomness import Noise, reseed, seeded


def adam(parameters: Iterable[Tensor]) -> Optimizer:
    """Adam at 1e-3, the default optimizer."""
    return torch.optim.Adam(parameters, lr=1e-3)


class LatentVariableModule(pl.LightningModule, abc.ABC):
    """Trains a `LatentVariableModel` by an `Objective`.

    A training step draws its noise from a seed of its own, (seed, step, rank), so that a resumed run repeats an
    uninterrupted one bit for bit; evaluation batch b from (seed, b), so that any number of processes sees the same
    noise. Evaluation makes one `Draw` a batch, which `validation_step` and `test_step` return for callbacks to read.
    """

    figure_names: tuple[str, ...] = ("nelbo", "reconstruction", "kl")

    def __init__(
        self,
        model: LatentVariableModel,
        objective: Objective,
        optimizer: OptimizerCallable,
        scheduler: LRSchedulerCallable | None,
        evaluation_samples: int,
    ) -> None:
        super().__init__()
        if evaluation_samples < 1:
            raise ValueError(f"evaluation_samples counts samples of z per observation, >= 1; got {evaluation_samples}")
        objective.check(model)
        self.model, self.objective = model, objective
        self.optimizer, self.scheduler = optimizer, scheduler
        self.evaluation_samples = evaluation_samples
        self.averages = Averages(self.figure_names)
        self.seed = int(os.environ.get("PL_GLOBAL_SEED", "0"))
        self.started = False  # whether what starts from the training data has seen them

    # -- data ----------------------------------------------------------------------------------------------------

    def setup(self, stage: str) -> None:
        """Check the data; before a new model trains, show it the training data."""
        data: Any = getattr(self.trainer, "datamodule", None)
        self.check_data(data)
        if stage == "fit" and not self.started:
            self.start(data)
            self.started = True

    def check_data(self, data: Any) -> None:
        """ValueError, before anything is written, if the model is not of these data; by default any will do."""

    def start(self, data: Any) -> None:
        """Let the prior start from the training data, `data.train.x`."""
        prior, train = self.model.prior, getattr(data, "train", None)
        if not prior.starts_from_data:
            return
        if train is None:
            raise ValueError(
                f"{type(prior).__name__} starts from the training data: fit with a data module that has them as "
                f"train.x, as those of vae_lightning.data do; got {type(data).__name__}"
            )
        prior.attach(self.model.encoder, train.x)  # type: ignore[arg-type]  # as in LatentVariableModel

    # -- training ------------------------------------------------------------------------------------------------

    def loss(self, batch: Any, step: int) -> tuple[Tensor, dict[str, Tensor]]:
        """What training minimises at this step, in nats per observation, and figures to log; a pure function."""
        x, _ = batch
        objective = self.objective.at(step)
        loss = -objective(self.model, x).mean()
        return loss, {"nelbo": loss.detach()} if objective.is_elbo else {}

    def on_train_start(self) -> None:
        """ValueError if the run ends before the objective's schedule does."""
        self.objective.check_run(float(self.trainer.estimated_stepping_batches))

    def on_train_batch_start(self, batch: Any, batch_idx: int) -> None:
        """Seed this step."""
        part = batch_idx % self.trainer.accumulate_grad_batches
        reseed(self.seed, "train", self.global_step, self.global_rank, *([part] if part else []))

    def training_step(self, batch: Any, batch_idx: int) -> Tensor:
        """The loss; figures are logged on the steps that the trainer writes, since logging costs as much as a step."""
        loss, figures = self.loss(batch, self.global_step)
        if not torch.isfinite(loss):
            raise ValueError(self._explain(loss, batch))
        trainer: Any = self.trainer
        if (self.global_step + 1) % trainer.log_every_n_steps == 0:
            named = {f"train/{name}": value for name, value in ({"loss": loss.detach()} | figures).items()}
            self.log_dict(named, batch_size=len(batch[0]))
        return loss

    @torch.no_grad()
    def _explain(self, loss: Tensor, batch: Any) -> str:
        """Which term of the bound is not finite."""
        draw = self.evaluate(batch, 0)
        terms = {"log p(x|z)": draw.log_likelihood, "log p(z)": draw.log_prior, "log q(z|x)": draw.log_posterior}
        bad = [
            f"{name} in {int((~v.isfinite()).any(0).sum())} of {v.shape[1]} rows" for name, v in terms.items()
            if not v.isfinite().all()
        ]  # fmt: skip
        broken = [name for name, p in self.named_parameters() if not p.isfinite().all()]
        where = "; ".join(bad) or "every term is finite for fresh samples"
        weights = f"; parameters not finite: {', '.join(broken)}" if broken else ""
        return (
            f"the loss is {loss.item()} at step {self.global_step}; not finite: {where}{weights}. Training stops: "
            f"lower the learning rate or set trainer.gradient_clip_val{self._way_back()}"
        )

    def _way_back(self) -> str:
        last = Path(self.trainer.log_dir or "", "checkpoints", "last.ckpt")
        return f", and resume with --ckpt_path {last}" if last.is_file() else "; no checkpoint was written yet"

    def configure_optimizers(self) -> Any:
        """The optimizer, with its scheduler stepped every epoch."""
        optimizer = self.optimizer(self.parameters())
        return optimizer if self.scheduler is None else ([optimizer], [self.scheduler(optimizer)])

    # -- evaluation ----------------------------------------------------------------------------------------------

    @torch.no_grad()
    def evaluate(self, batch: Any, index: int) -> Draw:
        """One Draw of `evaluation_samples` samples, in full precision, its noise a function of (seed, index) alone."""
        x, _ = batch
        with seeded(self.seed, "evaluate", index), torch.autocast(self.device.type, enabled=False):
            q = self.model.encoder(x)
            return self.model.draw(x, q, sample(q, self.evaluation_samples, Noise()))

    def figures(self, draw: Draw) -> dict[str, Tensor]:
        """One value per observation, in nats, for each of `figure_names`."""
        reconstruction, kl = -draw.log_likelihood.mean(0), rate(draw)
        return {"nelbo": reconstruction + kl, "reconstruction": reconstruction, "kl": kl}

    def summary(self, means: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """What is logged of the means over a split."""
        return dict(means)

    def validation_step(self, batch: Any, batch_idx: int) -> Draw:  # type: ignore[override]
        """One Draw; its figures go into the averages of the split."""
        draw = self.evaluate(batch, batch_idx * self.trainer.world_size + self.global_rank)
        self.averages.update(self.figures(draw))
        return draw

    def test_step(self, batch: Any, batch_idx: int) -> Draw:  # type: ignore[override]
        """As in validation."""
        return self.validation_step(batch, batch_idx)

    def on_validation_epoch_start(self) -> None:
        """Begin a split."""
        self.averages.reset()

    def on_validation_epoch_end(self) -> None:
        """Log the split's figures."""
        self._log_summary("val")

    def on_test_epoch_start(self) -> None:
        """Begin a split."""
        self.averages.reset()

    def on_test_epoch_end(self) -> None:
        """Log the split's figures."""
        self._log_summary("test")

    def _log_summary(self, split: str) -> None:
        for name, value in self.summary(self.averages.compute()).items():
            # merged over processes already: "synchronising" equal values leaves them as they are
            self.log(f"{split}/{name}", value.float(), prog_bar=name == "nelbo", sync_dist=True)

    @abc.abstractmethod
    def sample(self, n: int) -> Any:
        """N observations from the model: z from its prior, x from its decoder."""

    # -- checkpoints ---------------------------------------------------------------------------------------------

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Keep the seed; refuse to write weights that are not finite."""
        broken = [name for name, p in self.named_parameters() if not p.isfinite().all()]
        if broken:
            raise ValueError(
                f"not saving a checkpoint: parameters not finite after step {self.global_step}: {', '.join(broken)}: "
                f"lower the learning rate or set trainer.gradient_clip_val{self._way_back()}"
            )
        checkpoint["seed"] = self.seed
        checkpoint["given_as_objects"] = self.given_as_objects

    @classmethod
    def load_from_checkpoint(cls, checkpoint_path: Any, *args: Any, **kwargs: Any) -> Any:
        """As Lightning's; ValueError if the model was built in Python from objects that are not given again."""
        objects = torch.load(checkpoint_path, weights_only=True, map_location="cpu").get("given_as_objects", [])
        missing = [name for name in objects if name not in kwargs and name not in ("optimizer", "scheduler")]
        if missing:
            raise ValueError(
                f"{checkpoint_path} is of a model that was given objects, which a checkpoint does not keep: give "
                f"{', '.join(missing)} to load_from_checkpoint as they were"
            )
        return super().load_from_checkpoint(checkpoint_path, *args, **kwargs)

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Continue under the seed the run began with; what was learnt is not started anew by a later `fit`."""
        self.started = True
        self.seed = checkpoint.get("seed", self.seed)


def rate(draw: Draw) -> Tensor:
    """KL(q(z | x) || p(z)), (B,): in closed form where torch knows one, else by the draw's samples."""
    try:
        return td.kl_divergence(draw.posterior, draw.prior.expand(draw.posterior.batch_shape))
    except NotImplementedError:
        return (draw.log_posterior - draw.log_prior).mean(0)
