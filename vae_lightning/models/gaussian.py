"""GaussianVAE: observations -> Gaussian codes."""

from __future__ import annotations

from lightning.pytorch.cli import LRSchedulerCallable, OptimizerCallable

from vae_lightning.conditional import Network
from vae_lightning.construction.arguments import check_kinds
from vae_lightning.construction.hyperparameters import only_plain
from vae_lightning.estimators import Reparameterised
from vae_lightning.families import ExponentialFamily, Normal
from vae_lightning.latent_variable import LatentVariableModel
from vae_lightning.models.latent_variable import LatentVariableModule
from vae_lightning.models.optimizers import adam
from vae_lightning.nn import MLP
from vae_lightning.objectives import AnalyticELBO, Objective
from vae_lightning.priors import Prior


def gaussian_codes(latent_dim: int) -> Normal:
    """The family of codes with so many entries; ValueError for fewer than one."""
    if latent_dim < 1:
        raise ValueError(f"latent_dim is the number of entries of a code and must be at least 1, got {latent_dim}")
    return Normal(latent_dim)


class GaussianVAE(LatentVariableModule):
    """q(z | x) = N(mu(x), diag sigma(x)^2), p(x | z) of any family (Kingma and Welling, 2014).

    The decoder's noise is an object too: `families.Bernoulli(shape)` for binary pixels, `families.Normal(shape, scale)`
    for Gaussian ones of known sigma, `families.Normal(shape)` with the network `nn.SharedScale` (one learned sigma),
    `nn.ScalePerDimension` (one for each) or with a plain network (sigma depends on z). With `nn.MLP` without hidden
    layers on both sides and `nn.SharedScale` it is the linear VAE, whose optimum is probabilistic PCA.

    Args:
        latent_dim: d, the number of entries of a code.
        observed: family of p(x | z); its event shape is that of the data.
        encoder: builds the network x -> (mu, log sigma), from (context shape, number of outputs).
        decoder: builds the network z -> parameters of p(x | z).
        objective: what training maximises; by default the ELBO with one sample and the KL in closed form.
        prior: p(z); by default N(0, I). `priors.MixturePrior`, `priors.VampPrior` and `priors.AggregatedPosterior`
            need an objective that samples the KL, such as `objectives.ELBO`.
        optimizer: builds the optimizer from the parameters.
        scheduler: builds a learning-rate scheduler, stepped every epoch (or step: `models.EveryStep`).
        evaluation_samples: samples of z per observation in validation and test.

    Figures, in nats per observation, constants included: `nelbo` = `reconstruction` + `kl`.
    ValueError unless latent_dim >= 1, for shapes that disagree, and for an objective that does not fit the prior.

    Examples:
        >>> import torch
        >>> from vae_lightning.families import Bernoulli
        >>> from vae_lightning.models import GaussianVAE
        >>> vae = GaussianVAE(latent_dim=2, observed=Bernoulli((1, 8, 8)))
        >>> loss, figures = vae.loss((torch.ones(5, 1, 8, 8), torch.zeros(5)), step=0)
        >>> loss.shape, list(figures), vae.sample(3).shape
        (torch.Size([]), ['nelbo'], torch.Size([3, 1, 8, 8]))
    """

    def __init__(
        self,
        latent_dim: int,
        observed: ExponentialFamily,
        encoder: Network = MLP,
        decoder: Network = MLP,
        objective: Objective | None = None,
        prior: Prior | None = None,
        optimizer: OptimizerCallable = adam,
        scheduler: LRSchedulerCallable | None = None,
        evaluation_samples: int = 1,
    ) -> None:
        check_kinds(GaussianVAE, locals())
        model = LatentVariableModel.of_families(gaussian_codes(latent_dim), observed, encoder, decoder, prior)
        # not assigned to `objective`: what is saved as hyperparameters are the arguments as they were given
        chosen = objective or AnalyticELBO(Reparameterised())
        super().__init__(model, chosen, optimizer, scheduler, evaluation_samples)
        with only_plain(self):
            self.save_hyperparameters(logger=False)
