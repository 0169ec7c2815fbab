"""InformationFloor: codes that say too little of their observations pay for it."""

from __future__ import annotations

import math

from jaxtyping import Float
from torch import Tensor

from vae_lightning.construction.arguments import check_kinds
from vae_lightning.counts import Counts
from vae_lightning.estimators import log_mean_exp
from vae_lightning.latent_variable import LatentVariableModel
from vae_lightning.objectives.constraints.base import Constraint
from vae_lightning.objectives.constraints.penalties import bounded_exp


class InformationFloor(Constraint):
    """exp((floor - I) / scale), I = mean_n [log p(x_n | z_n) - log 1/N sum_m p(x_n | z_m)], a constraint of Eq. 6.

    I, in nats, says how well the codes tell the observations apart: for codes z_n ~ p(z) and x_n ~ p(x | z_n) its mean
    is a lower bound on the mutual information I(X; Z) of the model, and it is at most log N. For codes that are chosen
    for their observations it is too large. It takes N^2 likelihoods. Above `bound` the exponential goes on as a
    straight line, as in all penalties here.
    ValueError unless scale and bound are positive and finite and the floor finite; in use, for a floor that is not
    below log N (a warning in an ensemble whose members differ in it); TypeError for bags of words.

    Source: Yacoby, Pan, Doshi-Velez, Characterizing and Avoiding Problematic Global Optima of Variational
    Autoencoders (2019), section 2; the bound: van den Oord, Li, Vinyals, Representation Learning with Contrastive
    Predictive Coding (2018), with the likelihood as critic.

    Args:
        floor: nats that the codes should tell at least.
        scale: nats below the floor that multiply the penalty by e.
        bound: the exponent from which the exponential is a straight line.

    Examples:
        >>> import torch
        >>> from vae_lightning.families import Normal
        >>> from vae_lightning.models import LiBI
        >>> from vae_lightning.objectives import InformationFloor
        >>> model, x = LiBI(1, Normal(3, 0.1)).model, torch.randn(50, 3)
        >>> penalty = InformationFloor(1.0, scale=0.5)(model, x, torch.zeros(50, 1))
        >>> round(penalty.log().item() * 0.5, 4)  # codes that tell nothing are one nat short
        1.0
    """

    name = "information_floor"

    def __init__(self, floor: float, scale: float = 0.5, bound: float = 2.0) -> None:
        check_kinds(InformationFloor, locals())
        super().__init__()
        if not (math.isfinite(floor) and 0 < scale < math.inf and 0 < bound < math.inf):
            raise ValueError(f"InformationFloor needs finite numbers, scale and bound > 0; got {floor, scale, bound}")
        self.floor, self.scale, self.bound = floor, scale, bound

    def forward(self, model: LatentVariableModel, x: Tensor | Counts, z: Float[Tensor, "n *latent"]) -> Tensor:
        """The penalty."""
        # in an ensemble whose members differ in it, floor is a tensor, and only `failure` can tell
        if not isinstance(self.floor, Tensor) and (reason := self._out_of_reach(len(x))):
            raise ValueError(reason)
        return bounded_exp((self.floor - self.information(model, x, z)) / self.scale, self.bound)

    def failure(self, model: LatentVariableModel, x: Tensor | Counts, z: Float[Tensor, "n *latent"]) -> str | None:
        """Also say so where so many observations cannot reach the floor."""
        return self._out_of_reach(len(x)) or super().failure(model, x, z)

    def information(self, model: LatentVariableModel, x: Tensor | Counts, z: Float[Tensor, "n *latent"]) -> Tensor:
        """I, in nats."""
        if isinstance(x, Counts):
            raise TypeError("InformationFloor needs dense observations: each is evaluated at every code")
        log_likelihood = model.log_likelihood(x[:, None], z)  # (x, z)
        return (log_likelihood.diagonal() - log_mean_exp(log_likelihood.mT)).mean()

    def _out_of_reach(self, n: int) -> str | None:
        if self.floor < math.log(n):
            return None
        return (
            f"{n} observations can show no more than {math.log(n):.2f} nats, the floor is {self.floor}: "
            "lower it, or raise the batch size"
        )
