"""CD, PCD and enumeration: a harmonium and a batch of data -> the model's moments, by short chains, long or exactly."""

from __future__ import annotations

from jaxtyping import Float
from torch import Tensor

from vae_lightning.construction.arguments import check_kinds
from vae_lightning.counts import Counts
from vae_lightning.distributions import HELD_BITS
from vae_lightning.families.enumeration import states
from vae_lightning.harmonium.chains import PersistentChains, Stretch
from vae_lightning.harmonium.harmonium import Harmonium
from vae_lightning.harmonium.moments import ContrastiveMoments, Moments
from vae_lightning.harmonium.phase import NegativePhase, Step, at_least_one


class ContrastiveDivergence(NegativePhase):
    """CD-k: chains of k Gibbs steps, started at the data of every batch anew.

    The gradient is biased towards the data, less so the larger k, and of low variance.
    Source: Hinton, Training Products of Experts by Minimizing Contrastive Divergence (2002), Eq. 5.

    Args:
        steps: k, at least 1.

    Examples:
        >>> import torch
        >>> from vae_lightning.families import Bernoulli
        >>> from vae_lightning.harmonium import ContrastiveDivergence
        >>> from vae_lightning.models import RBM
        >>> rbm = RBM(Bernoulli(4), Bernoulli(3), ContrastiveDivergence(steps=1))
        >>> loss, _ = rbm.loss((torch.ones(5, 4), torch.zeros(5)), step=0)
        >>> loss.backward()
        >>> rbm.model.weight.grad.shape  # of the data's moments minus those of one Gibbs step later
        torch.Size([4, 3])
    """

    def __init__(self, steps: int = 1) -> None:
        check_kinds(ContrastiveDivergence, locals())
        super().__init__()
        at_least_one(type(self).__name__, steps=steps)
        self.steps = steps

    def forward(self, model: Harmonium, v: Tensor | Counts, state: Tensor | None = None) -> Step:
        """Both sides, by chains from the data's own h on; documents keep their lengths."""
        model = model.containing(v)
        mean, h = model.hidden.mean_and_sample(model.hidden_natural(v))
        for left in reversed(range(self.steps)):
            samples = model.visible.sample(model.visible_natural(h))
            eta = model.hidden_natural(samples)
            if left:
                h = model.hidden.sample(eta)
        found = model.hidden.mean_statistics(eta)
        return ContrastiveMoments(mean, Moments.of(model, samples, found, 1 / len(samples)), samples), None


class PersistentContrastiveDivergence(PersistentChains):
    """PCD: chains that go on from step to step, k Gibbs steps each; stochastic maximum likelihood.

    The gradient is right as far as the chains keep up with the model: use smaller learning rates than with CD, or
    `ParallelTempering` where they stay in one mode of it. The chains are a buffer, so that a checkpoint holds them, and
    are shared among the processes of a run. Chains of documents have lengths of their own, evenly spaced through those
    of the training documents.
    Source: Tieleman, Training Restricted Boltzmann Machines using Approximations to the Likelihood Gradient (2008).

    Args:
        steps: k, at least 1.
        chains: over all processes, at least one for each.

    Examples:
        >>> from vae_lightning.families import Bernoulli
        >>> from vae_lightning.harmonium import PersistentContrastiveDivergence
        >>> from vae_lightning.models import RBM
        >>> rbm = RBM(Bernoulli(4), Bernoulli(3), PersistentContrastiveDivergence(chains=20))
        >>> [(name, tuple(value.shape)) for name, value in rbm.state_dict().items() if len(value) == 20]
        [('algorithm.hidden', (20, 3)), ('algorithm.totals', (20,))]
    """

    def __init__(self, steps: int = 1, chains: int = 100) -> None:
        check_kinds(PersistentContrastiveDivergence, locals())
        super().__init__(steps, chains)

    def advance(self, model: Harmonium, h: Float[Tensor, "n *Z"]) -> Stretch:
        """K Gibbs steps."""
        for _ in range(self.steps):
            samples = model.visible.sample(model.visible_natural(h))
            found, h = model.hidden.mean_and_sample(model.hidden_natural(samples))
        return Stretch(samples, found, h)


class EnumeratedLikelihood(NegativePhase):
    """The exact gradient, by a sum over every value of h: for models with at most 16 hidden bits, and no documents.

    Of two Normals it is in closed form, of any size. No samples, no noise; what the others are judged by.

    Examples:
        >>> import torch
        >>> from vae_lightning.families import Bernoulli
        >>> from vae_lightning.harmonium import EnumeratedLikelihood
        >>> from vae_lightning.models import RBM
        >>> rbm = RBM(Bernoulli(4), Bernoulli(3), EnumeratedLikelihood())
        >>> loss, _ = rbm.loss((torch.ones(5, 4), torch.zeros(5)), step=0)
        >>> loss.backward()
        >>> rbm.model.weight.grad.shape  # of the likelihood itself, by all codes
        torch.Size([4, 3])
    """

    def attach(self, model: Harmonium) -> None:
        """ValueError for a model with too much to sum over."""
        if model.joint_normal is not None:
            return
        found = states(model.hidden)
        if found is None or found.bits > HELD_BITS or model.has_lengths:
            size = f"2^{found.bits:.0f} values of h" if found else f"{model.hidden}, which cannot be listed"
            raise ValueError(
                f"EnumeratedLikelihood sums over at most 2^{HELD_BITS} values of h, and not for documents; got "
                f"{model.visible} with {size}: use PersistentContrastiveDivergence"
            )

    def forward(self, model: Harmonium, v: Tensor | Counts, state: Tensor | None = None) -> Step:
        """Both sides, with E[T(v) | h] in closed form for every h, weighted by p(h)."""
        mean = model.hidden.mean_statistics(model.hidden_natural(v))
        if (joint := model.joint_normal) is not None:
            return ContrastiveMoments(mean, Moments(*(each.to(model.weight) for each in joint.moments())), None), None
        values = states(model.hidden)
        assert values is not None, "attach refuses what cannot be listed"
        h = values.every(model.weight)
        probability = (-model.hidden_free_energy(h)).softmax(0)[:, None]
        t, s = model.visible.mean_statistics(model.visible_natural(h)), model.hidden.sufficient_statistics(h)
        weighted = probability * s
        moments = Moments(t[:, model.visible.coupled].T @ weighted, (probability * t).sum(0), weighted.sum(0))
        return ContrastiveMoments(mean, moments, None), None
