"""BlockEncoder: a network of (mean, log sigma, correlations) -> q(z | x) with full covariance in blocks."""

from __future__ import annotations

from collections.abc import Sequence

from vae_lightning.conditional import Conditional, Network
from vae_lightning.construction.arguments import check_kinds
from vae_lightning.encoders.code import code_shape
from vae_lightning.families import BlockNormal
from vae_lightning.nn import MLP


class BlockEncoder(Conditional):
    """q(z | x) of the family `BlockNormal`: z in blocks of k, correlated within a block and not across.

    It is given where a network is, as the `encoder` of `GaussianVAE` or `LiBI`; k = 1 is their own posterior, k = d the
    full covariance. The network emits d (k + 3) / 2 numbers. ValueError unless k divides d.

    Args:
        context_shape: of x, bound by the model.
        num_outputs: the parameters of the model's own family, bound by the model, which knows the shape of z.
        network: builds the network.
        block: k.

    Examples:
        >>> from functools import partial
        >>> import torch
        >>> from vae_lightning.encoders import BlockEncoder
        >>> from vae_lightning.families import Normal
        >>> from vae_lightning.models import GaussianVAE
        >>> vae = GaussianVAE(4, Normal(6, 0.1), partial(BlockEncoder, block=2))
        >>> vae.model.encoder(torch.randn(5, 6)).covariance.shape  # two blocks for each observation
        torch.Size([5, 2, 2, 2])
    """

    def __init__(self, context_shape: Sequence[int], num_outputs: int, network: Network = MLP, block: int = 10) -> None:
        check_kinds(BlockEncoder, locals())
        super().__init__(BlockNormal(code_shape(num_outputs, type(self)), block), context_shape, network)
