"""Members that cannot go on -> what is said of them."""

from __future__ import annotations

from math import isfinite

NOT_FINITE = "Its data are not finite: leave such observations out, or fill in what is missing"


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
