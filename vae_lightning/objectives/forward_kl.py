"""ForwardKL: the encoder fitted to the model's own joint samples."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor

from vae_lightning.conditional import Conditional
from vae_lightning.construction.arguments import check_kinds
from vae_lightning.counts import Counts
from vae_lightning.distributions import sample
from vae_lightning.latent_variable import LatentVariableModel
from vae_lightning.objectives.base import Objective
from vae_lightning.randomness import Noise


class ForwardKL(Objective):
    """E_{p(x, z)} log q(z | x): z from the prior, x from the decoder, as many pairs as the batch has rows.

    Up to a constant of the model it is -E_{p(x)} KL(p(z | x) || q(z | x)), so that the best encoder is the posterior
    where its family has it, and covers all modes elsewhere. Only the encoder gets a gradient: of the data it sees the
    number of rows, which entries are missing and, where they are no part of the model, lengths. Alone it fits an
    encoder to a decoder that is there; `Alternating` trains both. In nats of a density over z; no bound on log p(x).
    Several processes (DDP) need `strategy: ddp_find_unused_parameters_true`.
    Sources: Hinton et al., The wake-sleep algorithm (1995), its sleep phase; Shekhovtsov et al. (2022), Appendix B.

    Examples:
        >>> import torch
        >>> from vae_lightning.families import Bernoulli
        >>> from vae_lightning.models import GaussianVAE
        >>> from vae_lightning.objectives import ForwardKL
        >>> model = GaussianVAE(2, Bernoulli(6)).model
        >>> ForwardKL()(model, torch.ones(5, 6)).shape  # log q(z | x) of five pairs that the model dreams
        torch.Size([5])
    """

    def __init__(self) -> None:
        check_kinds(ForwardKL, locals())
        super().__init__()
        self.noise = Noise()

    def forward(self, model: LatentVariableModel, x: Tensor | Counts) -> Float[Tensor, " batch"]:
        """Log q(z | x) of each pair, (B,)."""
        z, imagined = self._dream(model, x)
        return model.encoder(imagined).log_prob(z)

    @torch.no_grad()
    def _dream(self, model: LatentVariableModel, x: Tensor | Counts) -> tuple[Tensor, Tensor | Counts]:
        z = sample(model.prior(), len(x), self.noise)
        decoder = model.decoder
        # documents are as long as those of the batch
        likelihood = decoder(z, decoder.family.containing(x)) if isinstance(decoder, Conditional) else decoder(z)
        imagined = sample(likelihood, 1, self.noise)[0]
        if isinstance(x, Counts):
            return z, Counts.from_dense(imagined)
        # entries are missing as they are in the batch, so that q(z | x) is fitted of what is left too
        return z, torch.where(x.isnan(), x, imagined)
