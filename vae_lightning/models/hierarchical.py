"""HVAE: observations -> Gaussian codes on two levels."""

from __future__ import annotations

from collections.abc import Sequence

from lightning.pytorch.cli import LRSchedulerCallable, OptimizerCallable

from vae_lightning.conditional import Conditional, Network
from vae_lightning.construction.arguments import check_kinds
from vae_lightning.construction.hyperparameters import only_plain
from vae_lightning.decoders import decoder_of
from vae_lightning.estimators import Reparameterised
from vae_lightning.families import ExponentialFamily, Normal
from vae_lightning.hierarchical import HierarchicalConditional
from vae_lightning.latent_variable import LatentVariableModel
from vae_lightning.models.latent_variable import LatentVariableModule
from vae_lightning.models.optimizers import adam
from vae_lightning.nn import MLP
from vae_lightning.objectives import ELBO, Objective
from vae_lightning.priors import FactorisedPrior, HierarchicalPrior, Prior


class HVAE(LatentVariableModule):
    """A VAE with two levels: p(z2) p(z1 | z2) p(x | z1, z2) and q(z2 | x) q(z1 | x, z2) (Tomczak and Welling, 2018).

    A code is the vector (z2, z1). With `priors.VampPrior` on top it is the hierarchical VampPrior model of the paper's
    section 4, made against inactive units: the upper level's prior is not fixed, so nothing pulls it to N(0, I).

    Args:
        latent_dims: (d2, d1), entries of the upper and of the lower code.
        observed: family of p(x | z1, z2); its event shape is that of the data.
        top_encoder: builds the network x -> parameters of q(z2 | x).
        lower_encoder: builds the network (x, z2) -> parameters of q(z1 | x, z2), of the flat vector of both.
        lower_prior: builds the network z2 -> parameters of p(z1 | z2).
        decoder: builds the network (z2, z1) -> parameters of p(x | z1, z2).
        prior: p(z2); by default N(0, I).
        objective: what training maximises; by default the ELBO with one sample.
        optimizer: builds the optimizer from the parameters.
        scheduler: builds a learning-rate scheduler, stepped every epoch (or step: `models.EveryStep`).
        evaluation_samples: samples of z per observation in validation and test.

    ValueError unless there are two positive latent_dims, and for shapes that disagree.

    Examples:
        >>> import torch
        >>> from vae_lightning.families import Bernoulli
        >>> from vae_lightning.models import HVAE
        >>> vae = HVAE([2, 3], Bernoulli(6))
        >>> vae.model.encoder(torch.ones(5, 6)).sample().shape, vae.sample(4).shape
        (torch.Size([5, 5]), torch.Size([4, 6]))
    """

    def __init__(
        self,
        latent_dims: Sequence[int],
        observed: ExponentialFamily,
        top_encoder: Network = MLP,
        lower_encoder: Network = MLP,
        lower_prior: Network = MLP,
        decoder: Network = MLP,
        prior: Prior | None = None,
        objective: Objective | None = None,
        optimizer: OptimizerCallable = adam,
        scheduler: LRSchedulerCallable | None = None,
        evaluation_samples: int = 1,
    ) -> None:
        check_kinds(HVAE, locals())
        if len(latent_dims) != 2 or min(latent_dims) < 1:
            raise ValueError(f"latent_dims must be two positive numbers, (upper, lower), got {list(latent_dims)}")
        top, lower = map(Normal, latent_dims)
        encoder = HierarchicalConditional(top, lower, observed.event_shape, top_encoder, lower_encoder, observed)
        model = LatentVariableModel(
            encoder,
            decoder_of(observed, encoder.event_shape, decoder),
            HierarchicalPrior(prior or FactorisedPrior(top), Conditional(lower, top.event_shape, lower_prior)),
        )
        super().__init__(model, objective or ELBO(Reparameterised()), optimizer, scheduler, evaluation_samples)
        with only_plain(self):
            self.save_hyperparameters(logger=False)
