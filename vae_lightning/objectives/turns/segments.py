"""Segments: training in segments that each begin with the encoder alone, so that it does not lag behind the decoder."""

from __future__ import annotations

from vae_lightning.construction.arguments import check_kinds
from vae_lightning.objectives.base import Objective
from vae_lightning.objectives.turns.in_turns import InTurns
from vae_lightning.objectives.turns.trained_part import trained_part


class Segments(InTurns):
    """A run of `steps` steps in R equal segments, in each first the encoder alone and then everything together.

    Lagging inference networks as the LiBI paper has them. The turn is a function of the step, so a resumed run needs no
    state; R segments that do not divide the steps differ by one step. The parameters that rest get no gradient.
    ValueError unless 1 <= R <= steps / 2 and 0 < alone < 1; when training starts, for a run shorter than `steps`.

    Source: Yacoby, Pan, Doshi-Velez, Characterizing and Avoiding Problematic Global Optima of Variational
    Autoencoders (2019), appendix E, where R is 5 to 90 for 30,000 steps; it does not say what share is `alone`.

    Args:
        objective: what both maximise, such as the ELBO.
        steps: optimizer steps of the run.
        segments: R.
        alone: the share of a segment that trains the encoder alone.

    Examples:
        >>> from vae_lightning.estimators import Reparameterised
        >>> from vae_lightning.objectives import AnalyticELBO, Segments
        >>> objective = Segments(AnalyticELBO(Reparameterised()), steps=100, segments=2)
        >>> [objective.is_alone(step) for step in (0, 25, 50, 75)]  # the encoder, in the first half of each segment
        [True, False, True, False]
    """

    def __init__(self, objective: Objective, steps: int, segments: int, alone: float = 0.5) -> None:
        check_kinds(Segments, locals())
        super().__init__(objective)
        if not 1 <= segments <= steps / 2:
            raise ValueError(f"segments is R, from 1 to half the {steps} steps, for each has two parts; got {segments}")
        if not 0 < alone < 1:
            raise ValueError(f"alone is the share of a segment that trains the encoder alone, 0 to 1; got {alone}")
        self.steps, self.segments, self.alone = steps, segments, alone

    def at(self, step: int) -> Objective:
        """The objective of this step, with a gradient for the encoder alone or for all parts."""
        now = self.objective.at(step)
        return trained_part(now, "encoder") if self.is_alone(step) else now

    def is_alone(self, step: int) -> bool:
        """Whether this step trains the encoder alone; after the last segment none does."""
        number = step * self.segments // self.steps
        first, following = (-(-k * self.steps // self.segments) for k in (number, number + 1))
        last_alone = first + max(1, round(self.alone * (following - first)))
        return number < self.segments and step < min(last_alone, following - 1)

    def check_run(self, num_steps: float) -> None:
        """Also raise ValueError unless the run holds all segments."""
        super().check_run(num_steps)
        if num_steps < self.steps:
            raise ValueError(
                f"Segments divides {self.steps} steps but the run has only {num_steps:.0f}: set its steps to the run's"
            )
