"""log q(z | x) and log p(z | x) for every code z -> epsilon, alpha and the bounds of Theorem 2."""

from __future__ import annotations

from dataclasses import dataclass

from jaxtyping import Float, Float64
from torch import Tensor

SECOND_PART = 0.647610237891915
"""sup_{r >= 1} log(1 + r)^2 / r, rounded up to the next float64; the proof's Eq. 57b.

It is where the derivative vanishes, 2 r = (1 + r) log(1 + r): at r = 3.92155363..., found to 40 digits.
"""


@dataclass(frozen=True, eq=False)
class Tightness:
    """How far the encoder is from the posterior of its decoder, exactly, over data p_d.

    epsilon = E_pd KL(q(z | x) || p(z | x)) in nats, the ELBO's gap; `alpha` = min of q(z | x) and p(z | x) over z and
    the support of p_d; `delta_squared` = E_pd (log q(z | x) - log p(z | x))^2 for each code z, (codes,);
    `largest_deviation` = max |log q - log p|.
    """

    epsilon: Float64[Tensor, ""]
    alpha: Float64[Tensor, ""]
    delta_squared: Float64[Tensor, " codes"]
    largest_deviation: Float64[Tensor, ""]

    @property
    def leading_bound(self) -> Float64[Tensor, ""]:
        """Epsilon / (2 alpha^2): Theorem 2 to leading order in epsilon."""
        return self.epsilon / (2 * self.alpha.square())

    @property
    def bound(self) -> Float64[Tensor, ""]:
        """What Theorem 2's proof guarantees at any epsilon, as `theorem_2_bound` says."""
        return theorem_2_bound(self.epsilon, self.alpha)


def theorem_2_bound(epsilon: Float[Tensor, ""], alpha: Float[Tensor, ""]) -> Float64[Tensor, ""]:
    """log(1 + r) + 0.6476 r with r = epsilon / (2 alpha^2): at most 0.824 epsilon / alpha^2, with no o(epsilon).

    Bounds, for every z, E_pd (log q(z | x) - log p(z | x))^2, and with it the squared error of log p(x, z) of the
    nearest unnormalised harmonium. It is the sum of the proof's two parts, Eqs. 52d and 57b; often loose a hundredfold.
    Source: Shekhovtsov et al. (2022), Theorem 2 and Propositions A.1 and A.2.
    """
    r = epsilon.double() / (2 * alpha.double().square())
    return r.log1p() + SECOND_PART * r


def tightness(
    log_q: Float[Tensor, "codes N"], log_p: Float[Tensor, "codes N"], weights: Float[Tensor, " N"] | None = None
) -> Tightness:
    """Exact figures over N observations x of probabilities `weights`, by default all equal.

    Args:
        log_q: log q(z | x) for every code z, in nats.
        log_p: log p(z | x), the posterior that decoder and prior imply.
        weights: p_d(x), scaled to add up to one; observations of weight zero do not count.

    Raises:
        ValueError: shapes that differ, weights that are negative or all zero.
    """
    if log_q.shape != log_p.shape or (weights is not None and weights.shape != log_q.shape[1:]):
        shapes = [tuple(t.shape) for t in (log_q, log_p, *([] if weights is None else [weights]))]
        raise ValueError(f"tightness needs log q and log p of shape (codes, N) and weights (N,), got {shapes}")
    log_q, log_p = log_q.double(), log_p.double()
    weights = log_q.new_ones(log_q.shape[1]) if weights is None else weights.double()
    if not (weights.sum() > 0 and (weights >= 0).all()):
        raise ValueError("tightness needs weights >= 0 that add up to more than 0")
    seen = weights > 0
    log_q, log_p, weights = log_q[:, seen], log_p[:, seen], weights[seen] / weights.sum()
    deviation = log_q - log_p
    return Tightness(
        (log_q.exp() * deviation).sum(0) @ weights,
        least_probability(log_q, log_p),
        deviation.square() @ weights,
        deviation.abs().max(),
    )


def least_probability(log_q: Float[Tensor, "codes N"], log_p: Float[Tensor, "codes N"]) -> Float64[Tensor, ""]:
    """Alpha: the least of all q(z | x) and p(z | x)."""
    return min(log_q.min(), log_p.min()).double().exp()
