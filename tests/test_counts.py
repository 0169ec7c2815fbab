"""Counts does with sparse rows what its dense matrix does."""

import re

import numpy as np
import pytest
import scipy.sparse
import torch
from hypothesis import given
from hypothesis import strategies as st
from lightning.fabric.utilities import move_data_to_device

from vae_lightning.counts import Counts


@st.composite
def matrices(draw, words=5):
    """Small matrices of counts, rows and whole matrices of zeros among them, also no rows at all."""
    rows = draw(st.integers(0, 4))
    entries = draw(st.lists(st.sampled_from([0, 0, 1, 3]), min_size=rows * words, max_size=rows * words))
    return torch.tensor(entries, dtype=torch.float64).reshape(rows, words)


@given(matrices())
def test_dense_and_back(x):
    counts = Counts.from_dense(x)
    assert len(counts) == len(x)
    assert torch.equal(counts.dense(5), x)
    assert torch.equal(counts.dense(7)[:, :5], x)
    assert torch.equal(counts.total, x.sum(-1))
    assert torch.equal(counts.rows, x.nonzero()[:, 0])
    assert torch.equal(counts.row_sums(counts.values), x.sum(-1))


@given(matrices(), st.sampled_from(["csr", "csc", "coo", "lil"]), st.sampled_from([np.int64, np.float32, np.uint8]))
def test_scipy_and_back(x, layout, dtype):
    """Whatever the layout and type; the same record as of the dense matrix."""
    matrix = scipy.sparse.coo_array(x.numpy().astype(dtype)).asformat(layout)
    counts, dense = Counts.from_scipy(matrix), Counts.from_dense(x.float())
    for name in ("indices", "offsets", "values", "total"):
        assert torch.equal(getattr(counts, name), getattr(dense, name))
    assert (counts.to_scipy(num_words=5) != matrix).nnz == 0
    assert counts.to_scipy(num_words=7).shape == (len(x), 7)


def test_scipy_is_copied_and_its_duplicates_are_added():
    matrix = scipy.sparse.csr_array(([1, 2, 0, 4], [1, 1, 0, 0], [0, 3, 4]), shape=(2, 2))
    counts = Counts.from_scipy(matrix)
    assert counts.dense(2).tolist() == [[0, 3], [4, 0]]
    assert matrix.nnz == 4
    counts.to_scipy(num_words=2).data[:] = 9
    assert counts.values.tolist() == [3, 4]


def test_duplicates_have_room_to_be_added():
    """SciPy adds them in the matrix's own type, where 200 + 100 is 44."""
    ones = np.array([200, 100], np.uint8)
    assert Counts.from_scipy(scipy.sparse.coo_array((ones, ([0, 0], [1, 1])), shape=(1, 2))).total.tolist() == [300]


@pytest.mark.parametrize(("entry", "dtype"), [(-1, int), (0.5, float), (np.nan, float), (np.inf, float)])
def test_what_counts_nothing_is_refused_in_one_line(entry, dtype):
    said = f"counts are whole numbers above 0, got {dtype(entry)}"
    with pytest.raises(ValueError, match=f"^{re.escape(said)}$"):
        Counts.from_scipy(scipy.sparse.csr_array(np.array([[1, entry]], dtype)))
    with pytest.raises(ValueError, match="counts above 16,777,216 are not exact in float32, got 16777217"):
        Counts.from_scipy(scipy.sparse.csr_array(np.array([[2**24 + 1]])))
    with pytest.raises(ValueError, match="expected a matrix of counts, documents x words, got 2 axes of complex128"):
        Counts.from_scipy(scipy.sparse.csr_array(np.array([[1j]])))
    with pytest.raises(ValueError, match="word id 1 does not fit a vocabulary of 1 words"):
        Counts.from_dense(torch.ones(1, 2)).to_scipy(num_words=1)


@given(matrices(), st.data())
def test_select_any_rows_in_any_order(x, data):
    """Repeated rows, and none."""
    picks = st.lists(st.integers(0, len(x) - 1), max_size=6) if len(x) else st.just([])
    rows = torch.tensor(data.draw(picks), dtype=torch.int64)
    selected = Counts.from_dense(x).select(rows)
    assert torch.equal(selected.dense(5), x[rows])
    assert torch.equal(selected.total, x[rows].sum(-1))
    assert torch.equal(selected.offsets, Counts.from_dense(x[rows]).offsets)


@given(matrices(), st.booleans())
def test_product_and_its_gradient(x, vector):
    torch.manual_seed(0)
    weight = torch.randn((5,) if vector else (5, 2), dtype=torch.float64, requires_grad=True)
    product = Counts.from_dense(x) @ weight
    torch.testing.assert_close(product, x @ weight)
    out = torch.randn_like(product)
    (found,) = torch.autograd.grad((out * product).sum(), weight)
    torch.testing.assert_close(found, x.T @ out)


@given(matrices(), st.sampled_from([(), (1,), (2, 3)]))
def test_inner_product_with_logits_of_every_row(x, batch):
    torch.manual_seed(0)
    eta = torch.randn(*batch, *x.shape, dtype=torch.float64, requires_grad=True)
    inner = Counts.from_dense(x).inner(eta)
    torch.testing.assert_close(inner, (x * eta).sum(-1))
    (found,) = torch.autograd.grad(inner.sum(), eta)
    torch.testing.assert_close(found, x.expand_as(eta))


X = torch.tensor([[2.0, 0, 1], [0, 0, 0], [0, 3, 0]])


def test_product_by_finite_differences():
    weight = torch.randn(3, 2, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda w: Counts.from_dense(X.double()) @ w, (weight,))


def test_a_word_stored_twice_adds_up():
    twice = Counts(torch.tensor([1, 1]), torch.tensor([0, 2]), torch.tensor([2.0, 3.0]), torch.tensor([5.0]))
    assert twice.dense(3).tolist() == [[0, 5, 0]]
    assert (twice @ torch.eye(3)).tolist() == [[0, 5, 0]]


def test_rescaled_values_keep_the_length():
    halved = Counts.from_dense(X).with_values(torch.tensor([1.0, 0.5, 1.5]))
    assert torch.equal(halved.dense(3), X / 2)
    assert halved.total.tolist() == [3, 0, 3]


def test_a_move_keeps_dtypes():
    moved = Counts.from_dense(X).to("meta")
    assert (moved.indices.dtype, moved.values.dtype) == (torch.int64, torch.float32)
    assert {t.device.type for t in (moved.indices, moved.offsets, moved.values, moved.total)} == {"meta"}


def test_moving_keeps_what_is_known_of_the_rows():
    """Lightning moves every batch: what was sliced from the whole need not be computed again."""
    batch = Counts.from_dense(X).select(torch.tensor([1, 0]))
    assert move_data_to_device(batch, torch.device("cpu")) is batch
    moved = batch.to("meta")
    assert {"log_arrangements", "log_saturated"} <= moved.__dict__.keys()
    assert moved.log_saturated.device.type == "meta"


def test_a_word_outside_the_vocabulary():
    with pytest.raises(ValueError, match="word id 2 does not fit a vocabulary of 2 words"):
        Counts.from_dense(X).dense(2)
