"""What a trained model answers in Python: data of any kind in, records of named rows out, in the units of the data."""

from __future__ import annotations

import copy
import re
from collections.abc import Callable
from functools import partial
from itertools import product
from pathlib import Path
from typing import Any

import jaxtyping
import numpy as np
import pandas as pd
import polars as pl
import pytest
import torch
from support.kinds import KINDS, WORDS, Trained, trained
from support.models import trainer

import vae_lightning as vl
from vae_lightning.answers import Answer, Imputed
from vae_lightning.answers.answering import ROWS


@pytest.fixture(params=KINDS)
def kind(request: pytest.FixtureRequest) -> Trained:
    return trained(request.param)


def same(one: Answer, other: Answer) -> None:
    """The same rows, bit for bit."""
    assert list(one.names) == list(other.names)
    assert one.arrays.keys() == other.arrays.keys()
    for name, values in one.arrays.items():
        np.testing.assert_array_equal(values, other.arrays[name])


def test_every_kind_answers(kind: Trained) -> None:
    model = vl.load(kind.checkpoint)
    codes = model.encode(kind.data, samples=2)
    n, shape = len(codes), tuple(model.code_shape)
    assert codes.mean.shape == codes.sd.shape == (n, *shape)
    assert codes.samples.shape == (n, 2, *shape)
    assert (codes.sd > 0).all()
    x = model.reconstruct(kind.data)
    same(x, model.decode(codes))
    assert model.generate(3).x.shape == model.generate(3, mean=True).x.shape == (3, *x.x.shape[1:])
    scores = model.log_likelihood(kind.data, K=20)
    assert np.isfinite(scores.log_likelihood).all()
    np.testing.assert_array_equal(model.anomaly(kind.data, K=20).anomaly, -scores.log_likelihood)
    assert (scores.effective_sample_size >= 1).all()
    near = model.nearest(codes, codes, k=2)
    assert (near.distances[:, 0] == 0).all()
    assert (np.diff(near.distances) >= 0).all()
    assert model.interpolate(kind.data, kind.data, steps=3).x.shape[0] == 3 * n


def test_answers_are_functions_of_the_seed_and_the_rows(kind: Trained) -> None:
    """Nothing of torch's own generator, which goes on where it was, and the mode of the model stays."""
    model = vl.load(kind.checkpoint).train()
    torch.manual_seed(1)
    first = model.encode(kind.data, samples=2), model.generate(2), model.log_likelihood(kind.data, K=5)
    drawn = torch.rand(1)
    second = model.encode(kind.data, samples=2), model.generate(2), model.log_likelihood(kind.data, K=5)
    for one, other in zip(first, second, strict=True):
        same(one, other)
    torch.manual_seed(1)
    assert torch.equal(torch.rand(1), drawn)
    assert model.training


def test_a_model_answers_the_same_before_and_after_its_file(tmp_path: Path) -> None:
    x = np.random.default_rng(0).normal(3, 2, (40, 3)).astype(np.float32)
    model = vl.GaussianVAE(2, vl.Normal(3, scale=0.5))
    fit = trainer(max_epochs=1, default_root_dir=tmp_path)
    fit.fit(model, vl.Arrays(x, standardise=True))
    fit.save_checkpoint(tmp_path / "m.ckpt")
    same(model.log_likelihood(x, K=10), vl.load(tmp_path / "m.ckpt").log_likelihood(x, K=10))


# -- what goes in ----------------------------------------------------------------------------------------------------


def test_arrays_and_frames_of_every_library_are_the_same_rows() -> None:
    model = vl.load(trained("GaussianVAE").checkpoint)
    x = np.random.default_rng(1).normal([1, 0, 5000], [1, 2, 300], (4, 3))
    columns = {"steps": x[:, 2], "age": x[:, 0], "dose": x[:, 1], "other": x[:, 0]}
    expected = model.encode(x)
    for data in (torch.from_numpy(x), x.tolist(), pd.DataFrame(columns), pl.DataFrame(columns)):
        same(model.encode(data), expected)


def test_texts_are_strings_and_lists_of_them() -> None:
    model = vl.load(trained("HashingVAE").checkpoint)
    both = model.encode([f"{WORDS[0]} {WORDS[1]}", WORDS[2]])
    assert both.bits.dtype == bool
    same(model.encode(WORDS[2]), type(both)(["0"], both.mean[1:], both.sd[1:], both.bits[1:]))
    for table in (pd.DataFrame({WORDS[2]: ["a"]}), {WORDS[2]: ["a"]}):  # the names of its columns are no texts
        with pytest.raises(ValueError, match="expected texts, such as a column of a table; got"):
            model.encode(table)


def test_pictures_are_files_and_arrays(tmp_path: Path) -> None:
    kind = trained("VAE")
    model = vl.load(kind.checkpoint)
    files = sorted(kind.data.iterdir())
    from_files = model.encode(files)
    assert from_files.names == [str(path) for path in files]
    np.testing.assert_array_equal(from_files.mean, model.encode(kind.data).mean)
    x = model.read_by.read(kind.data).observations.x.numpy()
    np.save(tmp_path / "x.npy", x)
    for data in (x, torch.from_numpy(x), tmp_path / "x.npy"):
        np.testing.assert_array_equal(model.encode(data).mean, from_files.mean)


def test_missing_numbers_are_refused_where_rows_have_to_be_whole() -> None:
    model = vl.load(trained("GaussianVAE").checkpoint)
    x = pd.DataFrame({"age": [1.0, 2.0], "dose": [0.0, np.nan], "steps": [5000.0, 5000.0]})
    with pytest.raises(ValueError, match="1 numbers are missing, the first in row '1', column dose: fill them in, whi"):
        model.encode(x)
    assert np.isfinite(model.log_likelihood(x).log_likelihood).all()


def test_a_model_that_was_made_for_missing_entries_encodes_them(tmp_path: Path) -> None:
    model = vl.GaussianVAE(1, vl.PartlyObserved(vl.Normal(2, scale=0.5)))
    assert model.encode(np.array([[np.nan, 1.0]])).mean.shape == (1, 1)


# -- what comes out --------------------------------------------------------------------------------------------------


def test_a_record_is_one_line_and_printed_a_table() -> None:
    model = vl.load(trained("GaussianVAE").checkpoint)
    record = model.generate(30)
    assert repr(record) == "Decoded(30 rows: x (30, 3))"
    assert str(record).splitlines()[0].split() == ["name", "age", "dose", "steps"]
    assert str(record).splitlines()[-1] == "... 20 more rows"
    assert list(record.to_frame().columns) == ["name", "age", "dose", "steps"]


def test_codes_of_a_file_are_as_many_as_their_names(tmp_path: Path) -> None:
    """Codes without a name used to have no answer, without a word."""
    np.savez(tmp_path / "z.npz", z=np.zeros((2, 2)), names=np.array(["a"]))
    with pytest.raises(ValueError, match="each row has a name: got 2 rows and 1 names"):
        vl.GaussianVAE(2, vl.Normal(3)).decode(tmp_path / "z.npz")


def test_a_name_in_no_encoding_can_be_written() -> None:
    """Of a file whose name is not UTF-8; a table of it used to end in a UnicodeEncodeError, once all was computed."""
    table = vl.answers.Decoded(["a\udcff.txt"], np.zeros((1, 1))).table
    assert table["name"][0].encode() == rb"a\udcff.txt"


def test_a_table_keeps_the_columns_of_the_data_whatever_they_are_called() -> None:
    """The sd of `t` took the place of the column `t_sd`, and a column `name` that of the rows' names."""
    x = np.arange(3.0)[None]
    table = Imputed(["r"], x, x + 10, x + 20, np.ones(1), columns=["t", "t_sd", "name"]).table
    assert list(table) == [
        *("name_", "t", "t_sd", "name", "t_sd_", "t_sd_sd", "name_sd", "t_stderr", "t_sd_stderr", "name_stderr"),
        "effective_sample_size",
    ]
    assert [table[name][0] for name in ("name_", "t", "t_sd", "name", "t_sd_")] == ["r", 0, 1, 2, 10]


def test_many_rows_are_answered_some_at_a_time() -> None:
    model = vl.load(trained("LiBI").checkpoint)
    x = np.random.default_rng(0).normal(size=(2 * ROWS + 5, 2)).astype(np.float32)
    parts = list(model.answers(vl.answers.Encode(1), model.read_by.read(x)))
    assert [len(part) for part in parts] == [ROWS, ROWS, 5]
    model.train()
    for _ in model.answers(vl.answers.Encode(1), model.read_by.read(x)):
        assert model.training  # whoever reads them is not in the midst of an answer
        assert torch.is_grad_enabled()
    same(vl.answers.Encoded.joined(parts), model.encode(x, samples=1))


def test_hashes_are_compared_bit_by_bit_and_ties_keep_their_order() -> None:
    bits = np.array([[0, 0, 0], [1, 1, 1], [0, 0, 1], [0, 1, 0]], bool)
    codes = vl.answers.Encoded(list("abcd"), bits.astype(np.float32), bits.astype(np.float32), bits)
    near = vl.load(trained("HashingVAE").checkpoint).nearest(codes, codes, k=4)
    assert near.neighbours[0].tolist() == ["a", "c", "d", "b"]
    assert near.distances[0].tolist() == [0, 1, 1, 3]
    assert list(near.to_frame().columns)[:3] == ["name", "neighbour0", "neighbour1"]
    with pytest.raises(ValueError, match="k, how many rows are looked for, must be 1 to 4, all of them; got 5"):
        vl.load(trained("HashingVAE").checkpoint).nearest(codes, codes, k=5)


def test_sample_is_in_the_units_of_the_data_and_torchs_to_seed() -> None:
    model = vl.load(trained("GaussianVAE").checkpoint)
    torch.manual_seed(0)
    x = model.sample(500)
    assert x.mean(0)[2].item() == pytest.approx(5000, abs=200)
    torch.manual_seed(0)
    raw = model.draw(500)
    torch.testing.assert_close(model.read_by.to_original(raw), x)
    assert abs(raw.mean()) < 1
    assert model.sample(2, mean=True).shape == (2, 3)


# -- units and truth -------------------------------------------------------------------------------------------------


def linear() -> tuple[vl.GaussianVAE, torch.Tensor, torch.Tensor]:
    """x = W z + b + 0.5 e; the mean and covariance of x."""
    torch.manual_seed(0)
    affine = partial(vl.nn.MLP, hidden=[])
    model = vl.GaussianVAE(2, vl.Normal(3, scale=0.5), affine, affine)
    with torch.no_grad():
        bias, *columns = model.likelihood(torch.cat([torch.zeros(1, 2), torch.eye(2)])).mean.double()
    weight = torch.stack(columns, 1) - bias[:, None]
    posterior = (torch.eye(2) + weight.T @ weight / 0.25).inverse()
    gain = posterior @ weight.T / 0.25
    with torch.no_grad():  # an encoder that knows it, and is wider
        for own, value in zip(
            model.model.encoder.parameters(),
            (torch.cat([gain, 0 * gain]), torch.cat([-gain @ bias, posterior.diag().sqrt().log() + 0.2])),
            strict=True,
        ):
            own.copy_(value)
    return model, bias, weight @ weight.T + 0.25 * torch.eye(3, dtype=torch.float64)


def test_scores_and_filled_in_entries_are_those_of_a_gaussian_within_their_errors() -> None:
    model, mean, covariance = linear()
    law = torch.distributions.MultivariateNormal(mean.detach(), covariance.detach())
    torch.manual_seed(1)
    x = law.sample((30,))
    found = model.log_likelihood(x, K=2000)
    off = (torch.from_numpy(found.log_likelihood) - law.log_prob(x)) / torch.from_numpy(found.stderr)
    assert off.abs().max() < 4
    holes = x.clone()
    holes[:, 1] = torch.nan
    filled = model.impute(holes, K=2000)
    gain = covariance[1, [0, 2]] @ covariance[[0, 2]][:, [0, 2]].inverse()
    expected = mean[1] + (x[:, [0, 2]].float().double() - mean[[0, 2]]) @ gain
    variance = covariance[1, 1] - gain @ covariance[[0, 2], 1]
    assert ((torch.from_numpy(filled.x[:, 1]) - expected) / filled.stderr[:, 1]).abs().max() < 4
    np.testing.assert_allclose(filled.sd[:, 1], variance.sqrt().item(), rtol=0.1)
    np.testing.assert_array_equal(filled.x[:, [0, 2]], x[:, [0, 2]].float())


def test_a_score_is_that_of_the_data_whatever_they_were_scaled_by() -> None:
    """log p(data) = log p(x) - sum of log scale: the same model of data in other units, beside the change of volume."""
    model, *_ = linear()
    x = np.random.default_rng(0).normal([1, 0, 5000], [1, 2, 300], (50, 3)).astype(np.float32)
    data = vl.Arrays(x, standardise=True)
    data.setup()
    scaled = data.to_model(torch.from_numpy(x))
    raw = model.log_likelihood(scaled, K=10)
    model.preparation = data.preparation
    volume = data.scaling[1].double().log().sum().item()
    np.testing.assert_allclose(model.log_likelihood(x, K=10).log_likelihood, raw.log_likelihood - volume, atol=1e-4)
    np.testing.assert_allclose(
        model.reconstruct(x).x, data.to_original(torch.from_numpy(_made(model, scaled))), rtol=1e-5
    )


def _made(model: vl.GaussianVAE, x: torch.Tensor) -> np.ndarray:
    """What it makes of x as it sees it."""
    with torch.no_grad():
        return model.likelihood(model.posterior(x).mean).mean.numpy()


def test_how_many_rows_to_draw_is_a_whole_number(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(jaxtyping.config, "jaxtyping_disable", True)  # as in use, where nothing else checks kinds
    model = vl.GaussianVAE(1, vl.Normal(2, scale=1.0))
    for ask, n in product((model.sample, model.generate), (-1, 2.5, 10**26)):
        with pytest.raises(ValueError, match=re.escape(f"to 2^63 - 1; got {n}")):
            ask(n)
    assert model.sample(np.int64(2)).shape == (2, 2)
    assert model.sample(0).shape == (0, 2)


# -- many models -----------------------------------------------------------------------------------------------------


def test_an_ensemble_says_to_pick_a_member() -> None:
    ensemble = vl.Ensemble(member=lambda: vl.GaussianVAE(1, vl.Normal(2, scale=1.0)), seeds=2)
    with pytest.raises(
        TypeError, match=r"an Ensemble is many models: ask one, as ensemble.member\(ensemble.ranking\[0\]"
    ):
        ensemble.encode(np.ones((3, 2)))
    assert len(ensemble.member(1).encode(np.ones((3, 2)))) == 3


def test_codes_without_a_closed_form_are_estimated_and_scores_of_them_refused() -> None:
    model = vl.MRFVAE(vl.GibbsMRF(3, 2), vl.Bernoulli(6))
    codes = model.encode(np.ones((2, 6)))
    np.testing.assert_allclose(codes.sd, np.sqrt(codes.mean * (1 - codes.mean)), atol=1e-3)  # of bits
    assert model.reconstruct(np.ones((2, 6))).x.shape == (2, 6)
    with pytest.raises(
        TypeError, match=r"log p\(x\) is estimated by samples of q.* which GibbsField does not know: use Be"
    ):
        model.log_likelihood(np.ones((2, 6)))
    levels = vl.HVAE([1, 2], vl.Bernoulli(6)).encode(np.ones((2, 6)))
    assert levels.sd.shape == (2, 3)


@pytest.mark.parametrize(
    "make", [lambda: vl.GaussianVAE(2, vl.Normal(3, scale=0.5)), lambda: vl.RBM(vl.Normal(3), vl.Bernoulli(4))]
)
def test_a_model_of_double_precision_answers_as_well(make: Callable[[], Any]) -> None:
    """As a run of 64-true leaves it; a float32 of the same weights says the same to its rounding."""
    x = np.random.default_rng(0).normal(size=(5, 3))
    x[0, 1] = np.nan
    single = make()
    double = copy.deepcopy(single).double()
    for ask in (
        lambda model: model.encode(x[1:]).mean,
        lambda model: model.reconstruct(x[1:]).x,
        lambda model: model.decode(np.zeros((2, *model.code_shape))).x,
        lambda model: model.interpolate(x[1:3], x[3:], steps=3).x,
    ):
        np.testing.assert_allclose(ask(double), ask(single), rtol=1e-4, atol=1e-5)
    assert np.isfinite(double.log_likelihood(x[1:], K=10).log_likelihood).all()
    assert double.impute(x, K=10).x.shape == (5, 3)
    assert double.generate(2).x.dtype == np.float64


def test_a_model_of_bfloat16_answers_as_well() -> None:
    """NumPy has no such numbers."""
    x = np.random.default_rng(0).normal(size=(5, 3))
    single = vl.GaussianVAE(2, vl.Normal(3, scale=0.5))
    half = copy.deepcopy(single).bfloat16()
    np.testing.assert_allclose(half.encode(x, samples=2).mean, single.encode(x).mean, atol=0.05)
    np.testing.assert_allclose(half.reconstruct(x).x, single.reconstruct(x).x, atol=0.05)
    assert half.generate(2).x.dtype == np.float32
    assert np.isfinite(half.log_likelihood(x, K=10).log_likelihood).all()
    with pytest.raises(
        ValueError, match=r"bfloat16, of this model, rounds whole numbers of the data: call model\.float"
    ):
        half.encode(np.full((1, 3), 257.0))
