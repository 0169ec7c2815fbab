"""LinearGaussian: a linear decoder -> marginal, posterior, best mean-field Gaussian and information in closed form."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float, Float64
from torch import Size, Tensor
from torch.distributions import Independent, MultivariateNormal, Normal

from vae_lightning.construction.arguments import check_kinds
from vae_lightning.data.processes.latent import LatentProcess

Matrix = Sequence[Sequence[float]] | Float[Tensor, "rows columns"]


@dataclass(frozen=True, eq=False)
class MeanField:
    """q(z|x) = N(G x, diag v), with G the `weight` and v the `variance`."""

    weight: Float64[Tensor, "latent dims"]
    variance: Float64[Tensor, " latent"]

    def __call__(self, x: Float[Tensor, "*B dims"]) -> Independent[Normal]:
        """Q(z|x): batch (*B), event (latent), in float64."""
        return Independent(Normal(x.double() @ self.weight.T, self.variance.sqrt()), 1)


class LinearGaussian(LatentProcess):
    """z ~ N(0, I), x = W z + e, e ~ N(0, S) with S diagonal: x ~ N(0, C), C = W W' + S.

    What subclasses choose is how W and S are parameterised. All figures are float64 scalars in nats, differentiable in
    the tensors that a process is made of. Where two processes meet, `self` is the model and `truth` draws the data.

    Source: Yacoby, Pan, Doshi-Velez, Characterizing and Avoiding Problematic Global Optima of Variational
    Autoencoders (2019), appendix C.

    Examples:
        >>> import torch
        >>> from vae_lightning.data.processes import LinearGaussian
        >>> process = LinearGaussian(torch.ones(2, 1, dtype=torch.float64), torch.ones(2, dtype=torch.float64))
        >>> round(process.log_prob(torch.zeros(1, 2)).exp().item(), 4)  # 1 / (2 pi sqrt(det [[2, 1], [1, 2]]))
        0.0919
    """

    def __init__(self, weight: Float64[Tensor, "dims latent"], noise_variance: Float64[Tensor, " dims"]) -> None:
        check_kinds(LinearGaussian, locals())
        self.weight, self.noise_variance = weight, noise_variance
        self.event_shape, self.latent_shape = map(Size, ([len(weight)], [weight.shape[1]]))

    def decode(self, z: Float[Tensor, "*B latent"]) -> Float[Tensor, "*B dims"]:
        """W z."""
        return z @ self.weight.to(z).T

    @property
    def covariance(self) -> Float64[Tensor, "dims dims"]:
        """C, of x."""
        return self.weight @ self.weight.T + self.noise_variance.diag()

    def log_prob(self, x: Float[Tensor, "*B dims"]) -> Float[Tensor, "*B"]:
        """Log N(x | 0, C)."""
        covariance = self.covariance.to(x.device)
        return MultivariateNormal(torch.zeros_like(covariance[0]), covariance).log_prob(x.double()).to(x.dtype)

    def entropy(self) -> Float64[Tensor, ""]:
        """-E log p(x), of x."""
        return -self.expected_log_prob(self)

    def expected_log_prob(self, truth: LinearGaussian) -> Float64[Tensor, ""]:
        """E_truth[log p(x)], the test log-likelihood without the test set's noise."""
        covariance = self.covariance
        trace = torch.linalg.solve(covariance, truth.covariance).trace()
        return -0.5 * ((2 * math.pi * covariance).logdet() + trace)

    def mutual_information(self) -> Float64[Tensor, ""]:
        """I(X; Z) = 1/2 log det C - 1/2 log det S (Eqs 15 and 22)."""
        return 0.5 * (self.covariance.logdet() - self.noise_variance.log().sum())

    def posterior_precision(self, beta: float = 1.0) -> Float64[Tensor, "latent latent"]:
        """Lambda = I + W' S^-1 W / beta, of p(z|x), or of p(z) p(x|z)^(1 / beta) normalised (Eq. 24)."""
        scaled = self.weight.T / (beta * self.noise_variance)
        return torch.eye(*self.latent_shape * 2, dtype=torch.float64) + scaled @ self.weight

    def posterior_weight(self, beta: float = 1.0) -> Float64[Tensor, "latent dims"]:
        """G, of the posterior's mean G x = Lambda^-1 W' S^-1 x / beta (Eq. 23)."""
        return torch.linalg.solve(self.posterior_precision(beta), self.weight.T / (beta * self.noise_variance))

    def posterior(self, x: Float[Tensor, "*B dims"]) -> MultivariateNormal:
        """p(z|x): batch (*B), event (latent), in float64."""
        return MultivariateNormal(x.double() @ self.posterior_weight().T, precision_matrix=self.posterior_precision())

    def mean_field(self, beta: float = 1.0) -> MeanField:
        """The q(z|x) that maximises E_q[log p(x|z)] - beta KL(q || p(z)): the posterior's mean, v_i = 1 / Lambda_ii.

        With beta = 1 it is the mean-field Gaussian nearest to the posterior in KL(q || p(z|x)) (Eq. 27).
        """
        return MeanField(self.posterior_weight(beta), 1 / self.posterior_precision(beta).diagonal())

    def posterior_gap(self) -> Float64[Tensor, ""]:
        """min_q KL(q || p(z|x)) over mean-field Gaussians, the same for every x: the posterior-matching term of L."""
        precision = self.posterior_precision()
        return 0.5 * (precision.diagonal().log().sum() - precision.logdet())

    def shortfall(self, truth: LinearGaussian) -> Float64[Tensor, ""]:
        """L(theta, phi*) = KL(p_truth(x) || p(x)) + min_q KL(q || p(z|x)), by which the ELBO falls short (Eq. 2)."""
        return -truth.entropy() - self.expected_log_prob(truth) + self.posterior_gap()

    def expected_elbo(self, truth: LinearGaussian, beta: float = 1.0) -> Float64[Tensor, ""]:
        """E_truth[E_q[log p(x|z)] - beta KL(q || p(z))] with the best mean-field q of this beta."""
        q, covariance = self.mean_field(beta), truth.covariance
        residual = torch.eye(len(covariance), dtype=torch.float64) - self.weight @ q.weight
        squared = (residual @ covariance @ residual.T).diagonal() + self.weight.square() @ q.variance
        distortion = 0.5 * ((2 * math.pi * self.noise_variance).log() + squared / self.noise_variance).sum()
        second_moment = (q.weight @ covariance @ q.weight.T).diagonal() + q.variance
        rate = 0.5 * (second_moment - 1 - q.variance.log()).sum()
        return -distortion - beta * rate

    def aggregated_posterior(self, truth: LinearGaussian, beta: float = 1.0) -> MultivariateNormal:
        """E_truth[q(z|x)] = N(0, G C_truth G' + diag v), with the best mean-field q."""
        q = self.mean_field(beta)
        covariance = q.weight @ truth.covariance @ q.weight.T + q.variance.diag()
        return MultivariateNormal(torch.zeros_like(q.variance), covariance)


def as_matrix(name: str, values: Matrix) -> Float64[Tensor, "rows columns"]:
    """The values in float64, still differentiable in a tensor; ValueError unless rectangular, not empty and finite."""
    if not isinstance(values, Tensor) and len({len(row) for row in values}) != 1:
        raise ValueError(f"{name} must have rows of the same length, got {values}")
    matrix = torch.as_tensor(values, dtype=torch.float64)
    if not matrix.numel() or not matrix.isfinite().all():
        raise ValueError(f"{name} must be a matrix of finite numbers, got {matrix.tolist()}")
    return matrix
