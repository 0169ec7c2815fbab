"""Ensemble: many restarts, data sets or hyper-parameters of a small model -> one batched model that trains them all."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import lightning.pytorch as pl
import torch
from jaxtyping import Bool, Float
from lightning.pytorch.utilities import rank_zero_warn
from torch import Tensor, nn
from torch.optim import SGD, Adagrad, Adam, Adamax, AdamW, NAdam, Optimizer, RAdam, RMSprop
from torch.optim.lr_scheduler import ReduceLROnPlateau

from vae_lightning.arguments import check_kinds
from vae_lightning.hyperparameters import only_plain
from vae_lightning.models.ensemble.data import look, look_at_unseen, stacked, with_data
from vae_lightning.models.ensemble.members import alone, built, check_members, checkpoint, describe, learning_rate
from vae_lightning.models.ensemble.phases import MemberPhases, Phased
from vae_lightning.models.ensemble.stack import Stack, StackedBatch, across, state
from vae_lightning.models.ensemble.updates import clip_norms, finite_members, gradients, shorten, take
from vae_lightning.models.recording import Execution, Replayed
from vae_lightning.models.reproducible import is_logged
from vae_lightning.models.schedules import scheduled
from vae_lightning.trust import FromCheckpoint

_ELEMENTWISE = (Adagrad, Adam, AdamW, Adamax, NAdam, RAdam, RMSprop, SGD)  # and linear in the learning rate
_LATE = 1 << 31  # a step after all schedules


NOT_FINITE = "Its data are not finite: leave such observations out, or fill in what is missing"


class NoMemberLeft(ValueError):
    """All members of an ensemble rest."""


class Ensemble(FromCheckpoint, pl.LightningModule):
    """M members trained as one batched model, by `torch.func` over a member's pure `loss(batch, step)`.

    Member i is what the same module trained alone with the same seed would be, up to rounding: its initialisation, its
    data, its noise and its order of minibatches are its own, and so is its selection: after each validation the members
    whose own objective (that of the run's last step, so that no warm-up flatters) is the best so far are kept, and
    `member(i)` is an ordinary module with those weights. Fifty small members cost little more than a few alone.

        ensemble = Ensemble(member=lambda: GaussianVAE(2, Normal(2, 0.1)), seeds=50)
        data = Stacked([FullBatch(Synthetic(LinearJTEx(), (500, 500, 500), seed=i % 5)) for i in range(50)])
        Trainer(max_epochs=300, use_distributed_sampler=False).fit(ensemble, data)
        best = ensemble.member(ensemble.ranking[0])

    `ranking` compares them by one objective for all, without the weights (beta, free nats) in which theirs differ.

    Members may differ in float attributes of their modules (beta, the weight of a penalty, schedules of them) and in
    their learning rates; the one optimizer, else the same for all, must work element by element, as Adam does.
    Gradients are clipped by each member's own norm. A member whose loss or gradient is not finite is named in a warning
    and rests from that step on, with its best weights if it has any; the others go on as if it were not there.

    Members with phases of their own, `LiBI`, have them together, as each would alone: the optimizer starts anew, codes
    are handed on, and what is kept is not the best on `val/loss` but the best repeat, by the members' own `selection`
    on their validation data. A penalty that a member's codes fail at the end of a phase is named in a warning.

    Logged: `train/loss/mean`, `/best` and `/spread` (standard deviation) over the members that do not rest, the same of
    their other figures and of `val/loss`, there with each member's under its name; `train/resting`, how many rest;
    after a repeat of LiBI's likewise `val/selection`, minus what its members are judged by.
    A loss that draws other noise than `randomness.Noise`, or that hooks gradients on their way back (`DReG`), does not
    run under vmap. One process.

    Args:
        members: modules alike, each with its `seed`, weights and optimizer.
        member: in their place, what builds one; called under each of the seeds.
        seeds: of the members that `member` builds; a number n stands for 0, ..., n - 1.
        names: what to call the members; by default their numbers.
        execution: how losses are computed in training: by default `Replayed()`, without the overhead of vmap at every
            step; `Eager()` as they are written, to debug them; `Compiled()` for long runs and for GPUs.

    ValueError for members that are not alike, several processes, and once all members rest; TypeError for an optimizer
    that mixes members' gradients, a rate that follows a figure, and members without an objective, such as RBMs.

    Examples:
        >>> from vae_lightning.families import Bernoulli
        >>> from vae_lightning.models import Ensemble, GaussianVAE
        >>> ensemble = Ensemble(member=lambda: GaussianVAE(2, Bernoulli(6)), seeds=3)
        >>> member = ensemble.member(2)  # an ordinary module, of seed 2
        >>> member.seed, member.sample(4).shape
        (2, torch.Size([4, 6]))
    """

    best_loss: Float[Tensor, " M"]
    resting: Bool[Tensor, " M"]
    rates: Float[Tensor, " M"]
    common_loss: Float[Tensor, " M"]

    def __init__(
        self,
        members: Sequence[pl.LightningModule] | None = None,
        member: Callable[[], pl.LightningModule] | None = None,
        seeds: Sequence[int] | int = (),
        names: Sequence[str] | None = None,
        execution: Execution | None = None,
    ) -> None:
        check_kinds(Ensemble, {"members": members, "seeds": seeds, "names": names, "execution": execution})
        super().__init__()
        with only_plain(self):
            self.save_hyperparameters(logger=False)
        self.members: list[Any] = list(members) if members else built(member, seeds)
        if isinstance(described := self.hparams.get("member"), Mapping):
            describe(self.members, described)
        check_members(self.members)
        self.names = [str(number) for number in range(len(self.members))] if names is None else list(names)
        if len(self.names) != len(self.members):
            raise ValueError(f"Ensemble needs a name for each of {len(self.members)} members, got {len(self.names)}")
        self.stack = Stack(self.members)
        self.seeds = list(self.stack.noise.seeds)
        self.best = copy.deepcopy(self.stack.module).requires_grad_(False)
        self.register_buffer("best_loss", torch.full((len(self.members),), torch.inf))
        # of the same weights by one objective for all; not in the state, which older checkpoints have without it
        self.register_buffer("common_loss", self.best_loss.clone(), persistent=False)
        self.register_buffer("resting", torch.zeros(len(self.members), dtype=torch.bool))
        self.register_buffer("rates", torch.tensor([learning_rate(each) for each in self.members]), persistent=False)
        self.started = False
        self._losses_at = (execution or Replayed()).losses(self.stack)
        self._phases = MemberPhases(self.stack, self._present) if isinstance(self.members[0], Phased) else None
        if self._phases is not None:
            self.best_loss.copy_(-self._phases.recall(self.best))
            self.common_loss.copy_(self.best_loss)
        self._before: list[Tensor] = []

    def member(self, number: int) -> Any:
        """A module of its own with this member's best weights, or its latest if it was never validated."""
        return self._alone(number, self.best if self.best_loss[number].isfinite() else self.stack.module)

    def checkpoint(self, number: int) -> dict[str, Any]:
        """What a checkpoint of `member(number)` holds, for `load_from_checkpoint` and `vae-lightning test`."""
        return checkpoint(self.member(number), self._trainer)

    def _alone(self, number: int, source: nn.Module) -> Any:
        return alone(self.members[number], source, number, self.seeds[number])

    def _present(self, number: int) -> Any:
        return self._alone(number, self.stack.module).to(self.best_loss.device)

    @property
    def ranking(self) -> list[int]:
        """The members' numbers, the best on validation first: by one figure for all, where they have one."""
        if odd := self.stack.incomparable(None if self._phases is not None else _LATE - 1):
            rank_zero_warn(
                f"the ranking is by each member's own objective, and these differ in {', '.join(odd)}: compare "
                "members by a diagnostic such as LogLikelihood, of the checkpoints that MemberCheckpoints writes"
            )
        return self.common_loss.argsort().tolist()

    # -- training ------------------------------------------------------------------------------------------------

    def prepare_data(self) -> None:
        """Look at each member's data, as it would alone, before a run's folder is made."""
        if self.trainer.world_size > 1:
            return  # only one of them is here: `setup` tells all
        look(self.members, self.trainer)

    def setup(self, stage: str) -> None:
        """Let each member see its data before it trains, as it would alone."""
        if self.trainer.world_size > 1:
            raise ValueError("an Ensemble trains on one device: use devices: 1, and share members among runs")
        if stage == "fit" and not self.started:
            for each, its_data in with_data(self.members, self.trainer):
                each.start_once(its_data)
            self.stack.read()
            self.started = True

    def configure_optimizers(self) -> Any:
        """The first member's optimizer over all members, at the highest of their learning rates, and its scheduler."""
        first = self.members[int(self.rates.argmax())]
        optimizer = first.optimizer(self.stack.module.parameters())
        if not isinstance(optimizer, _ELEMENTWISE):
            known = ", ".join(kind.__name__ for kind in _ELEMENTWISE)
            raise TypeError(f"{type(optimizer).__name__} would mix the members' gradients: use one of {known}")
        if first.scheduler is None:
            return optimizer
        scheduler = first.scheduler(optimizer)
        if isinstance(scheduler, ReduceLROnPlateau):
            raise TypeError("ReduceLROnPlateau would let the members' figures set one rate: use a schedule of steps")
        return scheduled(optimizer, scheduler)

    def on_train_start(self) -> None:
        """ValueError if the run ends before a member's schedule does, or without data that a member chooses by."""
        for each in self.members:
            each.objective.check_run(float(self.trainer.estimated_stepping_batches))
        if self._phases is not None:
            self._phases.start([its_data for _, its_data in with_data(self.members, self.trainer)])

    def on_train_batch_start(self, batch: StackedBatch, batch_idx: int) -> None:
        """Where the members' next phase begins, close the last one and start anew."""
        step, batch = self.global_step, stacked(batch, len(self.members))
        if batch_idx == 0:
            look_at_unseen(self.members, self.trainer, batch)
        if self._phases is None or batch_idx % self.trainer.accumulate_grad_batches:
            return
        self._choose(step)  # again in a run resumed from a checkpoint that was written before it was done
        if not self._phases.begins(step):
            return
        for number in (~self.resting).nonzero().flatten().tolist() if step else ():
            if failed := self._phases.failures(batch, step - 1, number):
                rank_zero_warn(f"member {self.names[number]} before step {step}: {failed}")
        self._phases.begin(step)
        for optimizer in self.trainer.optimizers:
            optimizer.state.clear()

    def on_train_batch_end(self, outputs: Any, batch: StackedBatch, batch_idx: int) -> None:
        """Judge the members where a repeat is done."""
        # within an accumulated gradient the step is still the one before, whose end was judged
        losses = None if self.trainer.fit_loop._should_accumulate() else self._choose(self.global_step)
        if losses is not None:  # written now: what waits for the epoch's end is lost where a run is interrupted
            figures = self._each("val/selection", losses)
            self.log_dict(figures, batch_size=1, on_step=True, on_epoch=False, logger=False)
            for logger in self.loggers:
                logger.log_metrics({name: float(value) for name, value in figures.items()}, self.global_step - 1)

    def _choose(self, step: int) -> Float[Tensor, " M"] | None:
        values = None if self._phases is None else self._phases.judge(step)
        if self._phases is None or values is None:
            return None
        losses = -values.to(self.best_loss).masked_fill(values.isnan() | self.resting, -torch.inf)
        self._phases.keep_best(-losses, step)
        self._keep(losses, losses)
        return losses

    def _keep(self, losses: Float[Tensor, " M"], common: Float[Tensor, " M"]) -> None:
        """Keep the members that are the best so far."""
        better = (losses < self.best_loss) & ~self.resting
        take(better, _tensors(self.best), _tensors(self.stack.module))
        take(better, [self.best_loss, self.common_loss], [losses, common])

    def training_step(self, batch: StackedBatch, batch_idx: int) -> Tensor:
        """The sum of the losses: the members share no weights, so each has the gradient it has alone."""
        part, batch = batch_idx % self.trainer.accumulate_grad_batches, stacked(batch, len(self.members))
        self.stack.noise.begin("train", self.global_step, self.global_rank, *([part] if part else []))
        losses, figures = self._losses_at(batch, self.global_step)
        self._losses, self._batch = losses.detach(), batch
        if is_logged(self.trainer, self.global_step):
            for name, values in figures.items():
                self.log_dict(self._over_members(f"train/{name}", values), batch_size=1)
            summary = self._over_members("train/loss", self._losses) | {"train/resting": self.resting.sum().float()}
            self.log("train/loss/mean", summary.pop("train/loss/mean"), prog_bar=True, batch_size=1)
            self.log_dict(summary, batch_size=1)
        return losses.masked_fill(self.resting, 0.0).sum()

    def on_before_optimizer_step(self, optimizer: Optimizer) -> None:
        """Find the members that cannot go on; remember where those are that will not go all the way."""
        grads = gradients(self.stack.module.parameters())
        fails = ~finite_members(self._losses, grads) & ~self.resting
        if fails.any():
            self._rest(fails)
        if self.resting.any():
            for grad in grads:
                grad.masked_fill_(across(self.resting, grad), 0.0)
        if self.resting.any() or (self.rates != self.rates.max()).any():
            self._before = [parameter.detach().clone() for parameter in self.stack.module.parameters()]

    def optimizer_step(self, *args: Any, **kwargs: Any) -> None:
        """One step, of which members with lower learning rates go a part, and those at rest nothing."""
        super().optimizer_step(*args, **kwargs)
        if self._before:
            part = (self.rates / self.rates.max()).masked_fill(self.resting, 0.0)
            shorten(self.stack.module.parameters(), self._before, part)
            self._before = []

    def configure_gradient_clipping(
        self, optimizer: Optimizer, gradient_clip_val: float | None = None, gradient_clip_algorithm: str | None = None
    ) -> None:
        """By each member's own norm."""
        if gradient_clip_val and gradient_clip_algorithm in (None, "norm"):
            clip_norms(gradients(self.stack.module.parameters()), gradient_clip_val)
        else:
            super().configure_gradient_clipping(optimizer, gradient_clip_val, gradient_clip_algorithm)

    def _rest(self, fails: Bool[Tensor, " M"]) -> None:
        """Say which members fail, once; give them their best weights back."""
        for number in fails.nonzero().flatten().tolist():
            what = "gradient is not finite" if self._losses[number].isfinite() else f"loss is {self._losses[number]}"
            failed = "" if self._phases is None else self._phases.failures(self._batch, self.global_step, number)
            what += f" ({failed})" if failed else ""
            kept = "best" if self.best_loss[number].isfinite() else "present"
            finite = bool(self._batch[0][number].isfinite().all())
            way_out = "Lower its learning rate or set trainer.gradient_clip_val" if finite else NOT_FINITE
            rank_zero_warn(
                f"member {self.names[number]} rests from step {self.global_step} on: its {what}; it keeps its {kept} "
                f"weights, the others go on. {way_out}"
            )
        self.resting |= fails
        if self.resting.all():
            raise NoMemberLeft(f"no member is left at step {self.global_step}: all losses or gradients are not finite")
        take(fails & self.best_loss.isfinite(), _tensors(self.stack.module), _tensors(self.best))

    # -- evaluation ----------------------------------------------------------------------------------------------

    def on_fit_end(self) -> None:
        """The members have been trained this long."""
        for each in self.members:
            each.trained_steps = self.global_step

    def on_validation_epoch_start(self) -> None:
        """Begin a split."""
        self._sums, self._count = self.best_loss.new_zeros(2, len(self.members), dtype=torch.float64), 0

    def validation_step(self, batch: StackedBatch, batch_idx: int) -> None:
        """Each member's own objective, its noise a function of (its seed, batch) alone."""
        self._evaluate(batch, batch_idx, self.stack.module)

    def on_validation_epoch_end(self) -> None:
        """Keep the members that are the best so far, unless they choose for themselves."""
        losses, common = (self._sums / self._count).to(self.best_loss.dtype)
        self._log_each("val/loss", losses)
        if self._phases is None and not self.trainer.sanity_checking:
            self._keep(losses, common)

    def on_test_epoch_start(self) -> None:
        """Begin a split."""
        self.on_validation_epoch_start()

    def test_step(self, batch: StackedBatch, batch_idx: int) -> None:
        """As in validation, with the best weights of the members that have any."""
        chosen = copy.deepcopy(self.stack.module)
        take(self.best_loss.isfinite(), _tensors(chosen), _tensors(self.best))
        self._evaluate(batch, batch_idx, chosen)

    def on_test_epoch_end(self) -> None:
        """Log the split's losses."""
        self._log_each("test/loss", (self._sums[0] / self._count).to(self.best_loss.dtype))

    @torch.no_grad()
    def _evaluate(self, batch: StackedBatch, batch_idx: int, weights: nn.Module) -> None:
        batch = stacked(batch, len(self.members))
        look_at_unseen(self.members, self.trainer, batch)
        self.stack.noise.begin("evaluate", batch_idx)
        steps = self.trainer.estimated_stepping_batches if self.trainer.state.fn == "fit" else _LATE
        step = int(min(steps, _LATE)) - 1
        losses, _ = self.stack(batch, step, weights)
        common = None if self._phases is not None else self.stack.comparable(batch, step, weights)
        self._sums += torch.stack((losses, losses if common is None else common)).double() * batch[0].shape[1]
        self._count += batch[0].shape[1]

    def _log_each(self, name: str, values: Float[Tensor, " M"]) -> None:
        """At a split's end, a figure of each member and over all."""
        self.log_dict(self._each(name, values), batch_size=1, on_step=False, on_epoch=True)

    def _each(self, name: str, values: Float[Tensor, " M"]) -> dict[str, Tensor]:
        """A figure of each member and over all."""
        each = {f"{name}/{member}": value for member, value in zip(self.names, values, strict=True)}
        return each | self._over_members(name, values)

    def _over_members(self, name: str, values: Float[Tensor, " M"]) -> dict[str, Tensor]:
        """Mean, least and standard deviation of a figure over the members that do not rest."""
        going = values[~self.resting]
        spread = going.std() if len(going) > 1 else going.new_zeros(())
        return {f"{name}/mean": going.mean(), f"{name}/best": going.min(), f"{name}/spread": spread}

    # -- checkpoints ---------------------------------------------------------------------------------------------

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Keep the seeds, and what members are ranked by."""
        checkpoint["seeds"] = list(self.seeds)
        checkpoint["common_loss"] = self.common_loss.clone()

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Go on under the seeds the run began with, from weights that have seen the data."""
        self.started = True
        self.seeds = self.stack.noise.seeds = list(checkpoint["seeds"])
        self.common_loss.copy_(checkpoint.get("common_loss", checkpoint["state_dict"]["best_loss"]))
        for each in self.members:
            each.trained_steps = checkpoint.get("global_step", 0)


def _tensors(module: nn.Module) -> list[Tensor]:
    return [tensor for _, tensor in state(module)]
