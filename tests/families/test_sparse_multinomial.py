"""A Multinomial reads sparse Counts as it reads dense rows, from multiplied-out logits and from an Affine map alike."""

import numpy as np
import pytest
import torch
from scipy import stats

from vae_lightning.affine import Affine
from vae_lightning.counts import Counts
from vae_lightning.families import Multinomial
from vae_lightning.families.multinomial import log_multinomial_coefficient, saturated_log_likelihood

WORDS, WIDTH = 6, 3
X = torch.tensor([[2, 0, 1, 0, 0, 4], [0, 0, 0, 0, 0, 0], [0, 1, 0, 0, 0, 0], [1, 1, 1, 1, 1, 1]], dtype=torch.float64)


def leaves(*batch):
    torch.manual_seed(0)
    shapes = (*batch, len(X), WIDTH), (WORDS, WIDTH), (WORDS,)
    return [torch.randn(shape, dtype=torch.float64, requires_grad=True) for shape in shapes]


def dense(h, weight, bias):
    return h @ weight.T + bias


@pytest.mark.parametrize("batch", [(), (1,), (5,), (2, 3)], ids=str)
@pytest.mark.parametrize("logits", [dense, Affine], ids=["dense logits", "affine logits"])
def test_sparse_is_dense_in_value_and_gradient(batch, logits):
    """scipy for the values; the gradients by autograd through the dense rows. Row 1 is an empty document."""
    family = Multinomial(WORDS)
    parameters, reference = leaves(*batch), leaves(*batch)
    sparse = family.distribution(logits(*parameters)).log_prob(Counts.from_dense(X))
    expected = torch.distributions.Multinomial(1, logits=dense(*reference), validate_args=False).log_prob(X)
    assert sparse.shape == (*batch, len(X))
    torch.testing.assert_close(sparse, expected, rtol=1e-11, atol=1e-11)
    torch.testing.assert_close(family.distribution(logits(*parameters)).log_prob(X), expected, rtol=1e-11, atol=1e-11)
    weights = torch.randn(sparse.shape, dtype=torch.float64)
    found = torch.autograd.grad((weights * sparse).sum(), parameters)
    for value, true in zip(found, torch.autograd.grad((weights * expected).sum(), reference), strict=True):
        torch.testing.assert_close(value, true, rtol=1e-11, atol=1e-11)


def test_an_empty_document_has_probability_one():
    for logits in (dense, Affine):
        log_prob = Multinomial(WORDS).distribution(logits(*leaves())).log_prob(Counts.from_dense(X))
        assert log_prob[1].abs() < 1e-12


def test_base_measure_and_statistics_of_sparse_rows():
    counts, family = Counts.from_dense(X), Multinomial(WORDS)
    torch.testing.assert_close(log_multinomial_coefficient(counts), log_multinomial_coefficient(X))
    torch.testing.assert_close(family.log_base_measure(counts), family.log_base_measure(X))
    assert torch.equal(family.sufficient_statistics(counts), X)


def test_saturated_is_each_document_under_its_own_frequencies():
    saturated = saturated_log_likelihood(Counts.from_dense(X))
    for row, value in zip(X.numpy(), saturated, strict=True):
        expected = stats.multinomial(int(row.sum()), row / row.sum()).logpmf(row) if row.sum() else 0.0
        np.testing.assert_allclose(value, expected, rtol=1e-10, atol=1e-10)
    logits = torch.randn(50, len(X), WORDS, dtype=torch.float64)
    assert (Multinomial(WORDS).distribution(logits).log_prob(Counts.from_dense(X)) <= saturated + 1e-12).all()


def test_a_stored_zero_changes_nothing():
    zero = Counts(torch.tensor([0, 3]), torch.tensor([0, 2]), torch.tensor([2.0, 0.0]), torch.tensor([2.0]))
    plain = Counts(torch.tensor([0]), torch.tensor([0, 1]), torch.tensor([2.0]), torch.tensor([2.0]))
    torch.testing.assert_close(saturated_log_likelihood(zero), saturated_log_likelihood(plain))
    torch.testing.assert_close(log_multinomial_coefficient(zero), log_multinomial_coefficient(plain))


@pytest.mark.parametrize("logits", [dense, Affine], ids=["dense logits", "affine logits"])
def test_samples_have_their_rows_lengths(logits):
    total = X.sum(-1)
    samples = Multinomial(WORDS).given(total).distribution(logits(*leaves())).sample((7,))
    assert samples.shape == (7, len(X), WORDS)
    assert torch.equal(samples.sum(-1), total.expand(7, -1))


def test_no_rows_at_all():
    family = Multinomial(WORDS).given(torch.zeros(0))
    distribution = family.distribution(torch.zeros(0, WORDS))
    assert distribution.sample((2,)).shape == (2, 0, WORDS)
    assert distribution.log_prob(Counts.from_dense(torch.zeros(0, WORDS))).shape == (0,)


def test_half_precision_logits_meet_single_precision_counts():
    """As they do under autocast; bfloat16 holds these logits exactly."""
    logits = torch.tensor([0.5, -1.0, 0.0, 2.0, 0.25, -0.75]).expand(len(X), -1)
    counts = Counts.from_dense(X.float())
    half = Multinomial(WORDS).distribution(logits.bfloat16()).log_prob(counts)
    full = Multinomial(WORDS).distribution(logits).log_prob(counts)
    assert half.dtype == torch.float32
    assert ((half - full).abs() <= 0.01 * counts.total).all()
