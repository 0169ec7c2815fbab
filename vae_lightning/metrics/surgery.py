"""ELBOSurgery: batches of posteriors with their samples -> rate, mutual information and marginal KL."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

import torch
import torch.distributions as td
from jaxtyping import Float
from torch import Tensor
from torchmetrics import Metric
from torchmetrics.utilities import dim_zero_cat

from vae_lightning.distributions import natural_form, packed, statistics, unpacked
from vae_lightning.metrics.functional.aggregated import CHUNK, aggregated_log_prob, log_mixture
from vae_lightning.metrics.functional.surgery import check_surgery, own_log_prob, surgery_terms
from vae_lightning.metrics.gather import check_limit, earliest, gather_rows, in_shares


class ELBOSurgery(Metric):
    """The terms of `functional.elbo_surgery` for all batches together, in nats with standard errors.

    The posteriors' parameters and the samples' statistics are kept and gathered, 16 S + 16 bytes a Gaussian unit and
    observation; the processes share the N x N densities of `compute`, in blocks of chunk x chunk. Gaussians that are
    correlated in blocks of k take (k + 3) / 4 times as much. Of a flow the parameters are kept, and each density is an
    evaluation of it: set a limit. TypeError for other posteriors: for those call the function on all of the data.
    With a limit only the first so many observations count, where batches are dealt to the processes in turn.

    Examples:
        >>> import torch
        >>> from vae_lightning.families import Normal
        >>> from vae_lightning.metrics import ELBOSurgery
        >>> posterior = Normal(1, scale=1.0).distribution(torch.tensor([[-100.0], [100.0]]))
        >>> prior = Normal(1, scale=100.0).distribution(torch.zeros(1))
        >>> metric = ELBOSurgery()
        >>> metric.update(posterior, prior, posterior.sample((10,)))
        >>> round(metric.compute()["mutual_information"].item(), 4)  # two codes far apart: log 2
        0.6931
    """

    is_differentiable = False
    full_state_update = False
    eta: list[Tensor]
    log_normaliser: list[Tensor]
    points: list[Tensor]
    log_posterior: list[Tensor]
    log_prior: list[Tensor]
    numbers: list[Tensor]

    def __init__(self, chunk: int = CHUNK, limit: int | None = None, **kwargs: Any) -> None:
        super().__init__(**{"dist_sync_fn": gather_rows} | kwargs)
        if chunk < 1:
            raise ValueError(f"ELBOSurgery needs chunk >= 1, got {chunk}")
        check_limit("ELBOSurgery", limit)
        self.chunk, self.limit = chunk, limit
        self.like: td.Distribution | None = None  # a posterior without a natural form, for what it is but parameters
        for state in ("eta", "log_normaliser", "points", "log_posterior", "log_prior", "numbers"):
            self.add_state(state, [], dist_reduce_fx="cat")

    @property
    def full(self) -> bool:
        """Whether this process holds as many observations as count: more batches change nothing."""
        return self.limit is not None and sum(map(len, self.numbers)) >= self.limit

    def update(
        self, posterior: td.Distribution, prior: td.Distribution, z: Float[Tensor, "samples batch *latent"]
    ) -> None:
        """Add a batch: q(z | x) of batch shape (B,), p(z), and z (S, B, *Z) from q, with the same S every time."""
        check_surgery(posterior, prior, z)
        if self.full:
            return
        eta, log_normaliser = self._kept(posterior)
        self.numbers.append(torch.full((len(eta),), len(self.numbers), device=eta.device))
        self.eta.append(eta)
        self.log_normaliser.append(log_normaliser)
        flat = z.flatten(2)
        self.points.append((statistics(flat, eta.shape[1]) if self.like is None else flat).movedim(0, 1))
        self.log_posterior.append(own_log_prob(posterior, z).mT)
        self.log_prior.append(prior.log_prob(z).double().mT)

    def expect(self, posterior: td.Distribution, name: str = "ELBOSurgery") -> None:
        """See what kind of posteriors will come; TypeError for one that is neither Gaussians, nor a flow, nor bits."""
        self._kept(posterior, name)

    def _kept(self, posterior: td.Distribution, name: str = "ELBOSurgery") -> tuple[Tensor, Tensor]:
        """Eta and A, or of a flow all parameters and zeros."""
        natural, rows = natural_form(posterior), packed(posterior)
        if natural is None and rows is not None:
            self.like = posterior
            return rows.detach(), rows.new_zeros(len(rows))
        self.like = None
        return natural or natural_parameters(name, posterior)

    def compute(self) -> dict[str, Tensor | float]:
        """The fields of `functional.Surgery` by name."""
        states = self.eta, self.log_normaliser, self.points, self.log_posterior, self.log_prior
        eta, log_normaliser, points, log_posterior, log_prior = earliest(
            self.limit, dim_zero_cat(self.numbers), *map(dim_zero_cat, states)
        )

        def densities(rows: Tensor) -> Tensor:
            if self.like is None:
                return log_mixture(eta, log_normaliser, rows, self.chunk)
            z = rows.unflatten(-1, self.like.event_shape)
            return aggregated_log_prob(unpacked(self.like, eta), z, self.chunk)

        flat = points.flatten(0, 1)
        log_aggregated = in_shares(densities, flat, self.process_group) if self._is_synced else densities(flat)
        log_aggregated = log_aggregated.view(points.shape[:2])
        return asdict(surgery_terms(log_posterior.mT, log_aggregated.mT, log_prior.mT))


def natural_parameters(name: str, posterior: td.Distribution) -> tuple[Tensor, Tensor]:
    """(eta (N, P), A (N,)) of Gaussians or bits; TypeError for any other posterior."""
    natural = natural_form(posterior)
    if natural is None:
        raise TypeError(
            f"{name} accumulates independent Gaussian or Bernoulli posteriors, got {posterior}: use "
            "functional.elbo_surgery on the posterior of all observations"
        )
    return natural
