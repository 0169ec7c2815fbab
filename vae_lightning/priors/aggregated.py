"""AggregatedPosterior: an equal mixture of the posteriors of training observations."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor

from vae_lightning.construction.arguments import check_kinds
from vae_lightning.metrics.functional.aggregated import CHUNK
from vae_lightning.nn import TrainingRows
from vae_lightning.priors.encoded import EncodedPrior
from vae_lightning.randomness import seeded


class AggregatedPosterior(EncodedPrior):
    """p(z) = 1/n sum_i q(z | x_i) over n training observations: the prior that maximises the ELBO for an encoder.

    With all of them the marginal KL on the training data vanishes and the rate is the mutual information, at most
    log n (Hoffman and Johnson, 2016; Tomczak and Welling, 2018, Eq. 8); on data not among the n it costs more. Every
    evaluation of the prior encodes the n observations, with gradient while training. They are kept with the model, in
    its checkpoints too, so that it samples without its data: take a subset of large data.

    Args:
        latent_shape: Z, the shape of one code.
        observed_shape: X, the shape of one observation.
        num_observations: n, how many training observations, drawn without replacement.
        chunk: points and members in one block of the density.
        seed: of the choice.

    ValueError unless num_observations >= 1 and the data have as many, and for an encoder of other shapes.

    Examples:
        >>> import torch
        >>> from vae_lightning.estimators import Reparameterised
        >>> from vae_lightning.families import Bernoulli
        >>> from vae_lightning.models import GaussianVAE
        >>> from vae_lightning.objectives import ELBO
        >>> from vae_lightning.priors import AggregatedPosterior
        >>> prior = AggregatedPosterior(2, 6, num_observations=50)
        >>> vae = GaussianVAE(2, Bernoulli(6), objective=ELBO(Reparameterised()), prior=prior)
        >>> prior.attach(vae.model.encoder, torch.rand(200, 6))  # `fit` does so with the training data
        >>> prior().sample((5,)).shape
        torch.Size([5, 2])
    """

    observations: Tensor

    def __init__(
        self,
        latent_shape: int | Sequence[int],
        observed_shape: int | Sequence[int],
        num_observations: int = 1000,
        chunk: int = CHUNK,
        seed: int = 0,
    ) -> None:
        check_kinds(AggregatedPosterior, locals())
        super().__init__(latent_shape, observed_shape, chunk)
        if num_observations < 1:
            raise ValueError(f"AggregatedPosterior needs num_observations >= 1, got {num_observations}")
        self.seed = seed
        self.register_buffer("observations", torch.zeros(num_observations, *self.observed_shape))

    @property
    def inputs(self) -> Float[Tensor, "n *observation"]:
        """The observations."""
        return self.observations

    def start(self, data: TrainingRows) -> None:
        """Keep n of them."""
        number, held = len(self.observations), len(data)
        if held < number:
            raise ValueError(f"there are {held} training observations: set num_observations, {number}, to no more")
        with seeded(self.seed, "observations"):
            rows = torch.randperm(held)[:number]
        self.observations.copy_(data.batch(rows)[0])
