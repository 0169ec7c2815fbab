"""Ensemble: many restarts, data sets or hyper-parameters of a small model -> one batched model that trains them all."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from jaxtyping import Float
from lightning.pytorch.utilities import rank_zero_warn
from lightning.pytorch.utilities.types import OptimizerLRScheduler
from torch import Tensor
from torch.optim import Optimizer

from vae_lightning.construction.arguments import check_kinds
from vae_lightning.construction.hyperparameters import only_plain
from vae_lightning.models.ensemble.data import look, look_at_unseen, stacked, with_data
from vae_lightning.models.ensemble.figures import of_each, over_all
from vae_lightning.models.ensemble.members import build_members, restore_hparams, with_objective
from vae_lightning.models.ensemble.optimizer import check_update_rules, learning_rate, shared_optimizer
from vae_lightning.models.ensemble.ranked import RankedMembers
from vae_lightning.models.ensemble.resting import Failures, NoMemberLeft, farewell, way_out
from vae_lightning.models.ensemble.stack import StackedBatch
from vae_lightning.models.ensemble.updates import clear_gradients, clip_norms, finite_members, gradients, scale_steps
from vae_lightning.models.recording import Automatic, Execution
from vae_lightning.models.reproducible import ReproducibleModule
from vae_lightning.process.hooks import signed
from vae_lightning.process.trainers import is_logged


class Ensemble(RankedMembers):
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
    A loss that draws other noise than `randomness.Noise` (`HVAE`, `GibbsMRF`), that hooks gradients on their way back
    (`DReG`) or picks entries by masks (`FlowEncoder`) does not run under vmap: TypeError. One process.

    Args:
        members: modules alike, each with its `seed`, weights and optimizer.
        member: in their place, what builds one; called under each of the seeds.
        seeds: of the members that `member` builds; a number n stands for 0, ..., n - 1.
        names: what to call the members; by default their numbers.
        execution: how losses are computed in training: by default `Automatic()`, `Replayed()` in short runs, without
            the overhead of vmap at every step, and compiled in long ones; `Eager()` as they are written, to debug them;
            `Compiled()` for GPUs.

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

    rates: Float[Tensor, " M"]

    def __init__(
        self,
        members: Sequence[ReproducibleModule] | None = None,
        member: Callable[[], ReproducibleModule] | None = None,
        seeds: Sequence[int] | int = (),
        names: Sequence[str] | None = None,
        execution: Execution | None = None,
    ) -> None:
        check_kinds(Ensemble, {"members": members, "seeds": seeds, "names": names, "execution": execution})
        built = with_objective(list(members) if members else build_members(member, seeds))
        check_update_rules(built)
        super().__init__(built, names)
        with only_plain(self):
            self.save_hyperparameters(logger=False)
        restore_hparams(built, self.hparams)
        self.register_buffer("rates", torch.tensor([learning_rate(each) for each in built]), persistent=False)
        self._execution = execution or Automatic()
        self._losses_at = self._execution.losses(self.stack)
        self._quickest = int(self.rates.argmax())
        self._rates_differ = bool((self.rates != self.rates.max()).any())
        self._before: list[Tensor] = []
        self._failed = Failures()

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

    def on_fit_start(self) -> None:
        """Remember how each member's data are read, as it would alone."""
        self._failed = Failures()
        for each, its_data in with_data(self.members, self.trainer):
            each.prepare_by(its_data)

    def configure_optimizers(self) -> OptimizerLRScheduler:
        """The first member's optimizer over all members, at the highest of their learning rates, and its scheduler."""
        return shared_optimizer(self.members[self._quickest], self.stack.module.parameters())

    def on_train_start(self) -> None:
        """ValueError if the run ends before a member's schedule does, or without data that a member chooses by."""
        steps = float(self.trainer.estimated_stepping_batches)
        for each in self.members:
            each.objective.check_run(steps)
        self._losses_at = self._execution.in_run(steps).losses(self.stack)
        self.phases.start([its_data for _, its_data in with_data(self.members, self.trainer)])
        if not self.global_step and (self._began or any(each.trained_steps for each in self.members)):
            self.judge_kept()
        self._began = True

    def on_train_batch_start(self, batch: StackedBatch, batch_idx: int) -> None:
        """Where the members' next phase begins, close the last one and start anew."""
        step, batch = self.global_step, stacked(batch, len(self.members))
        if batch_idx == 0:
            look_at_unseen(self.members, self.trainer, batch)
        if batch_idx % self.trainer.accumulate_grad_batches:
            return
        self.choose_repeats(step)  # again in a run resumed from a checkpoint that was written before it was done
        if not self.phases.begins(step):
            return
        for number in (~self.resting).nonzero().flatten().tolist() if step else ():
            if failed := self.phases.failures(batch, step - 1, number):
                rank_zero_warn(f"member {self.names[number]} before step {step}: {failed}")
        self.phases.begin(step)
        for optimizer in self.trainer.optimizers:
            optimizer.state.clear()

    def on_train_batch_end(self, outputs: object, batch: StackedBatch, batch_idx: int) -> None:
        """Judge the members where a repeat is done."""
        # within an accumulated gradient the step is still the one before, whose end was judged
        losses = None if self.trainer.fit_loop._should_accumulate() else self.choose_repeats(self.global_step)
        if losses is not None:  # written now: what waits for the epoch's end is lost where a run is interrupted
            figures = of_each("val/selection", losses, self.resting, self.names)
            self.log_dict(figures, batch_size=1, on_step=True, on_epoch=False, logger=False)
            for logger in self.loggers:
                logger.log_metrics({name: float(value) for name, value in figures.items()}, self.global_step - 1)

    @signed
    def training_step(self, batch: StackedBatch, batch_idx: int) -> Tensor:
        """The sum of the losses: the members share no weights, so each has the gradient it has alone."""
        part, batch = batch_idx % self.trainer.accumulate_grad_batches, stacked(batch, len(self.members))
        self.stack.noise.begin("train", self.global_step, self.global_rank, *([part] if part else []))
        losses, figures = self._losses_at(batch, self.global_step)
        self._losses, self._batch = losses.detach(), batch
        if is_logged(self.trainer, self.global_step):
            for name, values in figures.items():
                self.log_dict(over_all(f"train/{name}", values, self.resting), batch_size=1)
            summary = over_all("train/loss", self._losses, self.resting) | {"train/resting": self.resting.sum().float()}
            self.log("train/loss/mean", summary.pop("train/loss/mean"), prog_bar=True, batch_size=1)
            self.log_dict(summary, batch_size=1)
        return losses.masked_fill(self.resting, 0.0).sum()

    def on_before_optimizer_step(self, optimizer: Optimizer) -> None:
        """Find the members that cannot go on; remember where those are that will not go all the way."""
        grads = gradients(self.stack.module.parameters())
        asks = self.device.type == "cpu"  # elsewhere to ask is to wait, but at a step that is logged
        # gradients of a loss that is scaled overflow until its scale is found: that is no failure
        scales = getattr(self.trainer.precision_plugin, "scaler", None) is not None
        fails = ~finite_members(self._losses, [] if scales else grads, asks) & ~self.resting
        if not asks or fails.any():
            self._failed.note(fails, self.global_step, self._losses)
            self.resting |= fails
        if asks or is_logged(self.trainer, self.global_step):
            self.tell_failures()
        if some_may := not asks or bool(self.resting.any()):
            clear_gradients(grads, self.resting)
        if some_may or self._rates_differ:
            self._before = [parameter.detach().clone() for parameter in self.stack.module.parameters()]

    def optimizer_step(self, *args: Any, **kwargs: Any) -> None:
        """One step, of which members with lower learning rates go a part, and those at rest nothing."""
        super().optimizer_step(*args, **kwargs)
        if self._before:
            part = (self.rates / self.rates.max()).masked_fill(self.resting, 0.0)
            scale_steps(self.stack.module.parameters(), self._before, part)
            self._before = []

    def configure_gradient_clipping(
        self, optimizer: Optimizer, gradient_clip_val: float | None = None, gradient_clip_algorithm: str | None = None
    ) -> None:
        """Clip by each member's own norm."""
        if gradient_clip_val and gradient_clip_algorithm in (None, "norm"):
            clip_norms(gradients(self.stack.module.parameters()), gradient_clip_val)
        else:
            super().configure_gradient_clipping(optimizer, gradient_clip_val, gradient_clip_algorithm)

    def on_validation_epoch_start(self) -> None:
        """Begin a split, with the members that train."""
        self.tell_failures()
        super().on_validation_epoch_start()

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Save those weights that members rest with."""
        self.tell_failures()
        super().on_save_checkpoint(checkpoint)

    def tell_failures(self) -> None:
        """Say which members have begun to rest since the last look, once; give them their best weights back."""
        if not (failures := self._failed.look()):
            return
        for number, step, loss in failures:
            failed, finite = self.phases.failures(self._batch, step, number), self._batch[0][number].isfinite().all()
            kept = "best" if self.best_loss[number].isfinite() else "present"
            rank_zero_warn(farewell(self.names[number], step, loss, failed, kept, way_out(bool(finite))))
        if self.resting.all():
            step = max(step for _, step, _ in failures)
            raise NoMemberLeft(f"no member is left at step {step}: all losses or gradients are not finite")
        told = self.resting.new_zeros(len(self.members))
        told[[number for number, *_ in failures]] = True
        self.recall_best(told)
