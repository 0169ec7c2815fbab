"""z ~ N(0, I), x | z ~ N(W z + b, diag sigma^2), with any Gaussian q: log p(x) and all conditionals in closed form."""

from __future__ import annotations

import torch
import torch.distributions as td
from torch import Tensor, nn

from vae_lightning.conditional import Conditional
from vae_lightning.families import ExponentialFamily, Normal, PartlyObserved
from vae_lightning.families.shown import reader
from vae_lightning.latent_variable import LatentVariableModel
from vae_lightning.priors import FactorisedPrior

WIDTH, LATENT = 5, 1


class Fixed(nn.Module):
    """theta(c) = (weight c + bias, log sigma)."""

    def __init__(self, weight: Tensor, bias: Tensor, log_sigma: Tensor) -> None:
        super().__init__()
        self.weight, self.bias, self.log_sigma = (nn.Parameter(each) for each in (weight, bias, log_sigma))

    def forward(self, c: Tensor) -> Tensor:
        mean = c @ self.weight.mT + self.bias
        return torch.cat((mean, self.log_sigma.expand_as(mean)), -1)


class LinearWorld:
    """The truth, in float64."""

    def __init__(self, seed: int = 0) -> None:
        noise = torch.Generator().manual_seed(seed)
        self.weight = torch.randn(WIDTH, LATENT, generator=noise, dtype=torch.float64)
        self.bias = 0.1 * torch.randn(WIDTH, generator=noise, dtype=torch.float64)
        self.sigma = torch.linspace(0.5, 1.0, WIDTH, dtype=torch.float64)
        self.covariance = self.weight @ self.weight.mT + self.sigma.square().diag()

    def rows(self, number: int, share_missing: float = 0.0) -> Tensor:
        """Observations, of which so many entries are NaN."""
        noise = torch.Generator().manual_seed(number)
        x = td.MultivariateNormal(self.bias, self.covariance)
        normal = torch.randn(number, WIDTH, generator=noise, dtype=torch.float64)
        rows = x.loc + normal @ x.scale_tril.mT
        away = torch.rand(number, WIDTH, generator=noise, dtype=torch.float64) < share_missing
        return torch.where(away, torch.nan, rows)

    def log_prob(self, x: Tensor) -> Tensor:
        """Log p(x_observed) of each row."""
        return torch.stack([self._known(row)[0] for row in x])

    def conditional(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """E[x | x_observed] and the deviations, entry by entry."""
        mean, deviation = zip(*(self._known(row)[1:] for row in x), strict=True)
        return torch.stack(mean), torch.stack(deviation)

    def _known(self, row: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        seen = ~row.isnan()
        mean, deviation = row.clone(), torch.zeros_like(row)
        between = self.covariance[~seen][:, seen]
        inverse = torch.linalg.inv(self.covariance[seen][:, seen])
        mean[~seen] = self.bias[~seen] + between @ inverse @ (row[seen] - self.bias[seen])
        deviation[~seen] = (self.covariance[~seen][:, ~seen] - between @ inverse @ between.mT).diagonal().sqrt()
        if not seen.any():
            return row.new_zeros(()), mean, deviation
        known = td.MultivariateNormal(self.bias[seen], self.covariance[seen][:, seen])
        return known.log_prob(row[seen]), mean, deviation

    def model(self, mediocre: bool = False, partly: bool = True) -> LatentVariableModel:
        """Its decoder; an encoder that is exact for complete rows, or one shrunk towards 0 and too wide."""
        observed: ExponentialFamily = PartlyObserved(Normal(WIDTH)) if partly else Normal(WIDTH)
        precision = torch.eye(LATENT, dtype=torch.float64) + self.weight.mT @ (self.weight / self.sigma[:, None] ** 2)
        inward = torch.linalg.inv(precision) @ (self.weight / self.sigma[:, None] ** 2).mT
        log_sigma = -0.5 * precision.diagonal().log()
        if mediocre:
            inward, log_sigma = 0.5 * inward, log_sigma + 1.2
        encoder = Fixed(inward, -inward @ self.bias, log_sigma)
        decoder = Fixed(self.weight, self.bias, self.sigma.log())
        latent = Normal(LATENT)
        return LatentVariableModel(
            Conditional(latent, (WIDTH,), reader(observed, lambda *_: encoder)),
            Conditional(observed, (LATENT,), lambda *_: decoder),
            FactorisedPrior(latent).double(),
        )
