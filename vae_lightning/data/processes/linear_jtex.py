"""LinearJTEx: the linear world whose truth joint training gives up for a simpler posterior."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor

from vae_lightning.construction.arguments import check_kinds
from vae_lightning.data.processes.latent import positive
from vae_lightning.data.processes.linear_gaussian import LinearGaussian, Matrix, as_matrix


class LinearJTEx(LinearGaussian):
    """x = Cholesky(A A' + B) z + e, z ~ N(0, I), e ~ N(0, sigma^2 I - B): x ~ N(0, A A' + sigma^2 I) for every B.

    The Cholesky factor is the lower one. With B fixed, theta = A shows the ELBO trading the fit for a diagonal
    posterior; with A fixed, theta = B changes nothing of x but its information about z (appendix C.2).

    Args:
        mixing: A, square; a tensor stays differentiable. Only A A' is identified.
        shared: the diagonal of B, the part of sigma^2 that the codes explain.
        variance: sigma^2.

    ValueError unless A is square, 0 <= B_ii < sigma^2 for each of its rows, and A A' + B is positive definite.

    Source: Yacoby, Pan, Doshi-Velez, Characterizing and Avoiding Problematic Global Optima of Variational
    Autoencoders (2019), Eq. 3.

    Examples:
        >>> from vae_lightning.data.processes import LinearJTEx
        >>> truth = LinearJTEx()
        >>> round(truth.expected_log_prob(truth).item(), 4)  # no model does better
        -2.9708
        >>> round(truth.shortfall(truth).item(), 4)  # and yet a mean-field posterior costs this, in nats
        0.5323
    """

    def __init__(
        self,
        mixing: Matrix = ((0.75, 0.25), (1.5, -1.0)),
        shared: Sequence[float] | Float[Tensor, " dims"] = (0.006, 0.006),
        variance: float = 0.01,
    ) -> None:
        check_kinds(LinearJTEx, locals())
        a, b = as_matrix("mixing", mixing), torch.as_tensor(shared, dtype=torch.float64)
        if a.shape[0] != a.shape[1]:
            raise ValueError(f"mixing must be square, got {tuple(a.shape)}")
        if b.shape != a.shape[:1] or not ((b >= 0) & (b < positive("variance", variance))).all():
            raise ValueError(f"shared must be {len(a)} numbers from 0 to below variance {variance}, got {b.tolist()}")
        factor, failed = torch.linalg.cholesky_ex(a @ a.T + b.diag())
        if failed:
            raise ValueError("A A' + B is not positive definite: mixing is singular where shared is 0")
        super().__init__(factor, variance - b)
        self.variance = variance

    def __repr__(self) -> str:
        noise = [round(value, 6) for value in self.noise_variance.tolist()]
        return f"{type(self).__name__}(variance={self.variance}, noise={noise})"
