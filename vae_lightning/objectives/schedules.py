"""Schedules: a training step -> the value of a hyper-parameter."""

from __future__ import annotations

import abc
import math

from vae_lightning.construction.arguments import check_kinds


class Schedule(abc.ABC):
    """A value that depends on the step alone, counted from 0: a resumed run continues it exactly.

    `steps` counts the steps until it has arrived where it stays; 0 for one that never stays.
    """

    steps: int = 0

    @abc.abstractmethod
    def __call__(self, step: int) -> float:
        """The value at this step."""

    def check_run(self, num_steps: float) -> None:
        """ValueError if a run of so many steps ends before the schedule has arrived."""
        if num_steps < self.steps:
            raise ValueError(
                f"{self!r} needs {self.steps} steps but the run has only {num_steps:.0f}, which would never train the "
                "objective it leads to: lower its steps, or train longer"
            )


class WarmUp(Schedule):
    """start + (end - start) min(step / steps, 1): a straight line over the first `steps` steps, constant after.

    As the weight of a KL it is annealing (Bowman et al. 2016). A run that ends before the warm-up does is an error.
    ValueError for steps < 1, or ends that are not finite.

    Args:
        steps: optimizer steps of the line.
        start: value at step 0.
        end: value from step `steps` on.

    Examples:
        >>> from vae_lightning.objectives import WarmUp
        >>> beta = WarmUp(steps=100)
        >>> [beta(step) for step in (0, 50, 100, 1000)]
        [0.0, 0.5, 1.0, 1.0]
    """

    def __init__(self, steps: int, start: float = 0.0, end: float = 1.0) -> None:
        check_kinds(WarmUp, locals())
        if steps < 1:
            raise ValueError(f"WarmUp needs steps >= 1, got {steps}; for a constant give the number itself")
        if not (math.isfinite(start) and math.isfinite(end)):
            raise ValueError(f"WarmUp goes between finite values, got start={start} and end={end}")
        self.steps, self.start, self.end = steps, start, end

    def __call__(self, step: int) -> float:
        """The value at this step; exactly `end` from step `steps` on."""
        return self.end if step >= self.steps else self.start + (self.end - self.start) * step / self.steps

    def __repr__(self) -> str:
        return f"WarmUp(steps={self.steps}, start={self.start}, end={self.end})"
