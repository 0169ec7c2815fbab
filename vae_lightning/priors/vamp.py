"""VampPrior: an equal mixture of the posteriors of learned pseudo-inputs."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor, nn

from vae_lightning.construction.arguments import check_kinds
from vae_lightning.metrics.functional.aggregated import CHUNK
from vae_lightning.nn import TrainingRows
from vae_lightning.priors.encoded import EncodedPrior
from vae_lightning.randomness import seeded

_INWARD = 0.01
"""How far inside the data's range pseudo-inputs start, as a share of it: at its edge they would have no gradient."""


class VampPrior(EncodedPrior):
    """p(z) = 1/K sum_k q(z | u_k) with K trainable pseudo-inputs u_k (Tomczak and Welling, 2018, Eq. 9).

    The pseudo-inputs keep within the range of the data (of images, that of a pixel: [0, 1]), u = low + (high - low)
    sigmoid(a) with `a` trained, and start within a hundredth of it from K training observations, drawn without
    replacement (in turns, if K exceeds their number). A sample comes from a member drawn uniformly.

    Args:
        latent_shape: Z, the shape of one code.
        observed_shape: X, the shape of one observation.
        num_components: K.
        pseudo_inputs: (K, *X), given in Python, to start from instead of observations.
        seed: of the choice of observations.

    ValueError unless num_components >= 1; for an encoder of other shapes; for given pseudo-inputs of another shape or,
    once the data are known, outside their range.

    Examples:
        >>> import torch
        >>> from vae_lightning.estimators import Reparameterised
        >>> from vae_lightning.families import Bernoulli
        >>> from vae_lightning.models import GaussianVAE
        >>> from vae_lightning.objectives import ELBO
        >>> from vae_lightning.priors import VampPrior
        >>> prior = VampPrior(2, 6, num_components=6, pseudo_inputs=torch.eye(6))
        >>> vae = GaussianVAE(2, Bernoulli(6), objective=ELBO(Reparameterised()), prior=prior)
        >>> prior.pseudo_inputs.shape, prior().sample((5,)).shape
        (torch.Size([6, 6]), torch.Size([5, 2]))
    """

    low: Tensor
    high: Tensor

    def __init__(
        self,
        latent_shape: int | Sequence[int],
        observed_shape: int | Sequence[int],
        num_components: int = 100,
        pseudo_inputs: Tensor | None = None,
        seed: int = 0,
    ) -> None:
        check_kinds(VampPrior, locals())
        super().__init__(latent_shape, observed_shape, CHUNK)
        if num_components < 1:
            raise ValueError(f"VampPrior needs num_components >= 1, got {num_components}")
        if pseudo_inputs is not None and pseudo_inputs.shape != (num_components, *self.observed_shape):
            raise ValueError(
                f"VampPrior needs pseudo-inputs of shape {(num_components, *self.observed_shape)}, got "
                f"{tuple(pseudo_inputs.shape)}: (num_components, *observed_shape)"
            )
        self.seed, self.given = seed, pseudo_inputs
        self.register_buffer("low", torch.tensor(0.0))
        self.register_buffer("high", torch.tensor(1.0))
        self.unbounded = nn.Parameter(torch.randn(num_components, *self.observed_shape))
        if pseudo_inputs is not None:
            with torch.no_grad():
                self._begin(pseudo_inputs, float(pseudo_inputs.min()), float(pseudo_inputs.max()))

    @property
    def pseudo_inputs(self) -> Float[Tensor, "K *observation"]:
        """u, within the data's range."""
        return self.low + (self.high - self.low) * self.unbounded.sigmoid()

    @property
    def inputs(self) -> Float[Tensor, "K *observation"]:
        """The pseudo-inputs."""
        return self.pseudo_inputs

    def start(self, data: TrainingRows) -> None:
        """From the given pseudo-inputs, or from observations."""
        low, high = data.limits
        if (begin := self.given) is None:
            number, held = len(self.unbounded), len(data)
            with seeded(self.seed, "pseudo-inputs"):
                rows = torch.randperm(held).repeat(-(-number // held))[:number]
            begin, _ = data.batch(rows)
        elif begin.min() < low or begin.max() > high:
            raise ValueError(
                f"pseudo-inputs must lie within the data's range [{low:g}, {high:g}], got values from {begin.min():g} "
                f"to {begin.max():g}: scale them as the data are"
            )
        self._begin(begin, low, high)

    def _begin(self, inputs: Tensor, low: float, high: float) -> None:
        self.low.fill_(low)
        self.high.fill_(high)
        share = ((inputs - low) / max(high - low, torch.finfo(inputs.dtype).tiny)).nan_to_num(0.5)  # of what is missing
        self.unbounded.copy_(share.clamp(_INWARD, 1 - _INWARD).logit())
