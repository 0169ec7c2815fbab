"""Gaussian: codes in a plane of a space of more dimensions, almost without noise."""

from __future__ import annotations

import torch

from vae_lightning.construction.arguments import check_kinds
from vae_lightning.data.processes.latent import positive
from vae_lightning.data.processes.linear_gaussian import LinearGaussian, Matrix, as_matrix


class Gaussian(LinearGaussian):
    """x = A' z + e, z ~ N(0, I), e ~ N(0, sigma^2 I).

    Args:
        mixing: A, (latent, dims); a tensor stays differentiable. Only A' A is identified, so A can be turned until the
            posterior is diagonal, and the ELBO has no reason to leave the truth.
        noise_variance: sigma^2, a variance.

    ValueError for a matrix that is not finite or a variance that is not positive.

    Source: Yacoby, Pan, Doshi-Velez, Characterizing and Avoiding Problematic Global Optima of Variational
    Autoencoders (2019), appendix E.

    Examples:
        >>> from vae_lightning.data.processes import Gaussian
        >>> truth = Gaussian()
        >>> round(truth.expected_log_prob(truth).item(), 3)
        7.864
    """

    def __init__(
        self,
        mixing: Matrix = ((-0.7074, 0.0995, 0.0286, 0.1240), (0.7074, 0.9948, -0.9995, 0.9920)),
        noise_variance: float = 1e-6,
    ) -> None:
        check_kinds(Gaussian, locals())
        weight = as_matrix("mixing", mixing).T
        noise = torch.full((len(weight),), positive("noise_variance", noise_variance), dtype=torch.float64)
        super().__init__(weight, noise)

    def __repr__(self) -> str:
        latent, dims = self.weight.T.shape
        return f"{type(self).__name__}({latent} codes, {dims} dims, noise_variance={float(self.noise_variance[0])})"
