"""GeneratorFirst: an objective for the generator, then one for the encoder, and again: the phases of LiBI."""

from __future__ import annotations

from dataclasses import dataclass

from jaxtyping import Float
from torch import Tensor

from vae_lightning.construction.arguments import check_kinds
from vae_lightning.counts import Counts
from vae_lightning.latent_variable import LatentVariableModel
from vae_lightning.objectives.base import Objective
from vae_lightning.objectives.turns.trained_part import trained_part


@dataclass(frozen=True)
class Phase:
    """The place of a step: its repeat, whether the generator learns in it or the encoder, its number in that phase."""

    repeat: int
    of_generator: bool
    position: int

    @property
    def begins(self) -> bool:
        """Whether this is the phase's first step."""
        return self.position == 0


@dataclass(frozen=True)
class Repeats:
    """R repeats of `steps` steps, the first half of each the generator's; the last repeat goes on where a run does."""

    steps: int
    repeats: int

    @property
    def total(self) -> int:
        """Steps of all repeats."""
        return self.steps * self.repeats

    def at(self, step: int) -> Phase:
        """The phase of this step, counted from 0."""
        repeat, half = min(step // self.steps, self.repeats - 1), self.steps // 2
        position = step - repeat * self.steps
        return Phase(repeat, True, position) if position < half else Phase(repeat, False, position - half)


class GeneratorFirst(Objective):
    """R repeats of `steps` steps: in the first half of each the generator's objective, in the second the encoder's.

    The generator's objective trains whatever it depends on, the encoder's the encoder alone. The phase is a function
    of the step, so a resumed run needs no state; after the last repeat the encoder goes on. A schedule inside either
    objective counts the steps of its own phase, from 0 in each.
    ValueError for an odd number of steps, fewer than 2, or R < 1; when training starts, for a run that is too short.

    Args:
        generator: what step 1 maximises.
        inference: what step 2 maximises.
        steps: optimizer steps of one repeat, even.
        repeats: R.

    Examples:
        >>> import torch
        >>> from vae_lightning.estimators import Reparameterised
        >>> from vae_lightning.families import Normal
        >>> from vae_lightning.models import LiBI
        >>> from vae_lightning.objectives import ELBO, CodeLikelihood, GeneratorFirst
        >>> model = LiBI(1, Normal(3, 0.1)).model
        >>> objective = GeneratorFirst(CodeLikelihood(codes=model.encoder), ELBO(Reparameterised()), steps=100)
        >>> objective.at(75)(model, torch.randn(50, 3)).sum().backward()
        >>> all(p.grad is None for p in model.decoder.parameters())  # the second half is the encoder's
        True
    """

    def __init__(self, generator: Objective, inference: Objective, steps: int, repeats: int = 1) -> None:
        check_kinds(GeneratorFirst, locals())
        super().__init__()
        if steps < 2 or steps % 2:
            raise ValueError(f"a repeat's steps are split evenly between generator and inference: even, not {steps}")
        if repeats < 1:
            raise ValueError(f"repeats is R, how often generator and inference are learnt, at least 1; got {repeats}")
        self.generator, self.inference, self.phases = generator, inference, Repeats(steps, repeats)

    def at(self, step: int) -> Objective:
        """The objective of the step's phase."""
        phase = self.phases.at(step)
        if phase.of_generator:
            return self.generator.at(phase.position)
        return trained_part(self.inference.at(phase.position), "encoder")

    def forward(self, model: LatentVariableModel, x: Tensor | Counts) -> Float[Tensor, " batch"]:
        """ValueError: there is no value without a step."""
        raise ValueError("GeneratorFirst differs by step: use objective.at(step)(model, x)")

    def check(self, model: LatentVariableModel) -> None:
        """Delegates to both objectives."""
        self.generator.check(model)
        self.inference.check(model)

    def check_run(self, num_steps: float) -> None:
        """Raise ValueError unless the run holds all repeats, and each phase its objective's schedule."""
        steps, repeats, total = self.phases.steps, self.phases.repeats, self.phases.total
        if num_steps < total:
            raise ValueError(
                f"{repeats} repeats of {steps} steps are {total} but the run has only {num_steps:.0f}: lower steps or "
                f"repeats, or set trainer.max_steps to {total}"
            )
        self.generator.check_run(steps / 2)
        self.inference.check_run(steps / 2)
