"""DReG: the importance-weighted bound with the doubly reparameterised gradient."""

from __future__ import annotations

import torch
import torch.distributions as td
from jaxtyping import Float
from torch import Tensor

from vae_lightning.construction.arguments import check_kinds
from vae_lightning.counts import Counts
from vae_lightning.distributions import as_normal, factors, family_name, held
from vae_lightning.estimators import GradientEstimator, Reparameterised, log_mean_exp
from vae_lightning.latent_variable import LatentVariableModel
from vae_lightning.objectives.base import EstimatedObjective


class DReG(EstimatedObjective):
    """IWAE's bound, whose gradient for the encoder does not drown in noise as the number of samples K grows.

        L_K = log 1/K sum_k w_k,    w_k = p(x, z_k) / q(z_k | x),    v_k = w_k / sum_j w_j
        encoder:         sum_k v_k^2  dlog w_k/dz_k  dz_k/dphi
        decoder, prior:  sum_k v_k  dlog w_k/dtheta, which is IWAE's

    with K = `estimator.num_samples`. Unbiased like IWAE's gradient, and zero without noise where q is exact; K = 1 is
    "sticking the landing" (Roeder et al. 2017). A prior made of the encoder (`VampPrior`) keeps its own gradient
    through p(z): only the density log q(z_k | x) of the very samples is held constant.
    Raises TypeError for another estimator, and for a posterior that is not Normal.
    Source: Tucker, Lawson, Gu, Maddison, Doubly Reparameterized Gradient Estimators for Monte Carlo Objectives (2019).

    Args:
        estimator: `Reparameterised`, with the number of samples K.

    Examples:
        >>> import torch
        >>> from vae_lightning.estimators import Reparameterised
        >>> from vae_lightning.families import Bernoulli
        >>> from vae_lightning.models import GaussianVAE
        >>> from vae_lightning.objectives import DReG
        >>> model = GaussianVAE(2, Bernoulli(6)).model
        >>> DReG(Reparameterised(num_samples=50))(model, torch.ones(5, 6)).shape
        torch.Size([5])
    """

    def __init__(self, estimator: GradientEstimator) -> None:
        check_kinds(DReG, locals())
        if not isinstance(estimator, Reparameterised):
            name = type(estimator).__name__
            raise TypeError(f"DReG differentiates through samples: give it Reparameterised, not {name}; or use IWAE")
        super().__init__(estimator)

    @property
    def is_elbo(self) -> bool:
        """With one sample."""
        return self.estimator.num_samples == 1

    def check(self, model: LatentVariableModel) -> None:
        """TypeError unless the posterior is a factorised Normal."""
        _check(model.encoder.prototype())

    def forward(self, model: LatentVariableModel, x: Tensor | Counts) -> Float[Tensor, " batch"]:
        """The bound, (B,)."""
        q = model.encoder(x)
        _check(q)
        constant = held(q)

        def f(z: Tensor) -> Tensor:
            log_weight = model.draw(x, constant, z).log_weight
            if _has_gradient(z):
                # the bound sends v_k dlog w_k/dz_k back to sample k: once more times v_k
                share = log_weight.detach().softmax(0).reshape(*log_weight.shape, *[1] * len(q.event_shape))
                z.register_hook(lambda gradient: gradient * share)
            return log_weight

        return self.estimator(q, f, log_mean_exp)


def _check(q: td.Distribution) -> None:
    """TypeError unless q is a factorised Normal."""
    if factors(q) is None or as_normal(q) is None:
        way_out = "Reparameterised" if q.has_rsample else "LeaveOneOut or, for bits, DisARM"
        raise TypeError(f"DReG needs a factorised Normal posterior, got {family_name(q)}; use IWAE with {way_out}")


def _has_gradient(z: Tensor) -> bool:
    """Whether samples have a gradient to weigh; TypeError where one passes that they do not tell of."""
    if not z.requires_grad and torch.is_grad_enabled():
        probe = torch.zeros(0, requires_grad=True) + z.detach().flatten()[:0]
        if not probe.requires_grad:
            raise TypeError(
                "DReG weighs gradients on their way back, which vmap(loss), as in an Ensemble, hides: use IWAE there, "
                "or vmap(grad(loss))"
            )
    return z.requires_grad
