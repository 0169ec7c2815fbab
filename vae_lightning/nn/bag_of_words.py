"""Networks at both ends of a bag of words: sparse counts -> tensor, tensor -> logits of the words."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import torch
from jaxtyping import Float
from torch import Tensor, nn

from vae_lightning.affine import Affine
from vae_lightning.counts import Counts
from vae_lightning.nn.mlp import hidden_layers
from vae_lightning.nn.starting import TrainingData, documents


class Features(nn.Module):
    """How the words of a document are weighed before the first layer. This one: by their counts, as they are.

    Evidence adds up: with counts the logits of a code grow with the document's length, as the posterior's do
    (Shekhovtsov et al. 2022, section 3.1).
    """

    def __init__(self, num_words: int) -> None:
        super().__init__()
        self.num_words = num_words

    def forward(self, x: Counts) -> Counts:
        """The same words with the features' values."""
        return x

    def attach(self, x: Counts) -> None:
        """Learn what the features need of the training documents; counts need nothing."""

    def start_from(self, data: TrainingData) -> None:
        """Attach the training documents."""
        self.attach(documents(data))


class WordCounts(Features):
    """x_k, the word's count: the paper's encoder e1.

    Examples:
        >>> import torch
        >>> from vae_lightning.counts import Counts
        >>> from vae_lightning.nn import WordCounts
        >>> WordCounts(3)(Counts.from_dense(torch.tensor([[2.0, 0.0, 1.0]]))).dense(3)
        tensor([[2., 0., 1.]])
    """


class WordFrequencies(Features):
    """x_k / l, the count relative to the document's length: the paper's encoders e2 and e3.

    Examples:
        >>> import torch
        >>> from vae_lightning.counts import Counts
        >>> from vae_lightning.nn import WordFrequencies
        >>> WordFrequencies(3)(Counts.from_dense(torch.tensor([[3.0, 0.0, 1.0]]))).dense(3)
        tensor([[0.7500, 0.0000, 0.2500]])
    """

    def forward(self, x: Counts) -> Counts:
        """An empty document stays empty."""
        return x.with_values(x.values / x.total[x.rows])


class ScaledFrequencies(Features):
    """c x_k / l with c the mean length of the training documents: counts of a document stretched to that length.

    The constant is a matter of units, which a first layer absorbs: the functions are those of `WordFrequencies`. But
    the features are as large as counts, and a network learns from them as fast. c is 1 until `attach`.

    Examples:
        >>> import torch
        >>> from vae_lightning.counts import Counts
        >>> from vae_lightning.nn import ScaledFrequencies
        >>> features = ScaledFrequencies(3)
        >>> features.attach(Counts.from_dense(torch.tensor([[3.0, 0.0, 1.0], [0.0, 8.0, 0.0]])))  # six words on average
        >>> features(Counts.from_dense(torch.tensor([[3.0, 0.0, 1.0]]))).dense(3)
        tensor([[4.5000, 0.0000, 1.5000]])
    """

    scale: Tensor

    def __init__(self, num_words: int) -> None:
        super().__init__(num_words)
        self.register_buffer("scale", torch.ones(()))

    def attach(self, x: Counts) -> None:
        """Measure the mean length."""
        self.scale.copy_(x.total.mean())

    def forward(self, x: Counts) -> Counts:
        """An empty document stays empty."""
        return x.with_values(x.values * (self.scale / x.total)[x.rows])


class TFIDF(Features):
    """c x_k log(n / n_k) / |row|, n_k of n training documents holding word k: rows of one Euclidean length c.

    The features of the earlier semantic-hashing papers (Chaidaroon and Fang, 2017). The inverse document frequencies,
    and c, the root mean square length of the training documents' counts, are buffers, learnt by `attach` before
    training and kept in checkpoints; ones until then. A word that no training document holds gets log(n + 1).

    Examples:
        >>> import torch
        >>> from vae_lightning.counts import Counts
        >>> from vae_lightning.nn import TFIDF
        >>> x = Counts.from_dense(torch.tensor([[1.0, 1.0, 0.0], [0.0, 1.0, 1.0]]))
        >>> features = TFIDF(3)
        >>> features.attach(x)
        >>> features(x).dense(3)  # the word that all documents have weighs nothing
        tensor([[1.4142, 0.0000, 0.0000],
                [0.0000, 0.0000, 1.4142]])
    """

    inverse_document_frequency: Tensor
    scale: Tensor

    def __init__(self, num_words: int) -> None:
        super().__init__(num_words)
        self.register_buffer("inverse_document_frequency", torch.ones(num_words))
        self.register_buffer("scale", torch.ones(()))

    def attach(self, x: Counts) -> None:
        """Count in how many documents each word occurs."""
        documents = torch.bincount(x.indices, minlength=self.num_words)
        idf = torch.where(documents > 0, (len(x) / documents.clamp(min=1)).log(), math.log(len(x) + 1))
        self.inverse_document_frequency.copy_(idf)
        self.scale.copy_(x.row_sums(x.values.square()).mean().sqrt())

    def forward(self, x: Counts) -> Counts:
        """An empty document stays empty."""
        weighted = x.values * self.inverse_document_frequency[x.indices]
        norm = x.row_sums(weighted.square()).sqrt()
        return x.with_values(weighted * torch.where(norm > 0, self.scale / norm, 0.0)[x.rows])


class BagOfWordsMLP(nn.Module):
    """An MLP whose first layer reads sparse counts: `features -> Linear (-> activation -> Linear)*`.

    With `features` counts and no hidden layer it is the paper's encoder e1; frequencies with hidden (512, 512) are
    e2, frequencies with none e3. `features` is a class of features, built with the number of words.

    Examples:
        >>> import torch
        >>> from vae_lightning.counts import Counts
        >>> from vae_lightning.nn import BagOfWordsMLP
        >>> x = Counts.from_dense(torch.tensor([[2.0, 0.0, 1.0], [0.0, 3.0, 0.0]]))
        >>> BagOfWordsMLP((3,), 8, hidden=(16,))(x).shape
        torch.Size([2, 8])
    """

    def __init__(
        self,
        context_shape: Sequence[int],
        num_outputs: int,
        hidden: Sequence[int] = (),
        features: Callable[[int], Features] = WordCounts,
        activation: Callable[[], nn.Module] = nn.ReLU,
    ) -> None:
        super().__init__()
        num_words = _length("BagOfWordsMLP reads bags of words", context_shape)
        widths = (*hidden, num_outputs)
        self.features = features(num_words)
        # initialised as nn.Linear(num_words, widths[0]) would be, but kept words-first: a word is a row to gather
        bound = 1 / math.sqrt(num_words)
        self.weight = nn.Parameter(torch.empty(num_words, widths[0]).uniform_(-bound, bound))
        self.bias = nn.Parameter(torch.empty(widths[0]).uniform_(-bound, bound))
        self.rest = nn.Sequential()
        if hidden:
            self.rest.append(activation()).extend(hidden_layers(hidden[0], hidden[1:], activation))
            self.rest.append(nn.Linear(hidden[-1], num_outputs))

    def forward(self, x: Counts | Tensor) -> Float[Tensor, "rows outputs"]:
        """B documents -> (B, P); TypeError for dense ones."""
        if not isinstance(x, Counts):
            raise TypeError(f"BagOfWordsMLP reads sparse documents, got a {type(x).__name__}: use Counts.from_dense(x)")
        return self.rest(self.features(x) @ self.weight + self.bias)


class WordLogits(nn.Module):
    """An MLP whose last layer, one row a word, is left as an `Affine` map: (*B, *C) -> logits (*B, K).

    `hidden=()` is the linear decoder of semantic hashing; the paper's deeper ones have one or two hidden layers of 512.

    Examples:
        >>> import torch
        >>> from vae_lightning.families import Multinomial
        >>> from vae_lightning.nn import WordLogits
        >>> eta = WordLogits((8,), 1000)(torch.ones(5, 8))  # an Affine map, multiplied out only on demand
        >>> Multinomial(1000).distribution(eta).event_shape
        torch.Size([1000])
    """

    def __init__(
        self,
        context_shape: Sequence[int],
        num_outputs: int,
        hidden: Sequence[int] = (),
        activation: Callable[[], nn.Module] = nn.ReLU,
    ) -> None:
        super().__init__()
        width = _length("WordLogits decodes codes that are vectors", context_shape)
        self.hidden = hidden_layers(width, hidden, activation)
        self.output = nn.Linear((width, *hidden)[-1], num_outputs)

    @torch.no_grad()
    def attach(self, x: Counts) -> None:
        """Start from the words' overall frequencies in the training documents, and from codes that hardly matter.

        A code of large random effect is noise at first: a deep encoder then learns to send every document to one code
        and stays there. Every word is counted once more than it occurs.
        """
        counts = torch.bincount(x.indices, x.values, minlength=len(self.output.bias)) + 1
        self.output.bias.copy_((counts / counts.sum()).log())
        self.output.weight.mul_(0.05)

    def start_from(self, data: TrainingData) -> None:
        """Attach the training documents."""
        self.attach(documents(data))

    def forward(self, c: Float[Tensor, "*batch inputs"]) -> Affine:
        """Natural parameters, not yet multiplied out."""
        return Affine(self.hidden(c), self.output.weight, self.output.bias)


def _length(what: str, context_shape: Sequence[int]) -> int:
    if len(context_shape) != 1:
        raise ValueError(f"{what}, of one axis; got contexts of shape {tuple(context_shape)}: use MLP")
    return context_shape[0]
