"""Networks: the sparse ones equal dense ones with the same weights; shapes, initial scale and gradients."""

import math

import numpy as np
import pytest
import torch
from sklearn.feature_extraction.text import TfidfTransformer
from torch import nn

from vae_lightning.counts import Counts
from vae_lightning.nn import MLP, TFIDF, BagOfWordsMLP, ScaledFrequencies, WordCounts, WordFrequencies, WordLogits

X = torch.tensor([[2.0, 0, 1, 0], [0, 0, 0, 0], [0, 3, 0, 0], [1, 1, 1, 0], [4, 0, 0, 0]])


def tfidf_by_hand(x):
    """x_k log(n / n_k), rows of the root mean square length of the counts."""
    documents = (x > 0).sum(0)
    weighted = x * torch.where(documents > 0, (len(x) / documents).log(), math.log(len(x) + 1))
    scale = x.norm(dim=-1).square().mean().sqrt()
    return torch.nan_to_num(scale * weighted / weighted.norm(dim=-1, keepdim=True))


BY_HAND = {
    WordCounts: lambda x: x,
    WordFrequencies: lambda x: torch.nan_to_num(x / x.sum(-1, keepdim=True)),
    ScaledFrequencies: lambda x: torch.nan_to_num(x.sum(-1).mean() * x / x.sum(-1, keepdim=True)),
    TFIDF: tfidf_by_hand,
}


@pytest.mark.parametrize("hidden", [(), (8,), (8, 6)], ids=str)
@pytest.mark.parametrize("features", BY_HAND)
def test_sparse_network_equals_the_dense_one(features, hidden):
    """Value, and gradients of all weights; row 1 is an empty document."""
    torch.manual_seed(0)
    sparse = BagOfWordsMLP((4,), 3, hidden, features, nn.Tanh)
    sparse.features.attach(Counts.from_dense(X))
    dense = MLP((4,), 3, hidden, nn.Tanh)
    first, *others = [m for m in dense.modules() if isinstance(m, nn.Linear)]
    with torch.no_grad():
        first.weight.copy_(sparse.weight.T)
        first.bias.copy_(sparse.bias)
        for layer, own in zip(others, [m for m in sparse.rest if isinstance(m, nn.Linear)], strict=True):
            layer.load_state_dict(own.state_dict())
    out, expected = sparse(Counts.from_dense(X)), dense(BY_HAND[features](X))
    torch.testing.assert_close(out, expected)
    out.square().sum().backward()
    expected.square().sum().backward()
    torch.testing.assert_close(sparse.weight.grad, first.weight.grad.T)
    torch.testing.assert_close(sparse.bias.grad, first.bias.grad)
    for layer, own in zip(others, [m for m in sparse.rest if isinstance(m, nn.Linear)], strict=True):
        torch.testing.assert_close(own.weight.grad, layer.weight.grad)


def test_tfidf_like_scikit_learn():
    """Whose idf without smoothing is log(n / n_k) + 1: the one is taken off, and words in no document left out."""
    features = TFIDF(3)
    features.attach(Counts.from_dense(X[:, :3]))
    reference = TfidfTransformer(smooth_idf=False).fit(X[:, :3].numpy())
    np.testing.assert_allclose(features.inverse_document_frequency, reference.idf_ - 1, rtol=1e-6)


def test_tfidf_is_kept_in_checkpoints():
    features = BagOfWordsMLP((4,), 3, features=TFIDF)
    features.features.attach(Counts.from_dense(X))
    other = BagOfWordsMLP((4,), 3, features=TFIDF)
    other.load_state_dict(features.state_dict())
    counts = Counts.from_dense(X)
    assert torch.equal(other(counts), features(counts))


def test_a_word_in_every_document_tells_nothing():
    """A document of nothing but such words has features 0, not NaN."""
    features = TFIDF(2)
    x = Counts.from_dense(torch.tensor([[1.0, 0.0], [2.0, 1.0]]))
    features.attach(x)
    # the second's one telling word carries the whole row: the root mean square of lengths 1 and sqrt 5
    torch.testing.assert_close(features(x).dense(2), torch.tensor([[0.0, 0.0], [0.0, math.sqrt(3)]]))
    long = Counts.from_dense(torch.tensor([[9.0, 0.0], [9.0, 1.0]]))
    features.attach(long)
    assert features(long).dense(2)[0].tolist() == [0.0, 0.0]


@pytest.mark.parametrize("features", [ScaledFrequencies, TFIDF])
def test_features_are_as_large_as_counts_once_attached_and_of_unit_scale_before(features):
    x = Counts.from_dense(X[[0, 2, 3, 4]])
    weighed, norm = features(4), 1 if features is ScaledFrequencies else 2
    torch.testing.assert_close(weighed(x).dense(4).norm(norm, -1), torch.ones(4))
    weighed.attach(x)
    typical = x.dense(4).norm(norm, -1).pow(norm).mean().pow(1 / norm)
    torch.testing.assert_close(weighed(x).dense(4).norm(norm, -1), typical.expand(4))


@pytest.mark.parametrize("context", [(), (3,), (2, 3)], ids=str)
@pytest.mark.parametrize("batch", [(), (5,), (0,), (4, 1, 5)], ids=str)
@pytest.mark.parametrize("hidden", [(), (8,), (8, 6)], ids=str)
def test_mlp_flattens_the_context_and_keeps_the_batch(context, batch, hidden):
    assert MLP(context, 7, hidden)(torch.randn((*batch, *context))).shape == (*batch, 7)


def test_mlp_is_linear_and_activation_in_turn():
    network = MLP((2, 2), 3, (5,), nn.Softplus)
    c = torch.randn(6, 2, 2)
    expected = network.output(nn.functional.softplus(network.hidden[0](c.flatten(1))))
    assert torch.equal(network(c), expected)


@pytest.mark.parametrize("hidden", [(), (8,), (8, 6)], ids=str)
def test_word_logits_are_an_mlp_not_multiplied_out(hidden):
    torch.manual_seed(0)
    words, dense = WordLogits((3,), 10, hidden), MLP((3,), 10, hidden)
    dense.load_state_dict(words.state_dict())
    z = torch.randn(4, 2, 3)
    eta = words(z)
    assert eta.shape == (4, 2, 10)
    torch.testing.assert_close(eta.dense(), dense(z))


def test_initial_weights_are_those_of_a_linear_layer():
    """Uniform within 1 / sqrt(number of words)."""
    network = BagOfWordsMLP((400,), 50)
    for parameter in (network.weight, network.bias):
        assert parameter.abs().max() <= 0.05
        assert parameter.abs().max() > 0.045
