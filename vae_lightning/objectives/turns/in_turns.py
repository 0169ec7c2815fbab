"""InTurns: one objective -> the base of those that train parts of the model by it in turns."""

from __future__ import annotations

from jaxtyping import Float
from torch import Tensor

from vae_lightning.construction.arguments import check_kinds
from vae_lightning.counts import Counts
from vae_lightning.latent_variable import LatentVariableModel
from vae_lightning.objectives.base import Objective


class InTurns(Objective):
    """An objective that trains parts of the model in turns; `at(step)` says whose turn it is."""

    def __init__(self, objective: Objective) -> None:
        check_kinds(InTurns, locals())
        super().__init__()
        self.objective = objective

    def forward(self, model: LatentVariableModel, x: Tensor | Counts) -> Float[Tensor, " batch"]:
        """The objective's own value, (B,), with a gradient for all; ValueError where it differs by step."""
        return self.objective(model, x)

    def check(self, model: LatentVariableModel) -> None:
        """Delegates to the objective."""
        self.objective.check(model)

    def check_run(self, num_steps: float) -> None:
        """Delegates to the objective."""
        self.objective.check_run(num_steps)
