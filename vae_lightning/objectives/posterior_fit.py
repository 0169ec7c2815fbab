"""PosteriorFit: an encoder fitted to samples of the posterior."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from vae_lightning.construction.arguments import check_kinds
from vae_lightning.counts import Counts
from vae_lightning.inference.hamiltonian import Hamiltonian
from vae_lightning.latent_variable import LatentVariableModel
from vae_lightning.objectives.base import Objective


class PosteriorFit(Objective):
    """E_{p(z | x)} log q(z | x), z from a chain: the encoder nearest to the posterior in KL(p(z | x) || q(z | x)).

    Inference of LiBI's step 2 by Monte Carlo: q takes the posterior's own means and variances, where the ELBO takes
    what is narrow enough, and hands the means to the codes h. Only the encoder gets a gradient. The chain is run when
    the model or the data have changed, so once a phase with `data.FullBatch`, and anew for every minibatch without; it
    is a function of both, so that a resumed run repeats it. Not in an `Ensemble`. In nats of a density over z; no bound
    on log p(x).

    Source: step 2 by MCMC is proposed in Yacoby, Pan, Doshi-Velez, Characterizing and Avoiding Problematic Global
    Optima of Variational Autoencoders (2019), section 2.

    Args:
        sampler: of the posterior; by default `Hamiltonian()`.
    """

    def __init__(self, sampler: Hamiltonian | None = None) -> None:
        check_kinds(PosteriorFit, locals())
        super().__init__()
        self.sampler = sampler or Hamiltonian()
        self._chain: _Chain | None = None

    def forward(self, model: LatentVariableModel, x: Tensor | Counts) -> Float[Tensor, " batch"]:
        """The mean of log q(z | x) over the chain, (B,)."""
        generator = {name: t for name, t in model.state_dict().items() if not name.startswith("encoder.")}
        if self._chain is None or not self._chain.is_of(generator, x):
            kept = {name: tensor.clone() for name, tensor in generator.items()}
            self._chain = _Chain(kept, x, self.sampler(model, x).z)
        return model.encoder(x).log_prob(self._chain.z).mean(0)


@dataclass(frozen=True, eq=False)
class _Chain:
    """Samples z of a posterior, with what that is a function of: the generator's weights and the observations."""

    generator: dict[str, Tensor]
    x: Tensor | Counts
    z: Tensor

    def is_of(self, generator: dict[str, Tensor], x: Tensor | Counts) -> bool:
        """Whether the posterior is still the same."""
        same_data = x is self.x or (isinstance(x, Tensor) and isinstance(self.x, Tensor) and torch.equal(x, self.x))
        return same_data and all(torch.equal(tensor, generator[name]) for name, tensor in self.generator.items())
