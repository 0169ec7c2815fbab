"""Harmonium: two exponential families and a coupling -> a joint p(v, h) whose conditionals are both known; RBMs."""

from __future__ import annotations

import copy

import torch
from jaxtyping import Float, Float64
from torch import Size, Tensor, nn
from torch.distributions import Distribution

from vae_lightning.construction.arguments import check_kinds
from vae_lightning.counts import Counts
from vae_lightning.distributions import SUMMED_BITS
from vae_lightning.families import ExponentialFamily
from vae_lightning.families.correlated.joint_normal import JointNormal, both_normal, joint_normal
from vae_lightning.families.enumeration import in_chunks, states
from vae_lightning.harmonium.annealing import LogMean, anneal, ascending
from vae_lightning.harmonium.checks import check_families
from vae_lightning.harmonium.uncoupling import Uncoupling

_MAX_ELEMENTS = 2**22


class Harmonium(nn.Module):
    """p(v, h) = exp(-E(v, h)) / Z with -E = log h_v(v) + log h_h(h) + <a, T(v)> + <b, S(h)> + T(v)^T W S(h).

    h_v and h_h are the base measures, and T and S the statistics, of the two families.
    `weight` W, (C_v, C_h), spans the statistics that the families let be coupled (a Normal's x, not its x^2), so that
    every W normalises, but for two Normals (`JointNormal` says where). The biases pass through `constrain`:
    `visible_bias` of Normal(d) is (mean, log sigma), (P_v,).
    Bernoulli x Bernoulli is the RBM, Normal x Bernoulli the Gaussian-Bernoulli one (in Eq. 10's terms a mixture of 2^m
    Gaussians), Normal x Normal the joint Gaussian of the linear Gaussian VAE, probabilistic PCA (Eq. 10), and Bernoulli
    x BernoulliMRF the model of the Bernoulli-MRF VAE (Eq. 11).

    Multinomial x Bernoulli models documents of known length l, which log_prob and gibbs read off v, and log_partition
    takes from `given(total)`. Its hidden bias is not scaled by l (Eq. 15). The replicated softmax, whose bias is l b,
    is the harmonium with hidden bias 0 and b added to every row of W.

    v is (*B, *E) or a batch of `Counts`, h (*B, *Z); energies and log-densities are (*B), in nats. Raises ValueError
    for families whose product does not normalise; of two Normals, whenever log Z is asked, for a W that does not.
    Source: Welling, Rosen-Zvi, Hinton, Exponential Family Harmoniums (2005); Shekhovtsov et al. (2022), Eq. 7.

    Examples:
        >>> import torch
        >>> from vae_lightning.families import Bernoulli
        >>> from vae_lightning.harmonium import Harmonium
        >>> rbm = Harmonium(Bernoulli(4), Bernoulli(3))
        >>> _ = torch.nn.init.zeros_(rbm.weight)
        >>> round(rbm.log_partition().item(), 4)  # 7 log 2
        4.852
        >>> rbm.gibbs(torch.zeros(5, 4), steps=10).shape
        torch.Size([5, 4])
    """

    def __init__(self, visible: ExponentialFamily, hidden: ExponentialFamily) -> None:
        check_kinds(Harmonium, locals())
        super().__init__()
        check_families(visible, hidden)
        self.visible, self.hidden = visible, hidden
        self._normal = both_normal(visible, hidden)
        coupled = (len(range(family.num_parameters)[family.coupled]) for family in (visible, hidden))
        self.weight = nn.Parameter(0.01 * torch.randn(*coupled))
        self.visible_bias = nn.Parameter(torch.zeros(visible.num_parameters))
        self.hidden_bias = nn.Parameter(torch.zeros(hidden.num_parameters))
        self.shrink()

    def given(self, total: Tensor, words: int | None = None) -> Harmonium:
        """This model of documents of these lengths, (*L), sharing its parameters; TypeError if v has no length."""
        return self._of(self.visible.given(total, words))

    @property
    def has_lengths(self) -> bool:
        """Whether v are documents, whose lengths are not modelled."""
        return self.visible.has_length

    @property
    def log_partition_shape(self) -> Size:
        """(*L) for documents of lengths (*L), else ()."""
        return self.visible.log_partition(self.a).shape

    def containing(self, v: Tensor | Counts) -> Harmonium:
        """This model of documents as long as these; for other families, itself."""
        return self._of(self.visible.containing(v)) if self.visible.has_length else self

    @property
    def joint_normal(self) -> JointNormal | None:
        """The joint Gaussian that a pair of Normals is; None for other families."""
        return joint_normal(self.visible, self.hidden, self.a, self.b, self.weight) if self._normal else None

    @property
    def a(self) -> Float[Tensor, " P"]:
        """The visible natural parameters where nothing comes from h."""
        return self.visible.constrain(self.visible_bias)

    @property
    def b(self) -> Float[Tensor, " P"]:
        """The hidden natural parameters where nothing comes from v."""
        return self.hidden.constrain(self.hidden_bias)

    def energy(self, v: Tensor | Counts, h: Tensor) -> Float[Tensor, "*B"]:
        """E(v, h) = -log of the unnormalised joint, base measures included."""
        coupling = (self.visible.field(v, self.weight) * self.hidden.coupled_statistics(h)).sum(-1)
        return -(self.visible.log_factor(v, self.a) + self.hidden.log_factor(h, self.b) + coupling)

    def hidden_natural(self, v: Tensor | Counts) -> Float[Tensor, "*B P"]:
        """b + W^T T(v), the natural parameters of p(h | v)."""
        return self.hidden.shifted(self.b, self.visible.field(v, self.weight))

    def visible_natural(self, h: Tensor) -> Float[Tensor, "*B P"]:
        """a + W S(h), the natural parameters of p(v | h)."""
        return self.visible.shifted(self.a, self.hidden.field(h, self.weight.T))

    def hidden_given(self, v: Tensor | Counts) -> Distribution:
        """p(h | v)."""
        return self.hidden.distribution(self.hidden_natural(v))

    def visible_given(self, h: Tensor) -> Distribution:
        """p(v | h)."""
        return self.visible.distribution(self.visible_natural(h))

    def free_energy(self, v: Tensor | Counts) -> Float[Tensor, "*B"]:
        """F(v) = -log sum_h exp(-E(v, h)) = -log h_v(v) - <a, T(v)> - A(b + W^T T(v)); A sums softplus for bits."""
        return -self.visible.log_factor(v, self.a) - self.hidden.log_partition(self.hidden_natural(v))

    def hidden_free_energy(self, h: Tensor) -> Float[Tensor, "*B"]:
        """-log sum_v exp(-E(v, h)) = -log h_h(h) - <b, S(h)> - A(a + W S(h))."""
        return -self.hidden.log_factor(h, self.b) - self.visible.log_partition(self.visible_natural(h))

    @torch.no_grad()
    def gibbs(self, v: Tensor | Counts, steps: int) -> Tensor:
        """So many steps of h ~ p(h | v), v ~ p(v | h), which leave p(v) invariant; documents keep their lengths."""
        if steps < 1:
            raise ValueError(f"gibbs needs at least 1 step, got {steps}")
        model = self.containing(v)
        for _ in range(steps):
            v = model.visible.sample(model.visible_natural(model.hidden.sample(model.hidden_natural(v))))
        return v  # type: ignore[return-value]  # a sample is dense

    def log_prob(self, v: Tensor | Counts) -> Float[Tensor, "*B"]:
        """Log p(v) = -F(v) - log Z, exact; raises ValueError where `log_partition` does."""
        return -self.free_energy(v) - self.containing(v).log_partition()

    def log_partition(self) -> Float[Tensor, "*L"]:
        """Log Z, exact and with a gradient, by enumerating the smaller finite side; (*L) for documents of lengths (*L).

        Of two Normals in closed form. ValueError if both sides have more than 2^20 values, or Z is infinite.
        """
        if (joint := self.joint_normal) is not None:
            return joint.log_partition().to(self.weight.dtype)
        sides = ((self.visible, self.free_energy), (self.hidden, self.hidden_free_energy))
        finite = [(found, free_energy) for family, free_energy in sides if (found := states(family))]
        side, free_energy = min(finite, key=lambda pair: pair[0].bits, default=(None, None))
        if side is None or free_energy is None or side.bits > SUMMED_BITS:
            size = f"2^{side.bits:.0f} values" if side else "neither can be listed"
            raise ValueError(
                f"log_partition sums over all values of the smaller side: here {size}, the limit is 2^{SUMMED_BITS}; "
                "use annealed_log_partition"
            )
        lengths = self.log_partition_shape

        def term(index: Tensor) -> Tensor:
            x = side.numbered(index, self.weight)
            return -free_energy(x.reshape(len(x), *[1] * len(lengths), *side.event_shape))

        chunk = _MAX_ELEMENTS // (self.visible.num_parameters + self.hidden.num_parameters + lengths.numel())
        return in_chunks(term, side.count, chunk, self.weight.device).logsumexp(0)

    def check(self) -> None:
        """ValueError for two Normals with a W whose joint is no density."""
        if self._normal and (joint := self.joint_normal) is not None:
            joint.check()

    def nan_unless_normalised(self) -> Float[Tensor, ""]:
        """0, or NaN where `check` would raise; nobody waits for the device to tell."""
        if self._normal and (joint := self.joint_normal) is not None:
            return joint.nan_unless_normalised().to(self.weight.dtype)
        return self.weight.new_zeros(())

    @torch.no_grad()
    def shrink(self) -> None:
        """Scale the W of two Normals down where it makes no density: where training starts."""
        if (joint := self.joint_normal) is not None:
            self.weight.mul_(joint.shrinkage())

    @torch.no_grad()
    def annealed_log_partition(self, num_chains: int, betas: Tensor, start: Tensor | None = None) -> LogMean:
        """Log Z by annealed importance sampling from W = 0 to W; Z's estimate is unbiased, its log too low on average.

        `betas` goes from 0 to 1; the more steps, the better. The chains start from independent v and h, h at its bias
        and v at the visible bias `start`, (P_v,), e.g. that of the data's own mean (default: the model's visible bias).
        Source: Salakhutdinov, Murray, On the Quantitative Analysis of Deep Belief Networks (2008), Sec. 4.1.
        """
        return LogMean.of(self.annealed_log_weights(num_chains, betas, start))

    @torch.no_grad()
    def annealed_log_weights(
        self, num_chains: int, betas: Tensor, start: Tensor | None = None
    ) -> Float64[Tensor, "chains *L"]:
        """The logs of `annealed_log_partition`'s independent estimates of Z, for who gathers chains from elsewhere."""
        self.check()
        if num_chains < 1:
            raise ValueError(f"annealing needs at least 1 chain, and 2 for a standard error; got {num_chains}")
        path, betas = self._uncoupling(start), ascending(betas)
        return path.log_partition_at_zero() + anneal(path, path.sample_at_zero(num_chains), betas)

    @torch.no_grad()
    def reverse_annealed_log_partition(self, v: Tensor, betas: Tensor, start: Tensor | None = None) -> LogMean:
        """Log Z by annealing from samples v of this model, (chains, *L, *E), to W = 0: its log is too high on average.

        With exact samples it brackets log Z from above, as `annealed_log_partition` does from below. Samples of long
        Gibbs chains bracket it only as far as they have mixed.
        Source: Burda, Grosse, Salakhutdinov, Accurate and Conservative Estimates of MRF Log-Likelihood (2015).
        """
        self.check()
        path = self._uncoupling(start)
        ratio = LogMean.of(anneal(path, v, ascending(betas).flip(0)))
        value = path.log_partition_at_zero() - ratio.value
        return LogMean(value, ratio.stderr, ratio.effective_sample_size)

    def extra_repr(self) -> str:
        """Shown by print(model)."""
        return f"{self.visible}, {self.hidden}"

    def _of(self, visible: ExponentialFamily) -> Harmonium:
        """This model with another visible family of as many parameters; the parameters themselves are shared."""
        other = copy.copy(self)
        other.visible = visible
        return other

    def _uncoupling(self, visible_bias: Tensor | None) -> Uncoupling:
        a = self.a
        start = a if visible_bias is None else self.visible.constrain(visible_bias.to(self.weight))
        return Uncoupling(self.visible, self.hidden, a, self.b, self.weight, start)
