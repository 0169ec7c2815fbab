"""VAE: any two families, any networks, any objective."""

from __future__ import annotations

from lightning.pytorch.cli import LRSchedulerCallable, OptimizerCallable

from vae_lightning.conditional import Network
from vae_lightning.construction.arguments import check_kinds
from vae_lightning.construction.hyperparameters import only_plain
from vae_lightning.families import ExponentialFamily
from vae_lightning.latent_variable import LatentVariableModel
from vae_lightning.models.latent_variable import LatentVariableModule
from vae_lightning.models.optimizers import adam
from vae_lightning.objectives import Objective
from vae_lightning.priors import Prior


class VAE(LatentVariableModule):
    """An exponential-family VAE (Shekhovtsov et al. 2022, Assumption 1).

    Args:
        latent: family of q(z | x), and of the prior unless one is given.
        observed: family of p(x | z).
        encoder: builds the network x -> parameters of q, from (context shape, number of outputs).
        decoder: builds the network z -> parameters of p(x | z).
        objective: what training maximises.
        prior: p(z); by default the family's standard member: uniform bits, or a standard normal.
        optimizer: builds the optimizer from the parameters.
        scheduler: builds a learning-rate scheduler, stepped every epoch (or step: `models.EveryStep`).
        evaluation_samples: samples of z per observation in validation and test.

    TypeError for a latent `GibbsMRF`, which has no bound: `MRFVAE` trains it.

    Examples:
        >>> import torch
        >>> from vae_lightning.estimators import DisARM
        >>> from vae_lightning.families import Bernoulli, Normal
        >>> from vae_lightning.models import VAE
        >>> from vae_lightning.nn import MLP
        >>> from vae_lightning.objectives import ELBO
        >>> vae = VAE(Bernoulli(8), Normal(3, 0.1), MLP, MLP, ELBO(DisARM()))  # bits that explain real numbers
        >>> vae.model.encoder(torch.randn(5, 3)).sample().shape, vae.sample(2).shape
        (torch.Size([5, 8]), torch.Size([2, 3]))
    """

    def __init__(
        self,
        latent: ExponentialFamily,
        observed: ExponentialFamily,
        encoder: Network,
        decoder: Network,
        objective: Objective,
        prior: Prior | None = None,
        optimizer: OptimizerCallable = adam,
        scheduler: LRSchedulerCallable | None = None,
        evaluation_samples: int = 1,
    ) -> None:
        check_kinds(VAE, locals())
        if not latent.has_log_partition:
            raise TypeError(
                f"a VAE's bound needs the log-probability of codes, which {latent} does not know: use MRFVAE, which "
                "trains it by GibbsELBO, or BernoulliMRF with a group of at most 16 bits"
            )
        model = LatentVariableModel.of_families(latent, observed, encoder, decoder, prior)
        super().__init__(model, objective, optimizer, scheduler, evaluation_samples)
        with only_plain(self):
            self.save_hyperparameters(logger=False)
