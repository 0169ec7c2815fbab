"""Members that cannot go on -> what is said of them."""

from __future__ import annotations

from math import isfinite

import torch
from jaxtyping import Bool, Float
from torch import Tensor

NOT_FINITE = "Its data are not finite: leave such observations out, or fill in what is missing"


class Failures:
    """The members that failed since one looked, with the step and the loss of each; they stay on their device."""

    def __init__(self) -> None:
        self._steps: Tensor | None = None
        self._losses: Tensor | None = None

    def note(self, fails: Bool[Tensor, " M"], step: int, losses: Float[Tensor, " M"]) -> None:
        """Remember those that fail at a step, with their losses."""
        if self._steps is None or self._losses is None:
            self._steps, self._losses = torch.full_like(fails, -1, dtype=torch.int64), torch.zeros_like(losses)
        self._steps, self._losses = self._steps.masked_fill(fails, step), torch.where(fails, losses, self._losses)

    def look(self) -> list[tuple[int, int, float]]:
        """The number of each member, its step and its loss; all are forgotten. Waits for the device, if any might."""
        if self._steps is None or self._losses is None:
            return []
        found = zip(self._steps.tolist(), self._losses.tolist(), strict=True)
        self.__init__()  # type: ignore[misc]
        return [(number, step, loss) for number, (step, loss) in enumerate(found) if step >= 0]


class NoMemberLeft(ValueError):
    """All members of an ensemble rest."""


def farewell(name: str, step: int, loss: float, failed: str, kept: str, way_out: str) -> str:
    """What a member fails by, its loss or its gradient and the constraints `failed`; which weights it keeps."""
    what = f"loss is {loss}" if not isfinite(loss) else "gradient is not finite"
    what += f" ({failed})" if failed else ""
    return (
        f"member {name} rests from step {step} on: its {what}; it keeps its {kept} weights, the others go on. {way_out}"
    )


def way_out(finite_data: bool) -> str:
    """What may help a member whose data are finite or not."""
    return "Lower its learning rate or set trainer.gradient_clip_val" if finite_data else NOT_FINITE
