"""LatentVariableModel: encoder, decoder and prior, and the Draw that all evaluation reads."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import torch.distributions as td
from jaxtyping import Float
from torch import Size, Tensor, nn
from torch.distributions import Distribution

from vae_lightning.conditional import Conditional, Network
from vae_lightning.construction.arguments import check_kinds
from vae_lightning.counts import Counts
from vae_lightning.decoders import decoder_of
from vae_lightning.families import ExponentialFamily
from vae_lightning.families.shown import Shown, reader
from vae_lightning.priors import FactorisedPrior, Prior


@runtime_checkable
class ConditionalLike(Protocol):
    """What an encoder and a decoder must offer: shapes, and a forward that returns a Distribution."""

    context_shape: Size

    @property
    def event_shape(self) -> Size:
        """The shape of one event."""

    def prototype(self) -> Distribution:
        """A member of its family, batch shape (1,), made without data."""

    def __call__(self, c: Tensor | Counts) -> Distribution:
        """p(. | c)."""


def encoder_of(latent: ExponentialFamily, observed: ExponentialFamily, network: Network) -> ConditionalLike:
    """Q(z | x) of this family and network; where what is built is an encoder already, of `encoders`, that encoder."""
    conditional = Conditional(latent, observed.event_shape, reader(observed, network))
    built = conditional.network
    if isinstance(built, Shown) and isinstance(built.network, ConditionalLike):
        raise ValueError(
            f"{type(built.network).__name__} reads observations as they are, and those of {observed!r} are shown to a "
            "network in other columns: use models.VAE with the latent family BlockNormal"
        )
    return built if isinstance(built, ConditionalLike) else conditional


@dataclass(frozen=True, eq=False)
class Draw:
    """Latent samples for a batch and all that evaluation asks of them, in nats.

    z is (S, B, *Z); the three log-terms are (S, B); x holds B observations.

    Examples:
        >>> import torch
        >>> from vae_lightning.families import Bernoulli
        >>> from vae_lightning.models import GaussianVAE
        >>> model = GaussianVAE(2, Bernoulli(6)).model
        >>> x = torch.ones(5, 6)
        >>> q = model.encoder(x)
        >>> draw = model.draw(x, q, q.rsample((10,)))
        >>> draw.z.shape, draw.log_likelihood.shape, draw.log_weight.mean(0).shape  # the last is the ELBO
        (torch.Size([10, 5, 2]), torch.Size([10, 5]), torch.Size([5]))
        >>> repr(draw).startswith("Draw(z (10, 5, 2), mean log_weight -")
        True
    """

    x: Tensor | Counts
    z: Float[Tensor, "samples batch *latent"]
    posterior: Distribution
    likelihood: Distribution
    prior: Distribution
    log_posterior: Float[Tensor, "samples batch"]
    log_likelihood: Float[Tensor, "samples batch"]
    log_prior: Float[Tensor, "samples batch"]

    def __repr__(self) -> str:
        elbo = float(self.log_weight.detach().mean())
        return f"Draw(z {tuple(self.z.shape)}, mean log_weight {elbo:.2f})"

    @property
    def log_weight(self) -> Float[Tensor, "samples batch"]:
        """Log p(x, z) / q(z | x), the log of each sample's importance weight; its mean over samples is the ELBO."""
        return self.log_likelihood + self.log_prior - self.log_posterior


class LatentVariableModel(nn.Module):
    """p(z) p(x | z) with an approximate posterior q(z | x); raises ValueError if their shapes disagree.

    Examples:
        >>> from vae_lightning.conditional import Conditional
        >>> from vae_lightning.families import Bernoulli, Normal
        >>> from vae_lightning.latent_variable import LatentVariableModel
        >>> from vae_lightning.nn import MLP
        >>> from vae_lightning.priors import FactorisedPrior
        >>> x, z = Bernoulli(6), Normal(2)
        >>> encoder, decoder = Conditional(z, x.event_shape, MLP), Conditional(x, z.event_shape, MLP)
        >>> model = LatentVariableModel(encoder, decoder, FactorisedPrior(z))
        >>> model.decoder(model.prior().sample((5,))).mean.shape
        torch.Size([5, 6])
    """

    def __init__(self, encoder: ConditionalLike, decoder: ConditionalLike, prior: Prior) -> None:
        check_kinds(LatentVariableModel, locals())
        super().__init__()
        for what, left, right in (
            ("encoder's latent", encoder.event_shape, prior.event_shape),
            ("decoder's context", decoder.context_shape, prior.event_shape),
            ("decoder's observation", decoder.event_shape, encoder.context_shape),
        ):
            if left != right:
                raise ValueError(
                    f"the {what} shape is {tuple(left)} but {tuple(right)} is expected: encoder x -> z, prior z and "
                    "decoder z -> x must agree"
                )
        self.encoder, self.decoder, self.prior = encoder, decoder, prior
        prior.attach(encoder)  # type: ignore[arg-type]  # whatever a prior needs of it, it checks

    @classmethod
    def of_families(
        cls,
        latent: ExponentialFamily,
        observed: ExponentialFamily,
        encoder: Network,
        decoder: Network,
        prior: Prior | None = None,
    ) -> LatentVariableModel:
        """Q(z | x) and p(x | z) of these families and networks, and p(z), by default the latent's standard member."""
        return cls(
            encoder_of(latent, observed, encoder),
            decoder_of(observed, latent.event_shape, decoder),
            prior or FactorisedPrior(latent),
        )

    def log_likelihood(self, x: Tensor | Counts, z: Tensor) -> Tensor:
        """Log p(x | z) in nats, (S, B), of codes (S, B, *Z) for observations (B, *X); any shapes that broadcast."""
        return self.decoder(z).log_prob(x)  # type: ignore[arg-type]  # a bag of words takes Counts

    def log_joint(self, x: Tensor | Counts, z: Tensor) -> Tensor:
        """Log p(x, z) in nats, (S, B), of codes (S, B, *Z): the posterior p(z | x) but for a factor of x alone."""
        return self.log_likelihood(x, z) + self.prior().log_prob(z)

    def kl(self, q: Distribution) -> Float[Tensor, " batch"]:
        """KL(q || p(z)) in closed form, in nats, (B,); NotImplementedError where torch knows none."""
        return td.kl_divergence(q, self.prior().expand(q.batch_shape))

    def draw(self, x: Tensor | Counts, posterior: Distribution, z: Float[Tensor, "samples batch *latent"]) -> Draw:
        """Evaluate the three log-densities at given samples."""
        likelihood, prior = self.decoder(z), self.prior()
        log_likelihood = likelihood.log_prob(x)  # type: ignore[arg-type]  # a bag of words takes Counts
        return Draw(x, z, posterior, likelihood, prior, posterior.log_prob(z), log_likelihood, prior.log_prob(z))
