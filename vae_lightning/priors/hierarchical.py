"""HierarchicalPrior: a prior of the top level and a conditional of the lower one."""

from __future__ import annotations

from torch import Size, Tensor, nn
from torch.distributions import Distribution

from vae_lightning.conditional import Conditional
from vae_lightning.construction.arguments import check_kinds
from vae_lightning.hierarchical import Chain, HierarchicalConditional
from vae_lightning.nn import TrainingRows
from vae_lightning.priors.base import Prior


class HierarchicalPrior(Prior):
    """p(z2) p(z1 | z2), over the vector (z2, z1).

    With a `VampPrior` on top it is the two-level prior of Tomczak and Welling (2018, Eq. 11), whose members are the
    encoder's q(z2 | u_k). ValueError unless `lower` takes what `top` gives, and for an encoder of one level.

    Examples:
        >>> from vae_lightning.conditional import Conditional
        >>> from vae_lightning.families import Normal
        >>> from vae_lightning.nn import MLP
        >>> from vae_lightning.priors import FactorisedPrior, HierarchicalPrior
        >>> prior = HierarchicalPrior(FactorisedPrior(Normal(2)), Conditional(Normal(3), (2,), MLP))
        >>> prior().sample((5,)).shape  # z2 and z1 side by side
        torch.Size([5, 5])
    """

    def __init__(self, top: Prior, lower: Conditional) -> None:
        check_kinds(HierarchicalPrior, locals())
        super().__init__()
        if lower.context_shape != top.event_shape:
            raise ValueError(
                f"p(z1 | z2) takes z2 of shape {tuple(lower.context_shape)} but the prior on top gives "
                f"{tuple(top.event_shape)}: set its latent_shape to the first of latent_dims"
            )
        self.top, self.lower = top, lower
        self.event_shape = Size([top.event_shape[0] + lower.event_shape[0]])

    def attach(self, encoder: nn.Module, data: TrainingRows | Tensor | None = None) -> None:
        """Show the top its own level of the encoder."""
        if not isinstance(encoder, HierarchicalConditional):
            raise ValueError(f"HierarchicalPrior needs an encoder of two levels, got {type(encoder).__name__}")
        self.top.attach(encoder.top, data)

    def forward(self) -> Distribution:
        """p(z2, z1)."""
        return Chain(self.top(), self.lower, self.lower.event_shape[0])
