"""RankedMembers: models alike -> their losses on a split, the best weights of each, and which of them is the best."""

from __future__ import annotations

import abc
import copy
from collections.abc import Sequence
from typing import Any, NoReturn

import lightning.pytorch as pl
import torch
from jaxtyping import Bool, Float
from lightning.pytorch.utilities import rank_zero_warn
from torch import Tensor, nn

from vae_lightning.models.best import copy_members
from vae_lightning.models.ensemble.data import look_at_unseen, stacked
from vae_lightning.models.ensemble.figures import SplitMeans, of_each
from vae_lightning.models.ensemble.members import checkpoint, extracted
from vae_lightning.models.ensemble.phases import phases_of
from vae_lightning.models.ensemble.stack import Stack, StackedBatch, named_tensors
from vae_lightning.models.latent_variable import LatentVariableModule
from vae_lightning.models.phased import Phased
from vae_lightning.models.preflight import widen
from vae_lightning.trust import FromCheckpoint

_LATE = 1 << 31  # a step after all schedules


class RankedMembers(FromCheckpoint, pl.LightningModule, abc.ABC):
    """A stack of members, evaluated together, with the best weights of each; how they are trained is left open.

    `best` and `best_loss` are those of the validation, or of the repeat that a `Phased` member chooses.
    """

    best_loss: Float[Tensor, " M"]
    resting: Bool[Tensor, " M"]
    common_loss: Float[Tensor, " M"]

    def __init__(self, members: Sequence[LatentVariableModule], names: Sequence[str] | None) -> None:
        super().__init__()
        self.members = list(members)
        self.names = [str(number) for number in range(len(members))] if names is None else list(names)
        if len(self.names) != len(members):
            raise ValueError(f"Ensemble needs a name for each of {len(members)} members, got {len(self.names)}")
        if twice := [name for name in self.names if self.names.count(name) > 1]:
            raise ValueError(f"two members are named {twice[0]!r}: names are what their figures are told apart by")
        self.stack = Stack(self.members)
        self.seeds = list(self.stack.noise.seeds)
        self.best = copy.deepcopy(self.stack.module).requires_grad_(False)
        self.register_buffer("best_loss", torch.full((len(members),), torch.inf))
        # of the same weights by one objective for all; not in the state, which older checkpoints have without it
        self.register_buffer("common_loss", self.best_loss.clone(), persistent=False)
        self.register_buffer("resting", torch.zeros(len(members), dtype=torch.bool))
        self.started = False
        self._began = False  # whether a training has, by which something may have been kept
        self.phases = phases_of(self.stack, self._present)
        if isinstance(self.best, Phased):
            self.best_loss.copy_(-self.best.recall())
            self.common_loss.copy_(self.best_loss)

    def member(self, number: int) -> LatentVariableModule:
        """A module of its own with this member's best weights, or its latest if it was never validated."""
        return self._alone(number, self.best if self.best_loss[number].isfinite() else self.stack.module)

    def checkpoint(self, number: int) -> dict[str, Any]:
        """What a checkpoint of `member(number)` holds, for `load_from_checkpoint` and `vae-lightning test`."""
        return checkpoint(self.member(number), self._trainer)

    def _alone(self, number: int, source: nn.Module) -> LatentVariableModule:
        return extracted(self.members[number], source, number, self.seeds[number])

    def _present(self, number: int) -> LatentVariableModule:
        return self._alone(number, self.stack.module).to(self.best_loss.device)

    @property
    def ranking(self) -> list[int]:
        """The members' numbers, the best on validation first: by one figure for all, where they have one."""
        if odd := self.stack.incomparable(_LATE - 1 if self.phases.by_validation else None):
            rank_zero_warn(
                f"the ranking is by each member's own objective, and these differ in {', '.join(odd)}: compare "
                "members by a diagnostic such as LogLikelihood, of the checkpoints that MemberCheckpoints writes"
            )
        return self.common_loss.argsort().tolist()

    # -- answers -------------------------------------------------------------------------------------------------

    def _asked(self, *_: object, **__: object) -> NoReturn:
        """TypeError: each member answers for itself."""
        raise TypeError("an Ensemble is many models: ask one, as ensemble.member(ensemble.ranking[0]), the best")

    encode = decode = reconstruct = interpolate = generate = sample = _asked
    log_likelihood = anomaly = impute = nearest = _asked

    # -- the best ------------------------------------------------------------------------------------------------

    def choose_repeats(self, step: int) -> Float[Tensor, " M"] | None:
        """Keep the members whose repeat, done after so many steps, is their best; minus their values, if any is."""
        values = self.phases.judge(step)
        if values is None:
            return None
        losses = -values.to(self.best_loss).masked_fill(values.isnan() | self.resting, -torch.inf)
        self.phases.keep_best(-losses, step)
        self._keep(losses, losses)
        return losses

    def judge_kept(self) -> None:
        """What was kept of an earlier training counts by these data, where members choose; else it is not the best."""
        values = self.phases.kept()
        for losses in (self.best_loss, self.common_loss):
            losses.copy_(torch.full_like(losses, torch.inf) if values is None else -values)

    def _keep(self, losses: Float[Tensor, " M"], common: Float[Tensor, " M"]) -> None:
        """Keep the members that are the best so far."""
        better = (losses < self.best_loss) & ~self.resting
        copy_members(better, _tensors(self.best), _tensors(self.stack.module))
        copy_members(better, [self.best_loss, self.common_loss], [losses, common])

    def recall_best(self, members: Bool[Tensor, " M"]) -> None:
        """Give these members their best weights back, where they have any."""
        copy_members(members & self.best_loss.isfinite(), _tensors(self.stack.module), _tensors(self.best))

    # -- evaluation ----------------------------------------------------------------------------------------------

    def on_fit_end(self) -> None:
        """Remember how many steps the members were trained for."""
        for each in self.members:
            each.trained_steps = self.global_step

    def on_validation_epoch_start(self) -> None:
        """Begin a split."""
        self._means = SplitMeans(2, self.best_loss)

    def validation_step(self, batch: StackedBatch, batch_idx: int) -> None:
        """Each member's own objective, its noise a function of (its seed, batch) alone."""
        self._evaluate(batch, batch_idx, self.stack.module)

    def on_validation_epoch_end(self) -> None:
        """Keep the members that are the best so far, unless they choose for themselves.

        After a training, other data say nothing of its best.
        """
        losses, common = self._means.compute()
        self._log_each("val/loss", losses)
        trains = self.trainer.state.fn == "fit" or self.best_loss.isinf().all()
        if self.phases.by_validation and trains and not self.trainer.sanity_checking:
            self._keep(losses, common)

    def on_test_epoch_start(self) -> None:
        """Begin a split."""
        self.on_validation_epoch_start()

    def test_step(self, batch: StackedBatch, batch_idx: int) -> None:
        """As in validation, with the best weights of the members that have any."""
        chosen = copy.deepcopy(self.stack.module)
        copy_members(self.best_loss.isfinite(), _tensors(chosen), _tensors(self.best))
        self._evaluate(batch, batch_idx, chosen)

    def on_test_epoch_end(self) -> None:
        """Log the split's losses."""
        self._log_each("test/loss", self._means.compute()[0])

    @torch.no_grad()
    def _evaluate(self, batch: StackedBatch, batch_idx: int, weights: nn.Module) -> None:
        batch = stacked(batch, len(self.members))
        look_at_unseen(self.members, self.trainer, batch)
        self.stack.noise.begin("evaluate", batch_idx)
        steps = self.trainer.estimated_stepping_batches if self.trainer.state.fn == "fit" else _LATE
        step = int(min(steps, _LATE)) - 1
        losses, _ = self.stack(batch, step, weights)
        common = self.stack.comparable(batch, step, weights) if self.phases.by_validation else None
        self._means.update((losses, losses if common is None else common), batch[0].shape[1])

    def _log_each(self, name: str, values: Float[Tensor, " M"]) -> None:
        """At a split's end, a figure of each member and over all."""
        figures = of_each(name, values, self.resting, self.names)
        self.log_dict(figures, batch_size=1, on_step=False, on_epoch=True)

    # -- checkpoints ---------------------------------------------------------------------------------------------

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Keep the seeds, and what members are ranked by."""
        checkpoint["seeds"] = list(self.seeds)
        checkpoint["common_loss"] = self.common_loss.clone()

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Go on under the seeds the run began with, from weights that have seen the data."""
        widen(self)
        self.started = True
        self.seeds = self.stack.noise.seeds = list(checkpoint["seeds"])
        self.common_loss.copy_(checkpoint.get("common_loss", checkpoint["state_dict"]["best_loss"]))
        for each in self.members:
            each.trained_steps = checkpoint.get("global_step", 0)


def _tensors(module: nn.Module) -> list[Tensor]:
    return [tensor for _, tensor in named_tensors(module)]
