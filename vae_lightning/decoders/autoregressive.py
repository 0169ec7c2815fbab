"""Autoregressive: a network that reads x in order -> p(x | z) whose pixels depend on those before them."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Size, Tensor, nn

from vae_lightning.conditional import Conditional, Network
from vae_lightning.construction.arguments import check_kinds
from vae_lightning.decoders.autoregressed import Autoregressed
from vae_lightning.families import ExponentialFamily
from vae_lightning.families.pixels import one_pixel
from vae_lightning.nn import Causal


class Autoregressive(nn.Module):
    """p(x | z) = prod_i p(x_i | x_<i, z), every pixel of the family, its parameters of a network of z and x_<i.

    A model builds it of a network that reads x in order, such as `nn.PixelCNN`, where that is given as its `decoder`.
    Its log-density is exact and takes one pass. x is drawn pixel by pixel, and each computes only what is new. With an
    `HVAE` under a `VampPrior` it is the PixelHVAE of Tomczak and Welling (2018).

    Pixels are not independent given z, so what reads off natural parameters (`Consistency`), fills in missing pixels
    or differentiates through x refuses it. E[x | z], which `decode`, `reconstruct` and pictures give, is an average of
    64 draws: it shows what z says of an image, and no image that the model would draw: draw x to see those.

    Args:
        observed: the family of images (C, H, W), Bernoulli or Normal.
        context_shape: of z.
        network: builds the network.

    TypeError for another family, and for a network that does not read x.

    Examples:
        >>> import torch
        >>> from vae_lightning.decoders import Autoregressive
        >>> from vae_lightning.families import Bernoulli
        >>> from vae_lightning.nn import PixelCNN
        >>> decoder = Autoregressive(Bernoulli((1, 8, 8)), (2,), PixelCNN)
        >>> p = decoder(torch.randn(5, 2))
        >>> x = p.sample((3,))
        >>> x.shape, p.log_prob(x).shape
        (torch.Size([3, 5, 1, 8, 8]), torch.Size([3, 5]))
    """

    network: nn.Module

    def __init__(self, observed: ExponentialFamily, context_shape: Sequence[int], network: Network) -> None:
        check_kinds(Autoregressive, locals())
        super().__init__()
        one_pixel(observed)  # TypeError now, not at the first batch
        self.observed, self.context_shape = observed, Size(context_shape)
        self.network = Conditional(observed, context_shape, network).network
        if not isinstance(self.network, Causal):
            raise TypeError(
                f"Autoregressive needs a network that reads x in order, such as nn.PixelCNN, got "
                f"{type(self.network).__name__}: give that to a Conditional"
            )

    @property
    def event_shape(self) -> Size:
        """(C, H, W)."""
        return self.observed.event_shape

    def prototype(self) -> Autoregressed:
        """Of one z, 0, batch shape (1,)."""
        like = next(self.network.parameters(), torch.zeros(()))
        return self(like.new_zeros(1, *self.context_shape))

    def forward(self, c: Tensor) -> Autoregressed:
        """p(x | z), for each row of z."""
        assert isinstance(self.network, Causal), "checked at construction"
        return Autoregressed(self.observed, self.network, self.network.maps(c))


def decoder_of(
    observed: ExponentialFamily, context_shape: Sequence[int], network: Network
) -> Conditional | Autoregressive:
    """p(x | z) of this family and network: a Conditional, or `Autoregressive` where the network reads x in order."""
    conditional = Conditional(observed, context_shape, network)
    built = conditional.network
    return Autoregressive(observed, context_shape, lambda *_: built) if isinstance(built, Causal) else conditional
