"""ELBO and AnalyticELBO: E_q[log p(x | z)] - beta KL(q(z | x) || p(z))."""

from __future__ import annotations

import abc
import copy
import math
from functools import partial

from jaxtyping import Float
from torch import Tensor

from vae_lightning.construction.arguments import check_kinds
from vae_lightning.counts import Counts
from vae_lightning.estimators import GradientEstimator, mean
from vae_lightning.latent_variable import LatentVariableModel
from vae_lightning.objectives.base import EstimatedObjective, Kind, Objective
from vae_lightning.objectives.schedules import Schedule


class BetaWeighted(EstimatedObjective, abc.ABC):
    """An objective whose KL has the weight beta: a number, or a schedule, of which `at(step)` takes the value."""

    def __init__(self, estimator: GradientEstimator, beta: float | Schedule = 1.0) -> None:
        check_kinds(BetaWeighted, locals())
        super().__init__(estimator)
        self.beta = beta if isinstance(beta, Schedule) else _weight(beta)
        self._stays: tuple[BetaWeighted, ...] = ()  # that of all steps from which on a schedule stays where it is
        self._made_by: tuple[BetaWeighted, ...] = ()  # the one with the schedule whose `at` made this one for a step

    @property
    def is_elbo(self) -> bool:
        """Whether beta is 1; never where it is a tensor, one beta for each member of an ensemble."""
        return not isinstance(self.beta, Tensor) and self.beta == 1

    def at(self, step: int) -> Objective:
        """The same objective with this step's beta: itself without a schedule, and one object once that stays."""
        if not isinstance(self.beta, Schedule):
            return self
        beta = self.beta(step)
        if not 0 < self.beta.steps <= step:
            return self._weighing(beta, made_by=(self,))
        if [(each.estimator, each.beta) for each in self._stays] != [(self.estimator, beta)]:
            self._stays = (self._weighing(beta),)
        return self._stays[0]

    def _weighing(self, beta: float, made_by: tuple[BetaWeighted, ...] = ()) -> BetaWeighted:
        """The same with this beta; what is set on it is not set on this one."""
        made = copy.copy(self)
        made._modules, made._parameters, made._buffers = {**self._modules}, {**self._parameters}, {**self._buffers}
        made.beta, made._made_by, made._trained_parts, made._stays = _weight(beta), made_by, {}, ()
        return made

    @property
    def kind(self) -> Kind:
        """Those that one schedule made for its steps are alike but for beta; those of a subclass may differ in more.

        With a beta of 1 there is one figure more, as `is_elbo` says.
        """
        if not self._made_by or type(self) not in (ELBO, AnalyticELBO) or self.beta == 1:
            return super().kind
        return Kind((*self._made_by, self.estimator), ("beta",))

    def unweighted(self) -> Objective:
        """The evidence lower bound: the same with beta = 1."""
        return type(self)(self.estimator)

    def check_run(self, num_steps: float) -> None:
        """Raise ValueError if the run ends before the schedule of beta does."""
        if isinstance(self.beta, Schedule):
            self.beta.check_run(num_steps)

    @property
    def weight(self) -> float | Tensor:
        """Beta, a number, or a member's in an ensemble; ValueError for a schedule that was not asked for a step."""
        if isinstance(self.beta, Schedule):
            name = type(self).__name__
            raise ValueError(f"{name} with a schedule differs by step: use objective.at(step)(model, x)")
        return self.beta


class ELBO(BetaWeighted):
    """E_q[log p(x | z) + beta (log p(z) - log q(z | x))], by the estimator's samples.

    beta = 1 is the evidence lower bound (Kingma and Welling, 2014; Shekhovtsov et al. 2022, Eq. 1a); any other beta
    is the beta-VAE's weighted objective (Higgins et al. 2017), a bound only for beta >= 1.

    Args:
        estimator: draws z and gives the gradient.
        beta: weight of the KL, a number or a `Schedule` such as `WarmUp(steps)`; finite and not negative.

    Examples:
        >>> import torch
        >>> from vae_lightning.estimators import Reparameterised
        >>> from vae_lightning.families import Bernoulli
        >>> from vae_lightning.models import GaussianVAE
        >>> from vae_lightning.objectives import ELBO
        >>> model = GaussianVAE(2, Bernoulli(6)).model
        >>> ELBO(Reparameterised(num_samples=8), beta=0.5)(model, torch.ones(5, 6)).shape  # one value per observation
        torch.Size([5])
    """

    def forward(self, model: LatentVariableModel, x: Tensor | Counts) -> Float[Tensor, " batch"]:
        """The bound, (B,)."""
        q, beta = model.encoder(x), self.weight

        def f(z: Tensor) -> Tensor:
            draw = model.draw(x, q, z)
            # E_q[grad log q] = 0: where z has no path to q's parameters that term is noise and nothing else
            log_posterior = draw.log_posterior if self.estimator.pathwise else draw.log_posterior.detach()
            return draw.log_likelihood + beta * (draw.log_prior - log_posterior)

        return self.estimator(q, f, mean)


class AnalyticELBO(BetaWeighted):
    """E_q[log p(x | z)] by the estimator's samples, minus beta KL(q || p) in closed form.

    ValueError where torch.distributions knows no closed-form KL between the posterior's family and the prior.

    Args:
        estimator: draws z and gives the gradient.
        beta: weight of the KL, a number or a `Schedule` such as `WarmUp(steps)`; finite and not negative.

    Examples:
        >>> import torch
        >>> from vae_lightning.estimators import Reparameterised
        >>> from vae_lightning.families import Bernoulli
        >>> from vae_lightning.models import GaussianVAE
        >>> from vae_lightning.objectives import AnalyticELBO, WarmUp
        >>> model = GaussianVAE(2, Bernoulli(6)).model
        >>> objective = AnalyticELBO(Reparameterised(), beta=WarmUp(steps=100))
        >>> objective.at(50).beta, objective.at(50)(model, torch.ones(5, 6)).shape
        (0.5, torch.Size([5]))
    """

    def check(self, model: LatentVariableModel) -> None:
        """Also raise ValueError unless the KL has a closed form."""
        super().check(model)
        posterior = model.encoder.prototype()
        try:
            model.kl(posterior)
        except NotImplementedError as error:
            raise ValueError(
                f"AnalyticELBO needs a closed-form KL, there is none from {type(posterior).__name__} to "
                f"{type(model.prior()).__name__}; use ELBO, which estimates it"
            ) from error

    def forward(self, model: LatentVariableModel, x: Tensor | Counts) -> Float[Tensor, " batch"]:
        """The bound, (B,)."""
        q = model.encoder(x)
        reconstruction = self.estimator(q, partial(model.log_likelihood, x), mean)
        return reconstruction - self.weight * model.kl(q)


def _weight(beta: float) -> float:
    if not 0 <= beta < math.inf:
        raise ValueError(f"beta weighs the KL and must be finite and not negative, got {beta}")
    return beta
