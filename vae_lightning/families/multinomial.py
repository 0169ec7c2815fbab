"""Multinomial: logits over a vocabulary -> bags of words whose length differs by row, dense or sparse."""

from __future__ import annotations

from typing import TypeVar

import torch
import torch.distributions as td
from jaxtyping import Float, Shaped
from torch import Size, Tensor
from torch.distributions import constraints

from vae_lightning.affine import Affine, Eta, dense
from vae_lightning.construction.arguments import check_kinds
from vae_lightning.counts import Counts
from vae_lightning.distributions import is_bag_of_words
from vae_lightning.families.base import ExponentialFamily

_EDGE = 1e-4

Theta = TypeVar("Theta", Tensor, Affine)


class Multinomial(ExponentialFamily):
    """Word counts of a document of length l: T(x) = x, A(eta) = l logsumexp(eta), h(x) = l! / prod_k x_k!.

    The length is not part of the model: log_prob takes it from x. A and sampling need it: `given(total)` binds it.
    The command takes the number of words from the data where it is left out.
    Source: Shekhovtsov et al. (2022), Eq. 13.

    Examples:
        >>> import torch
        >>> from vae_lightning.families import Multinomial
        >>> p = Multinomial(4).distribution(torch.zeros(1, 4))  # all words equally likely
        >>> x = torch.tensor([[2.0, 1.0, 0.0, 0.0]])  # a document of three words
        >>> round(p.log_prob(x).exp().item(), 4)  # 3! / 2! / 4^3
        0.0469
    """

    has_length = True

    def __init__(self, num_words: int | None = None, total: Shaped[Tensor, "*B"] | None = None) -> None:
        check_kinds(Multinomial, locals())
        if num_words is None:
            raise ValueError("Multinomial needs the number of words: give num_words=data.num_words")
        if num_words < 2:
            raise ValueError(f"Multinomial needs at least 2 words, got {num_words}")
        self.event_shape = Size([num_words])
        self.num_parameters = num_words
        self.total = total
        self._words: int | None = None

    def given(self, total: Shaped[Tensor, "*B"], words: int | None = None) -> Multinomial:
        """The family of documents of these lengths, `words` in all if that is known."""
        family = Multinomial(self.num_parameters, total)
        family._words = words
        return family

    @property
    def wants_total(self) -> bool:
        """Whether no lengths are bound yet."""
        return self.total is None

    def containing(self, x: Tensor | Counts) -> Multinomial:
        """The family of documents as long as these."""
        return self.given(x.total, x.words) if isinstance(x, Counts) else self.given(x.sum(-1))

    def sufficient_statistics(self, x: Tensor | Counts) -> Float[Tensor, "*B P"]:
        """T(x) = x, dense."""
        return x.dense(self.num_parameters) if isinstance(x, Counts) else x

    def log_base_measure(self, x: Tensor | Counts) -> Float[Tensor, "*B"]:
        """Log l! - sum_k log x_k!."""
        return log_multinomial_coefficient(x)

    def field(self, x: Tensor | Counts, weight: Tensor) -> Tensor:
        """x W, sparse where x is."""
        return x @ weight

    def log_factor(self, x: Tensor | Counts, eta: Tensor) -> Tensor:
        """log h(x) + <eta, x>, sparse where x is."""
        return log_multinomial_coefficient(x) + x @ eta

    def log_partition(self, eta: Float[Tensor, "*B P"]) -> Float[Tensor, "*S"]:
        """A(eta) = l logsumexp(eta), eta's batch broadcast against that of the lengths; ValueError without lengths."""
        if self.total is None:
            raise ValueError("the log-partition of a Multinomial depends on the document lengths: use given(total)")
        return self.total * eta.logsumexp(-1)

    def mean_statistics(self, eta: Float[Tensor, "*B P"]) -> Float[Tensor, "*B P"]:
        """l softmax(eta)."""
        return self.distribution(eta).mean

    def fitted(self, mean: Float[Tensor, "*B P"]) -> Float[Tensor, "*B P"]:
        """log(mean), the mean kept above one occurrence in 10,000 documents."""
        return mean.clamp_min(_EDGE).log()

    def canonical(self, eta: Float[Tensor, "*B P"]) -> Float[Tensor, "*B P"]:
        """The logits shifted to a mean of zero, which no document of any length notices."""
        return eta - eta.mean(-1, keepdim=True)

    def constrain(self, theta: Theta) -> Theta:
        """Any logits are natural parameters; an Affine map stays one."""
        return theta

    def distribution(self, eta: Eta) -> BagOfWords:
        """Documents whose words are drawn from softmax(eta)."""
        return BagOfWords(eta, self.total, self._words)


class BagOfWords(td.Distribution):
    """Counts of `total` independent draws from softmax(logits); log_prob takes dense rows or sparse `Counts`."""

    arg_constraints = {"logits": constraints.real_vector}  # noqa: RUF012  (torch's own convention)
    support = constraints.independent(constraints.nonnegative_integer, 1)

    def __init__(self, logits: Eta, total: Tensor | None = None, words: int | None = None) -> None:
        self.natural, self.total, self._words = logits, total, words
        super().__init__(logits.shape[:-1], logits.shape[-1:], validate_args=False)

    @property
    def logits(self) -> Float[Tensor, "*B K"]:
        """Normalised log-probabilities of the words."""
        return dense(self.natural).log_softmax(-1)

    def log_prob(self, x: Tensor | Counts) -> Float[Tensor, "*S"]:
        """Log l! / prod x_k! + <x, eta> - l logsumexp(eta), for the rows of x along the last axis of the batch."""
        if isinstance(x, Tensor):
            return log_multinomial_coefficient(x) + (x * self.logits).sum(-1)
        if isinstance(self.natural, Affine):
            inner, log_normaliser = self.natural.inner(x), self.natural.logsumexp()
        else:
            inner, log_normaliser = x.inner(self.natural), self.natural.logsumexp(-1)
        return log_multinomial_coefficient(x) + inner - x.total * log_normaliser

    @property
    def mean(self) -> Float[Tensor, "*B K"]:
        """E[x] = l softmax(eta)."""
        return self._lengths()[..., None] * self.logits.exp()

    @torch.no_grad()
    def sample(self, sample_shape: Size | list[int] | tuple[int, ...] = ()) -> Float[Tensor, "*S K"]:
        """Documents of the given lengths, dense."""
        shape = self._extended_shape(Size(sample_shape))
        # one search for all words of all documents: document n's words lie from n to n + 1
        ends = self.logits.exp().expand(shape).reshape(-1, shape[-1]).double().cumsum(-1)
        total = self._lengths()
        lengths = total.expand(shape[:-1]).reshape(-1).long()
        document = torch.arange(len(lengths), device=lengths.device)
        ends = ends.div_(ends[:, -1:].clone()).add_(document[:, None])
        told = None if self._words is None else self._words * len(lengths) // max(total.numel(), 1)
        words = document.repeat_interleave(lengths, output_size=told).double()
        found = torch.searchsorted(ends.flatten(), words + torch.rand_like(words), right=True)
        # not bincount, which waits for the device
        counts = torch.zeros(ends.numel(), dtype=self.logits.dtype, device=found.device)
        return counts.index_add_(0, found, counts.new_ones(1).expand(len(found))).reshape(shape)

    def _lengths(self) -> Tensor:
        if self.total is None:
            raise ValueError("the document lengths are not known: use Multinomial.given(total)")
        return self.total


@is_bag_of_words.register
def _(q: BagOfWords) -> bool:
    return True


def log_multinomial_coefficient(x: Tensor | Counts) -> Float[Tensor, "*B"]:
    """Log l! / prod_k x_k!, the base measure of a document, in nats."""
    if isinstance(x, Counts):
        return x.log_arrangements
    return torch.lgamma(x.sum(-1) + 1) - torch.lgamma(x + 1).sum(-1)


def saturated_log_likelihood(x: Counts) -> Float[Tensor, " B"]:
    """Log-likelihood of each document under its own word frequencies: log l! / prod x_k! + sum_k x_k log(x_k / l).

    The most that any multinomial can give a document. `deviance` is the NELBO relative to it.
    """
    return x.log_arrangements + x.log_saturated
