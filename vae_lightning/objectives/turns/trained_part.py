"""TrainedPart: an objective -> the same value, with a gradient for a part of the model alone."""

from __future__ import annotations

from jaxtyping import Float
from torch import Tensor, nn
from torch.func import functional_call

from vae_lightning.counts import Counts
from vae_lightning.latent_variable import LatentVariableModel
from vae_lightning.objectives.base import Objective


class TrainedPart(Objective):
    """An objective with a gradient for the named parts of the model, among encoder, decoder and prior; others rest.

    The resting parameters are detached for the call, whoever holds them: a prior made of the encoder rests with it.
    Their `requires_grad` stays as it is, as DDP and torch.func want it.
    """

    def __init__(self, objective: Objective, *parts: str) -> None:
        super().__init__()
        self.objective, self.parts = objective, parts

    @property
    def is_elbo(self) -> bool:
        """Delegates to the objective."""
        return self.objective.is_elbo

    def unweighted(self) -> Objective:
        """Delegates to the objective."""
        return self.objective.unweighted()

    def forward(self, model: LatentVariableModel, x: Tensor | Counts) -> Float[Tensor, " batch"]:
        """The objective's own value, (B,)."""
        return functional_call(_Call(self.objective, model), self._resting(model), (x,))

    def loss_and_figures(self, model: LatentVariableModel, x: Tensor | Counts) -> tuple[Tensor, dict[str, Tensor]]:
        """The objective's own."""
        return functional_call(_WithFigures(self.objective, model), self._resting(model), (x,))

    def _resting(self, model: LatentVariableModel) -> dict[str, Tensor]:
        return {
            f"model.{name}": parameter.detach()
            for name, parameter in model.named_parameters()
            if name.partition(".")[0] not in self.parts
        }


def trained_part(objective: Objective, *parts: str) -> Objective:
    """`TrainedPart(objective, *parts)`, the same object for the same objective: to an ensemble, the same loss."""
    if parts not in objective._trained_parts:
        objective._trained_parts[parts] = TrainedPart(objective, *parts)
    return objective._trained_parts[parts]


class _Call(nn.Module):
    """Objective and model as one module, whose parameters `functional_call` can replace."""

    def __init__(self, objective: Objective, model: LatentVariableModel) -> None:
        super().__init__()
        self.objective, self.model = objective, model

    def forward(self, x: Tensor | Counts) -> Float[Tensor, " batch"]:
        return self.objective(self.model, x)


class _WithFigures(_Call):
    """The same, for the loss and its figures."""

    def forward(self, x: Tensor | Counts) -> tuple[Tensor, dict[str, Tensor]]:  # type: ignore[override]
        return self.objective.loss_and_figures(self.model, x)
