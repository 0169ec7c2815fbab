"""A harmonium's two conditionals and its marginal as the decoder, the encoder and the prior of a VAE."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar

import torch
import torch.distributions as td
from jaxtyping import Float
from torch import Size, Tensor, nn
from torch.distributions import Distribution

from vae_lightning.distributions import SUMMED_BITS, States
from vae_lightning.families import ExponentialFamily
from vae_lightning.families.enumeration import in_chunks, states
from vae_lightning.harmonium.harmonium import Harmonium
from vae_lightning.priors import Prior

_MAX_ELEMENTS = 2**22


class HiddenGiven(nn.Module):
    """q(z | x) = p(h = z | v = x), of natural parameters b + W^T T(x): the encoder of a tight VAE (Eq. 6).

    Examples:
        >>> import torch
        >>> from vae_lightning.consistency import HiddenGiven
        >>> from vae_lightning.families import Bernoulli
        >>> from vae_lightning.harmonium import Harmonium
        >>> rbm = Harmonium(Bernoulli(4), Bernoulli(2))
        >>> encoder, v = HiddenGiven(rbm), torch.ones(5, 4)
        >>> torch.equal(encoder(v).mean, rbm.hidden_given(v).mean)
        True
    """

    def __init__(self, harmonium: Harmonium) -> None:
        super().__init__()
        self.harmonium = harmonium
        self.context_shape, self.event_shape = harmonium.visible.event_shape, harmonium.hidden.event_shape

    @property
    def family(self) -> ExponentialFamily:
        """The hidden one."""
        return self.harmonium.hidden

    def prototype(self) -> Distribution:
        """The member where nothing comes from x, batch shape (1,)."""
        return self.family.distribution(self.harmonium.b[None])

    def natural_parameters(self, x: Any) -> Float[Tensor, "*B P"]:
        """b + W^T T(x)."""
        return self.harmonium.hidden_natural(x)

    def forward(self, x: Any) -> Distribution:
        """Q(z | x)."""
        return self.harmonium.hidden_given(x)


class VisibleGiven(nn.Module):
    """p(x | z) = p(v = x | h = z), of natural parameters a + W S(z): the decoder of a tight VAE (Eq. 5).

    Examples:
        >>> import torch
        >>> from vae_lightning.consistency import VisibleGiven
        >>> from vae_lightning.families import Bernoulli
        >>> from vae_lightning.harmonium import Harmonium
        >>> rbm = Harmonium(Bernoulli(4), Bernoulli(2))
        >>> decoder, h = VisibleGiven(rbm), torch.ones(5, 2)
        >>> torch.equal(decoder(h).mean, rbm.visible_given(h).mean)
        True
    """

    def __init__(self, harmonium: Harmonium) -> None:
        super().__init__()
        self.harmonium = harmonium
        self.context_shape, self.event_shape = harmonium.hidden.event_shape, harmonium.visible.event_shape

    @property
    def family(self) -> ExponentialFamily:
        """The visible one."""
        return self.harmonium.visible

    def prototype(self) -> Distribution:
        """The member where nothing comes from z, batch shape (1,)."""
        return self.family.distribution(self.harmonium.a[None])

    def natural_parameters(self, z: Tensor) -> Float[Tensor, "*B P"]:
        """a + W S(z)."""
        return self.harmonium.visible_natural(z)

    def forward(self, z: Tensor) -> Distribution:
        """P(x | z)."""
        return self.harmonium.visible_given(z)


class HarmoniumPrior(Prior):
    """p(z) = exp(log h(z) + <b, S(z)> + A(a + W S(z))) / Z, the marginal of a harmonium's hidden side.

    The only prior under which an affine decoder has posteriors of the encoder's family. Where W = 0, or visible
    Gaussians have orthogonal columns of W, it is factorised; a fixed, factorised prior is consistent with no other W.

    Examples:
        >>> import torch
        >>> from vae_lightning.consistency import HarmoniumPrior
        >>> from vae_lightning.families import Bernoulli
        >>> from vae_lightning.harmonium import Harmonium
        >>> prior = HarmoniumPrior(Harmonium(Bernoulli(4), Bernoulli(2)))
        >>> codes = torch.cartesian_prod(torch.tensor([0.0, 1.0]), torch.tensor([0.0, 1.0]))
        >>> round(prior().log_prob(codes).exp().sum().item(), 4)
        1.0
    """

    def __init__(self, harmonium: Harmonium) -> None:
        super().__init__()
        self.harmonium, self.event_shape = harmonium, harmonium.hidden.event_shape

    def forward(self) -> HiddenMarginal:
        """P(z); ValueError for a log-partition that cannot be enumerated."""
        return HiddenMarginal(self.harmonium)


class HiddenMarginal(td.Distribution):
    """The marginal of h; exact: of two Normals in closed form, else by enumerating a side of at most 20 bits."""

    arg_constraints: ClassVar[dict[str, Any]] = {}

    def __init__(self, harmonium: Harmonium, batch_shape: Size = Size()) -> None:  # noqa: B008  (immutable)
        self.harmonium = harmonium
        super().__init__(batch_shape, harmonium.hidden.event_shape, validate_args=False)

    def expand(self, batch_shape: Any, _instance: Any = None) -> td.Distribution:
        """The same density for every entry of a batch."""
        return HiddenMarginal(self.harmonium, Size(batch_shape))

    def log_prob(self, z: Float[Tensor, "*batch_and_event"]) -> Float[Tensor, "*batch"]:
        """Log p(z) = -F(z) - log Z, in nats."""
        return -self.harmonium.hidden_free_energy(z) - self.harmonium.log_partition()

    @torch.no_grad()
    def sample(self, sample_shape: Any = ()) -> Tensor:
        """Exact: z by its probability where codes are few, else x by its own and then z given x.

        ValueError where both sides have more than 2^20 values.
        """
        shape, model = Size(sample_shape) + self.batch_shape, self.harmonium
        if (joint := model.joint_normal) is not None:
            return joint.hidden_sample(shape)
        codes, observations = states(model.hidden), states(model.visible)
        if codes is not None and codes.bits <= SUMMED_BITS:
            return self._drawn(codes, model.hidden_free_energy, shape)
        if observations is not None and observations.bits <= SUMMED_BITS:
            return model.hidden_given(self._drawn(observations, model.free_energy, shape)).sample()
        fewer = min((side.bits for side in (codes, observations) if side is not None), default=None)
        size = "neither can be listed" if fewer is None else f"here 2^{fewer:.0f}"
        raise ValueError(
            f"exact samples of p(z) sum over all values of {model.hidden} or of {model.visible}, at most "
            f"2^{SUMMED_BITS}; {size}: use harmonium.gibbs, whose chains need no sum"
        )

    def _drawn(self, side: States, free_energy: Callable[[Tensor], Tensor], shape: Size) -> Tensor:
        """Values of a side by their probability, exp(-F) / Z."""
        weight = self.harmonium.weight
        chunk = _MAX_ELEMENTS // (self.harmonium.visible.num_parameters + self.harmonium.hidden.num_parameters)
        logits = in_chunks(lambda index: -free_energy(side.numbered(index, weight)), side.count, chunk, weight.device)
        return side.numbered(td.Categorical(logits=logits).sample(shape), weight)
