"""Hamiltonian: a model and observations -> samples of p(z | x) by Hamiltonian Monte Carlo."""

from __future__ import annotations

from dataclasses import dataclass
from importlib import import_module
from types import ModuleType

import torch
from jaxtyping import Float
from torch import Tensor

from vae_lightning.construction.arguments import check_kinds
from vae_lightning.counts import Counts
from vae_lightning.latent_variable import LatentVariableModel
from vae_lightning.randomness import seeded


@dataclass(frozen=True, eq=False)
class PosteriorSamples:
    """Samples z of p(z | x), one chain; how many independent ones each entry of z is worth; steps that went astray."""

    z: Float[Tensor, "samples batch *latent"]
    effective: Float[Tensor, "batch *latent"]
    divergences: int


class Hamiltonian:
    """Samples of p(z | x) for a model that stays as it is, by the no-U-turn sampler of Pyro, for all rows in one chain.

    The density is p(x | z) p(z), differentiable in z. Chains start from the prior; step size and mass are adapted in
    the warm-up. A chain that is short for its posterior shows in `effective`; modes far apart it does not find. A
    function of decoder, prior, x and seed, not of the encoder; torch's random state is left as it was.
    ValueError without Pyro, which is the extra `mcmc`; for fewer than 4 samples, and other counts below 1.

    Source: Hoffman, Gelman, The No-U-Turn Sampler (2014).

    Args:
        num_samples: S, kept after the warm-up.
        warmup: steps of the chain before.
        depth: at most 2 ** depth gradients for a sample.
        seed: of the chain.
    """

    def __init__(self, num_samples: int = 200, warmup: int = 200, depth: int = 6, seed: int = 0) -> None:
        check_kinds(Hamiltonian, locals())
        if num_samples < 4 or min(warmup, depth) < 1:
            raise ValueError(
                "Hamiltonian needs num_samples >= 4, to tell what they are worth, and warmup and depth >= 1; got "
                f"{num_samples}, {warmup} and {depth}"
            )
        _pyro()
        self.num_samples, self.warmup, self.depth, self.seed = num_samples, warmup, depth, seed

    def __call__(self, model: LatentVariableModel, x: Tensor | Counts) -> PosteriorSamples:
        """S samples for each row of x."""
        with torch.no_grad():
            posterior = model.encoder(x)

        def potential(point: dict[str, Tensor]) -> Tensor:
            draw = model.draw(x, posterior, point["z"][None])
            return -(draw.log_likelihood + draw.log_prior).sum()

        mcmc = _pyro()
        with seeded(self.seed, "hamiltonian"), torch.enable_grad():
            # not from the encoder, which learns meanwhile: a resumed run would have another chain
            start = model.prior().sample(posterior.batch_shape)
            kernel = mcmc.NUTS(potential_fn=potential, max_tree_depth=self.depth)
            chain = mcmc.MCMC(kernel, self.num_samples, self.warmup, initial_params={"z": start}, disable_progbar=True)
            chain.run()
        found, z = chain.diagnostics(), chain.get_samples()["z"]
        return PosteriorSamples(z, found["z"]["n_eff"], sum(map(len, found["divergences"].values())))

    def __repr__(self) -> str:
        return f"{type(self).__name__}(num_samples={self.num_samples}, warmup={self.warmup}, seed={self.seed})"


def _pyro() -> ModuleType:
    try:
        return import_module("pyro.infer.mcmc")
    except ImportError as error:
        raise ValueError(
            "Hamiltonian samples through Pyro, which is not installed: pip install 'vae-lightning[mcmc]'"
        ) from error
