"""MRFVAE: observations -> two groups of bits that depend on each other."""

from __future__ import annotations

from lightning.pytorch.cli import LRSchedulerCallable, OptimizerCallable
from torch import Tensor

from vae_lightning.conditional import Conditional, Network
from vae_lightning.construction.arguments import check_kinds
from vae_lightning.construction.hyperparameters import only_plain
from vae_lightning.decoders import decoder_of
from vae_lightning.estimators import Enumerated, LeaveOneOut
from vae_lightning.families import Bernoulli, BernoulliMRF, ExponentialFamily, GibbsMRF
from vae_lightning.families.shown import reader
from vae_lightning.latent_variable import Draw, LatentVariableModel
from vae_lightning.models.latent_variable import LatentVariableModule
from vae_lightning.models.optimizers import adam
from vae_lightning.nn import MLP
from vae_lightning.objectives import AnalyticELBO, GibbsELBO, Objective
from vae_lightning.priors import FactorisedPrior, Prior

_FEW_BITS = 8


class MRFVAE(LatentVariableModule):
    """Bernoulli-MRF VAE: q(z | x) ~ exp(<b1(x), z1> + <b2(x), z2> + z1^T V(x) z2), p(x | z) of any family.

    The encoder's couplings V(x) hold what independent bits cannot: posteriors in which two causes explain the same x.
    At V = 0 it is the Bernoulli VAE, `VAE(Bernoulli(m), ...)`. Its consistent models are those of Eq. 11, of which the
    Bernoulli VAE's, restricted Boltzmann machines, are a part.

    With `latent=BernoulliMRF(m1, m2)`, the smaller group of up to 16 bits, all of q is exact: its normaliser, samples
    and KL. Figures, in nats per observation: `nelbo` = `reconstruction` + `kl`. With `latent=GibbsMRF(m1, m2)`, for
    larger groups, samples are biased and the normaliser unknown: there is no bound, so the one figure is
    `gibbs_reconstruction`, -log p(x | z) at samples of block Gibbs, and `train/loss` has no meaning but its gradient;
    best.ckpt is then chosen by `--best.monitor val/gibbs_reconstruction`.

    Args:
        latent: family of q(z | x), the sizes of the two groups.
        observed: family of p(x | z); its event shape is that of the data.
        encoder: builds the network x -> (b1, b2, V row by row), from (context shape, number of outputs).
        decoder: builds the network z -> parameters of p(x | z).
        objective: what training maximises; by default the ELBO with its KL in closed form, and the rest summed over all
            codes up to 8 bits, else by four samples and a leave-one-out baseline. For `GibbsMRF`, `GibbsELBO`.
        prior: p(z); by default uniform bits. `FactorisedPrior(BernoulliMRF(m1, m2), learned=True)` couples them too.
        optimizer: builds the optimizer from the parameters.
        scheduler: builds a learning-rate scheduler, stepped every epoch (or step: `models.EveryStep`).
        evaluation_samples: samples of z per observation in validation and test.

    TypeError for an objective that does not fit the family; ValueError for shapes that disagree.
    Source: Shekhovtsov et al. (2022), section 3.1, Eq. 11; Vahdat et al. (2020).

    Examples:
        >>> import torch
        >>> from vae_lightning.families import Bernoulli, BernoulliMRF
        >>> from vae_lightning.models import MRFVAE
        >>> vae = MRFVAE(BernoulliMRF(2, 1), Bernoulli(6))
        >>> vae.model.encoder(torch.ones(5, 6)).log_prob(torch.ones(3)).shape
        torch.Size([5])
    """

    def __init__(
        self,
        latent: BernoulliMRF | GibbsMRF,
        observed: ExponentialFamily,
        encoder: Network = MLP,
        decoder: Network = MLP,
        objective: Objective | None = None,
        prior: Prior | None = None,
        optimizer: OptimizerCallable = adam,
        scheduler: LRSchedulerCallable | None = None,
        evaluation_samples: int = 1,
    ) -> None:
        check_kinds(MRFVAE, locals())
        model = LatentVariableModel(
            Conditional(latent, observed.event_shape, reader(observed, encoder)),
            decoder_of(observed, latent.event_shape, decoder),
            prior or FactorisedPrior(Bernoulli(latent.event_shape)),
        )
        chosen = objective or _objective(latent)
        if not latent.has_log_partition and not isinstance(chosen, GibbsELBO):
            raise TypeError(
                f"{type(chosen).__name__} needs the log-probability of codes, which {latent} does not know: use "
                "GibbsELBO, or BernoulliMRF with a group of at most 16 bits"
            )
        self.bounded = latent.has_log_partition
        if not self.bounded:
            self.figure_names = ("gibbs_reconstruction",)
        super().__init__(model, chosen, optimizer, scheduler, evaluation_samples)
        with only_plain(self):
            self.save_hyperparameters(logger=False)

    def figures(self, draw: Draw) -> dict[str, Tensor]:
        """One value per observation; without the posterior's normaliser nothing that could pass for a bound."""
        return super().figures(draw) if self.bounded else {"gibbs_reconstruction": -draw.log_likelihood.mean(0)}


def _objective(latent: BernoulliMRF | GibbsMRF) -> Objective:
    if not latent.has_log_partition:
        return GibbsELBO()
    few = latent.event_shape.numel() <= _FEW_BITS
    return AnalyticELBO(Enumerated() if few else LeaveOneOut(4))
