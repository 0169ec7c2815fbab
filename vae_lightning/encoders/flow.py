"""FlowEncoder: a network of (mean, log sigma, context) -> q(z | x) as a conditional normalising flow."""

from __future__ import annotations

from collections.abc import Sequence
from importlib import import_module
from math import prod
from types import ModuleType

import torch
import torch.distributions as td
from torch import Size, Tensor, nn
from torch.distributions import Distribution

from vae_lightning.conditional import Network
from vae_lightning.construction.arguments import check_kinds
from vae_lightning.counts import Counts
from vae_lightning.distributions import Flowed
from vae_lightning.encoders.code import code_shape
from vae_lightning.nn import MLP, Outputs

_MAX_LOG_SIGMA = 15.0


class FlowEncoder(nn.Module):
    """q(z | x): z with f(z; c(x)) ~ N(mean(x), diag sigma(x)^2), f a chain of affine couplings of Zuko's (RealNVP).

    Each coupling moves and scales every other entry of z by what a small network says of the rest and of the context
    c(x). It is as quick to sample from as to evaluate, so that the ELBO and the forward KL both train it. The chain
    starts as the identity, and q as the model's own independent Gaussians. It is given where a network is, as the
    `encoder` of `GaussianVAE` or `LiBI`. Needs Zuko: `pip install 'vae-lightning[flows]'`.

    Its KL, entropy and mean have no closed form: train by `ELBO`, `IWAE` or `ForwardKL`; codes are the means of 64
    draws under noise that is always the same. Not in an `Ensemble`, whose vmap cannot pick entries by Zuko's masks.
    ValueError for codes of one entry, which leave nothing to couple.
    Sources: Dinh, Sohl-Dickstein and Bengio, Density estimation using Real NVP (2017); Rezende and Mohamed, Variational
    inference with normalizing flows (2015).

    Args:
        context_shape: of x, bound by the model.
        num_outputs: the parameters of the model's own family, bound by the model, which knows the shape of z.
        network: builds the network x -> (mean, log sigma, c).
        couplings: how many; from two on every entry of z is moved.
        width: of the two hidden layers of a coupling's network.
        context: the number of entries of c.

    Examples:
        >>> from functools import partial
        >>> import torch
        >>> from vae_lightning.encoders import FlowEncoder
        >>> from vae_lightning.families import Normal
        >>> from vae_lightning.models import GaussianVAE
        >>> from vae_lightning.objectives import ForwardKL
        >>> vae = GaussianVAE(4, Normal(6, 0.1), partial(FlowEncoder, couplings=2, width=16), objective=ForwardKL())
        >>> q = vae.model.encoder(torch.randn(5, 6))
        >>> q.log_prob(q.rsample((3,))).shape
        torch.Size([3, 5])
    """

    def __init__(
        self,
        context_shape: Sequence[int],
        num_outputs: int,
        network: Network = MLP,
        couplings: int = 4,
        width: int = 64,
        context: int = 32,
    ) -> None:
        check_kinds(FlowEncoder, locals())
        super().__init__()
        if min(couplings, width, context) < 1:
            raise ValueError(
                f"FlowEncoder needs couplings, width and context of at least 1, got {couplings}, {width} and {context}"
            )
        self.context_shape, self.event_shape = Size(context_shape), code_shape(num_outputs, type(self))
        self.size, self.context = prod(self.event_shape), context
        if self.size < 2:
            raise ValueError("FlowEncoder couples the entries of a code, and needs latent_dim 2 or more")
        theta = Outputs(2 * self.size + context, self.event_shape, [slice(self.size, 2 * self.size)])
        self.network = network(self.context_shape, theta)
        self.couplings = _identities(self.size, context, couplings, width)
        self._composed = _zuko("transforms").ComposedTransform

    def flow(self, context: Tensor) -> td.Transform:
        """f(.; c), for contexts (*B, c)."""
        return self._composed(*(coupling(context) for coupling in self.couplings))

    def prototype(self) -> Distribution:
        """The member at theta = 0, batch shape (1,)."""
        like = next(self.network.parameters(), torch.zeros(()))
        return self._member(like.new_zeros(1, 2 * self.size + self.context))

    def forward(self, c: Tensor | Counts) -> Distribution:
        """q(z | x)."""
        return self._member(self.network(c).to(next(self.couplings.parameters())))

    def _member(self, theta: Tensor) -> Flowed:
        mean, log_sigma, context = theta.split((self.size, self.size, self.context), -1)
        scale = log_sigma.clamp(-_MAX_LOG_SIGMA, _MAX_LOG_SIGMA).exp()
        return Flowed(mean, scale, context, self.flow, self.event_shape)


def _identities(size: int, context: int, couplings: int, width: int) -> nn.ModuleList:
    """So many couplings, each of which holds every other entry, by turns, and moves the rest by nothing yet."""
    masks = [torch.arange(size) % 2 == number % 2 for number in range(couplings)]
    coupling = _zuko("flows.coupling").GeneralCouplingTransform
    chain = [coupling(size, context, mask, hidden_features=(width, width)) for mask in masks]
    for each in chain:
        nn.init.zeros_(each.hyper[-1].weight)
        nn.init.zeros_(each.hyper[-1].bias)
    return nn.ModuleList(chain)


def _zuko(room: str) -> ModuleType:
    """A module of Zuko's; its import turns off the checks of all distributions, which are left as they were."""
    checks = td.Distribution._validate_args
    try:
        return import_module(f"zuko.{room}")
    except ImportError as error:
        raise ValueError(
            "FlowEncoder is a flow of Zuko's, which is not installed: pip install 'vae-lightning[flows]'"
        ) from error
    finally:
        td.Distribution.set_default_validate_args(checks)
