"""Arrays: the same numbers from every kind of array, frame and file; splits, scaling, and what is no number."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pyarrow
import pyarrow.parquet
import pytest
import scipy.sparse
import torch

from vae_lightning.data import Arrays
from vae_lightning.data.arrays.numbers import numbers
from vae_lightning.data.arrays.rows import SHORT, columns_of

X = np.random.default_rng(0).normal(size=(20, 3)) * [1.0, 10.0, 100.0] + [0.0, 5.0, -50.0]
KINDS = np.array(["a", "b"])[np.arange(20) % 2]
NAMES = [f"row {n}" for n in range(20)]
TABLE = {"one": X[:, 0], "two": X[:, 1], "three": X[:, 2], "kind": KINDS, "name": NAMES}


def everything(data: Arrays) -> tuple[np.ndarray, list[str], list[str]]:
    """x in its own units, labels and names of all rows, in their order."""
    data.setup()
    splits = (data.train, data.val, data.test)
    ids = torch.cat([split.ids for split in splits])
    x, y = (torch.cat([getattr(split, part) for split in splits])[ids.argsort()] for part in ("x", "y"))
    labels = [data.label_names[label] if label >= 0 else "" for label in y.tolist()]
    return data.to_original(x).numpy(), labels, [data.names[n] for n in sorted(ids.tolist())]


@pytest.mark.parametrize(
    "given",
    [
        X,
        X.astype(np.float32),
        torch.from_numpy(X),
        scipy.sparse.csr_array(X),
        pd.DataFrame(X),
        pl.DataFrame(X),
        pl.DataFrame(X).to_arrow(),
        X.tolist(),
    ],
    ids=["NumPy", "float32", "torch", "scipy", "pandas", "polars", "pyarrow", "lists"],
)
def test_every_kind_of_array_holds_the_same_rows(given: Any) -> None:
    x, labels, names = everything(Arrays(given, KINDS, NAMES))
    assert x == pytest.approx(X.astype(np.float32), abs=0)
    assert labels == KINDS.tolist()
    assert names == NAMES


def as_csv(path: Path) -> Path:
    pd.DataFrame(TABLE).to_csv(path / "t.csv", index=False)
    return path / "t.csv"


def as_tsv(path: Path) -> Path:
    pd.DataFrame(TABLE).to_csv(path / "t.tsv", index=False, sep="\t")
    return path / "t.tsv"


def as_parquet(path: Path) -> Path:
    pyarrow.parquet.write_table(pyarrow.table(TABLE), path / "t.parquet")
    return path / "t.parquet"


@pytest.mark.parametrize(
    "given", [as_csv, as_tsv, as_parquet, lambda _: pd.DataFrame(TABLE), lambda _: pl.DataFrame(TABLE)]
)
def test_every_kind_of_table_holds_the_same_rows(given: Callable[[Path], Any], tmp_path: Path) -> None:
    data = Arrays(given(tmp_path), label="kind", id="name", standardise=True)
    x, labels, names = everything(data)
    assert x == pytest.approx(X, rel=1e-4, abs=1e-4)
    assert (labels, names) == (KINDS.tolist(), NAMES)
    assert data.feature_names == ["one", "two", "three"]
    assert Arrays(given(tmp_path), columns=["three", "one"]).rows.x == pytest.approx(X[:, [2, 0]], rel=1e-6)


@pytest.mark.parametrize("named", [True, False])
@pytest.mark.parametrize("kind", ["frame", "file"])
def test_other_rows_are_found_by_their_columns_and_named_where_they_have_names(
    kind: str, named: bool, tmp_path: Path
) -> None:
    preparation = Arrays(pd.DataFrame(TABLE), label="kind", id="name").preparation
    others = pd.DataFrame(TABLE)[["three", "one", "two", *["name"] * named]]  # without labels, in another order
    others.to_csv(tmp_path / "t.csv", index=False)
    found = preparation.read(others if kind == "frame" else tmp_path / "t.csv")
    np.testing.assert_allclose(found.observations.x, X, rtol=1e-6)  # type: ignore[arg-type]
    assert found.names == (NAMES if named else [str(n) for n in range(20)])
    with pytest.raises(ValueError, match="has no column 'two', only one, three"):
        preparation.read(others[["one", "three"]])


@pytest.mark.parametrize("name", ["x.npy", "only.npz", "named.npz"])
def test_every_kind_of_file_of_an_array_holds_the_same_rows(name: str, tmp_path: Path) -> None:
    path = tmp_path / name
    if name == "x.npy":
        np.save(path, X)
    else:
        np.savez(path, **({"some": X} if name == "only.npz" else {"x": X, "other": X + 1}))
    x, _, names = everything(Arrays(path=path))
    assert x == pytest.approx(X.astype(np.float32), abs=0)
    assert names == [str(n) for n in range(20)]


def test_whole_numbers_and_images_are_rows_too() -> None:
    images = np.arange(2 * 9 * 4).reshape(9, 2, 2, 2)
    data = Arrays(images, val_size=2, test_size=2)
    assert everything(data)[0].tolist() == images.tolist()
    assert data.observed_shape == (2, 2, 2)
    x, y = next(iter(data.train_dataloader()))
    assert (x.dtype, y.tolist()) == (torch.float32, [-1] * 5)


@pytest.mark.parametrize("none", [None, float("nan"), pd.NA])
def test_a_row_without_a_label_has_minus_one(none: Any) -> None:
    for labels, names in ((["b", none, "a"], ["a", "b"]), ([2.0, none, 1.0], ["1.0", "2.0"])):
        data = Arrays(pd.DataFrame({"x": [1, 2, 3], "kind": labels}), label="kind", val_size=0, test_size=0)
        data.setup()
        assert (data.train.y.tolist(), list(data.label_names)) == ([1, -1, 0], names)


# -- splits and scaling ----------------------------------------------------------------------------------------------


def test_splits_are_in_proportion_and_a_function_of_the_seed() -> None:
    def rows_of_test(seed: int) -> list[int]:
        data = Arrays(X, KINDS, val_size=0.2, test_size=6, split_seed=seed)
        data.setup()
        assert (len(data.train), len(data.val), len(data.test)) == (10, 4, 6)
        assert data.test.y.bincount().tolist() == [3, 3]
        return data.test.ids.tolist()

    assert rows_of_test(0) == rows_of_test(0)
    assert len({tuple(rows_of_test(seed)) for seed in range(5)}) > 1


def test_a_column_says_the_splits() -> None:
    said = np.array(["train", "val", "test", "train"])[np.arange(20) % 4]
    data = Arrays(pd.DataFrame(TABLE | {"part": said}), columns=["two"], split="part")
    data.setup()
    assert data.val.ids.tolist() == list(range(1, 20, 4))
    assert data.test.ids.tolist() == list(range(2, 20, 4))
    with pytest.raises(ValueError, match="the column 'kind' says train, val or test, got 'a'"):
        Arrays(pd.DataFrame(TABLE), columns=["two"], split="kind").setup()


def test_training_rows_are_standardised_and_the_rest_by_them() -> None:
    constant = np.concatenate([X, np.full((20, 1), 7.0)], 1)
    data = Arrays(constant, standardise=True, val_size=5, test_size=5)
    data.setup()
    x = data.train.x.double()
    assert x[:, :3].mean(0).numpy() == pytest.approx(0, abs=1e-6)
    assert x[:, :3].std(0, correction=0).numpy() == pytest.approx(1, abs=1e-6)
    assert x[:, 3].tolist() == [0.0] * 10  # what does not vary stays finite
    assert data.to_original(data.to_model(data.test.x)).numpy() == pytest.approx(data.test.x.numpy(), abs=1e-4)


def test_a_density_changes_its_units_by_the_scale() -> None:
    """Of a Gaussian in both units: log p(x) = log p(standardised x) - sum log scale, of entries that are there."""
    data = Arrays(np.where(np.arange(60).reshape(20, 3) % 7 == 2, np.nan, X), standardise=True, missing=True)
    data.setup()
    mean, scale = data.scaling
    x = data.train.x
    own = torch.distributions.Normal(mean, scale, validate_args=False).log_prob(data.to_original(x)).nansum(-1)
    standard = torch.distributions.Normal(0.0, 1.0, validate_args=False).log_prob(x).nansum(-1)
    assert x.isnan().any()
    assert (standard + data.preparation.log_volume(x)).numpy() == pytest.approx(own.numpy(), abs=1e-4)


def test_a_checkpoints_scaling_is_kept_and_other_columns_are_refused() -> None:
    old = Arrays(pd.DataFrame(TABLE), columns=["one", "two"], standardise=True)
    old.setup()
    new = Arrays(pd.DataFrame({"one": X[:, 0] + 1000, "two": X[:, 1]}), standardise=True)
    new.load_state_dict(old.state_dict())
    new.setup()
    assert all(torch.equal(*pair) for pair in zip(new.scaling, old.scaling, strict=True))
    with pytest.raises(ValueError, match="the checkpoint's rows have the columns one, two, and these two, one: give"):
        Arrays(pd.DataFrame(TABLE), columns=["two", "one"], standardise=True).load_state_dict(old.state_dict())


@pytest.mark.parametrize("standardise", [True, False])
def test_rows_of_another_file_are_standardised_as_the_checkpoints_were(standardise: bool) -> None:
    """A trainer sets the data up before it restores them: `test --ckpt_path CKPT --data Arrays --data.path FILE`."""
    x = (10 * X + 3).astype(np.float32)
    old, new = Arrays(X, standardise=True), Arrays(x, standardise=standardise)
    for data in (old, new):
        data.setup()
    new.load_state_dict(old.state_dict())
    mean, scale = old.scaling
    torch.testing.assert_close(new.test.x, (torch.from_numpy(x)[new.test.ids] - mean) / scale)
    assert torch.equal(new.preparation.read(x).observations.x[new.test.ids], new.test.x)  # type: ignore[index]


# -- what is no number -----------------------------------------------------------------------------------------------


def file(name: str, content: bytes) -> Callable[[Path], Any]:
    def write(path: Path) -> dict[str, Any]:
        (path / name).write_bytes(content)
        return {"path": path / name}

    return write


MISSING = np.where(np.arange(60).reshape(20, 3) == 7, np.nan, X)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (lambda _: {}, "either x, an array or a frame, or the path"),
        (lambda _: {"x": X, "path": "x.npy"}, "either x, an array or a frame, or the path"),
        (lambda _: {"x": X[:, 0]}, r"expected rows of numbers \(N, ...\), got an array of shape \(20,\)"),
        (lambda _: {"x": X[:0]}, r"expected rows of numbers"),
        (lambda _: {"x": MISSING}, "x: 1 of 60 numbers are missing or infinite, at row 2, column 1: leave those rows"),
        (lambda _: {"x": X * np.inf}, "60 of 60 numbers are missing or infinite, at .* and 57 more"),
        (lambda _: {"x": [["a", 1.0]]}, "expected numbers, got 'a'"),
        (lambda _: {"x": X, "y": KINDS[:3]}, r"one label for each of 20 rows, got an array of shape \(3,\)"),
        (lambda _: {"x": X, "ids": ["a"] * 20}, "ids are one name for each of 20 rows, each another"),
        (
            lambda _: {"x": pd.DataFrame(TABLE)},
            "column 'kind': expected numbers, got 'a' .and so in name.: give data.label kind",
        ),
        (lambda _: {"x": pd.DataFrame(TABLE), "label": "no"}, "x has no column 'no', only one, two, three, kind, name"),
        (file("t.csv", b"a,b\n1,2\n3\n"), "t.csv, row 1: expected 2 fields, as in the first line, got 1"),
        (file("t.csv", b"a,b,a\n1,2,3\n"), "t.csv has two columns named 'a': give each a name of its own"),
        (lambda _: {"x": pd.DataFrame(X, columns=["a", "b", "a"])}, "x has two columns named 'a': give each"),
        (file("t.csv", b"a,b\n1,\n3,4\n"), "t.csv: 1 of 4 numbers are missing or infinite, at row 0, column b"),
        (file("t.csv", b"a,b\n1,x\n"), "t.csv, column 'b': expected numbers, got 'x'"),
        (file("t.csv", b"a,b\n"), "t.csv has no rows below the names of its columns"),
        (file("t.csv", b""), "t.csv has no rows below the names of its columns"),
        (file("t.csv", b"a\n\xff\n"), "t.csv: expected UTF-8 text"),
        (file("t.npy", b"\x93NUMPY"), "t.npy is no file of an array"),
        (file("t.npz", b"PK"), "t.npz is no file of an array"),
        (lambda _: {"x": pd.DataFrame({"a": [[1, 2]] * 20})}, r"x, column 'a': expected numbers, got '\[1, 2\]'"),
        (lambda _: {"x": [[10**400, 1]] * 20}, "x: expected numbers, got '1000"),
        (lambda _: {"x": [[np.datetime64("2020-01-01"), 1.0]] * 20}, "x: expected numbers, got '2020-01-01'"),
        (file("t.txt", b"1 2"), "none of the known endings .csv, .tsv, .parquet, .npy, .npz"),
        (lambda path: {"path": path / "none.csv"}, "cannot read .*none.csv: No such file"),
    ],
)
def test_what_is_no_table_of_numbers_is_said_in_one_line(
    arguments: Callable[[Path], dict[str, Any]], message: str, tmp_path: Path
) -> None:
    with pytest.raises(ValueError, match=message) as said:
        Arrays(**arguments(tmp_path)).setup()
    assert "\n" not in str(said.value)


def test_a_parquet_file_that_unpacks_to_more_than_the_memory_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of one number that is repeated it takes a few bytes for any number of rows."""
    monkeypatch.setattr("os.sysconf", lambda name: 10)
    pd.DataFrame({"one": np.zeros(30)}).to_parquet(tmp_path / "t.parquet")
    with pytest.raises(ValueError, match=r"the columns of .*t\.parquet take 0\.0 GB, and this machine has 0\.0: take"):
        Arrays(path=tmp_path / "t.parquet").setup()


def test_a_pickle_is_not_opened(tmp_path: Path) -> None:
    np.save(tmp_path / "x.npy", np.array([{"a": 1}], object), allow_pickle=True)
    with pytest.raises(ValueError, match="is no file of an array"):
        Arrays(path=tmp_path / "x.npy").setup()


# -- what is missing -------------------------------------------------------------------------------------------------


def test_missing_entries_stay_and_are_in_no_mean() -> None:
    """Means and deviations are of the observed entries of training rows; to_original leaves NaN where it was."""
    x = np.where(np.arange(60).reshape(20, 3) % 7 == 2, np.nan, X)
    data = Arrays(x, standardise=True, missing=True)
    data.setup()
    kept = x[data.train.ids.numpy()]
    np.testing.assert_allclose(data.scaling[0], np.nanmean(kept, 0), rtol=1e-6)
    np.testing.assert_allclose(data.scaling[1], np.nanstd(kept, 0), rtol=1e-6)
    np.testing.assert_allclose(data.to_original(data.train.x), kept, rtol=1e-5)
    again = data.preparation.read(x).observations.x
    np.testing.assert_array_equal(again.numpy()[data.train.ids.numpy()], data.train.x.numpy())


def test_nothing_missing_is_bit_for_bit_as_without() -> None:
    told = []
    for missing in (False, True):
        data = Arrays(X, standardise=True, missing=missing)
        data.setup()
        told.append((*data.scaling, data.train.x))
    assert all(torch.equal(one, other) for one, other in zip(*told, strict=True))


def test_some_columns_are_standardised() -> None:
    data = Arrays(pd.DataFrame(TABLE), columns=["one", "two"], standardise=["two"])
    data.setup()
    ids = data.train.ids.numpy()
    np.testing.assert_array_equal(data.train.x[:, 0], TABLE["one"][ids].astype(np.float32))
    assert data.train.x[:, 1].mean().abs() < 1e-6
    with pytest.raises(ValueError, match="standardise names a column 'no'; there are only one, two"):
        Arrays(pd.DataFrame(TABLE), columns=["one", "two"], standardise=["no"]).setup()


@pytest.mark.parametrize(
    ("x", "message"),
    [
        (np.where(np.arange(3) == 1, np.nan, X), "no training row has a value in column 1: leave that column out"),
        (MISSING * np.where(MISSING > 50, np.inf, 1), "numbers are infinite, at"),
    ],
)
def test_what_missing_does_not_take(x: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Arrays(x, standardise=True, missing=True).setup()


@pytest.mark.parametrize(
    "given",
    [
        np.ma.masked_array(np.ones((20, 1)), np.arange(20)[:, None] == 3),
        pd.DataFrame({"a": pd.array([True] * 3 + [None] + [True] * 16, "boolean")}),
        pd.DataFrame({"a": pd.Series([1] * 3 + ["NA"] + [1] * 16, dtype=object)}),
        pd.DataFrame({"a": pd.Series(["1"] * 3 + [""] + [1] * 16, dtype=object)}),
    ],
    ids=["masked", "pandas NA", "a text that says so", "an empty text"],
)
def test_whatever_says_that_there_is_no_number_is_missing(given: Any) -> None:
    x = Arrays(given, missing=True).rows.x
    np.testing.assert_array_equal(x, np.where(np.arange(20)[:, None] == 3, np.nan, 1))


@pytest.mark.parametrize("close", [1_700_000_000 + np.arange(20), [str(1e8 + n / 9) for n in range(20)]])
def test_numbers_that_float32_does_not_tell_apart_are_said(close: Any) -> None:
    with pytest.warns(UserWarning, match="x, column 'when': numbers are kept to seven digits, .*: subtract what"):
        Arrays(pd.DataFrame({"when": close, "one": X[:, 0]})).setup()


@pytest.mark.parametrize(
    "apart",
    [
        20_240_100 + 100 * np.arange(20),
        10_000_000 + np.arange(20),
        np.append(10_000_000.0 + np.arange(20), np.nan),
        np.float32(1.7e9) + 128 * np.arange(20, dtype=np.float32),
        X[:, 0] * 1e30,
        0.1 + np.zeros(20),
        1 / 3 + 0 * X,
    ],
)
def test_numbers_that_float32_tells_apart_are_not(apart: Any) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert numbers(np.asarray(apart), "x").shape == np.shape(apart)


def test_one_long_text_takes_no_room_in_the_other_rows(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("one,note\n" + f"1,\n2,{'x' * 10 * SHORT}\n" * 500)
    assert columns_of(tmp_path / "t.csv")["note"].nbytes < 10_000
    assert Arrays(path=tmp_path / "t.csv", label="note").setup() is None


SHUFFLED = np.random.default_rng(1).permutation(50)[:20]


@pytest.mark.parametrize("numbers", [np.arange(20), SHUFFLED], ids=["in order", "shuffled"])
@pytest.mark.parametrize("read", [str, pd.read_csv], ids=["file", "frame"])
def test_a_column_without_a_name_that_numbers_the_rows_is_left_out(
    numbers: np.ndarray, read: Callable[[str], Any], tmp_path: Path
) -> None:
    """The index of a frame, as pandas writes it by default, and as it calls it once it has read it again."""
    file = str(tmp_path / "t.csv")
    pd.DataFrame(X, index=numbers, columns=["one", "two", "three"]).to_csv(file)
    data = Arrays(read(file))
    with pytest.warns(
        UserWarning, match=r"as a frame's index does, and is left out: give --data\.id '.*' to have them as names"
    ):
        rows = data.rows
    assert rows.feature_names == ["one", "two", "three"]
    assert everything(data)[0] == pytest.approx(X.astype(np.float32))
    name = "" if read is str else "Unnamed: 0"
    assert Arrays(read(file), id=name).names == [str(number) for number in numbers]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert Arrays(read(file), columns=[name, "two"]).feature_names == [name, "two"]


def test_the_index_in_a_parquet_file_is_left_out(tmp_path: Path) -> None:
    """Which pandas keeps there under a name of its own, behind the columns, unless it counts from zero."""
    pd.DataFrame(X, index=SHUFFLED, columns=["one", "two", "three"]).to_parquet(tmp_path / "t.parquet")
    with pytest.warns(UserWarning, match="__index_level_0__.* is left out"):
        assert Arrays(path=tmp_path / "t.parquet").feature_names == ["one", "two", "three"]


def test_whole_numbers_without_a_name_behind_other_columns_are_a_feature(tmp_path: Path) -> None:
    pd.DataFrame({"two": X[:, 1], "": SHUFFLED}).to_csv(tmp_path / "t.csv", index=False)
    assert Arrays(path=tmp_path / "t.csv").feature_names == ["two", ""]


@pytest.mark.parametrize("values", [X[:, 0], np.arange(20) // 2], ids=["reals", "some twice"])
def test_another_column_without_a_name_is_a_feature(values: np.ndarray, tmp_path: Path) -> None:
    pd.DataFrame({"": values, "two": X[:, 1]}).to_csv(tmp_path / "t.csv", index=False)
    assert Arrays(path=tmp_path / "t.csv").feature_names == ["", "two"]


def test_a_row_of_a_table_whose_label_is_empty_has_none(tmp_path: Path) -> None:
    """Empty fields of a .csv, and what frames have in their place."""
    labels = ["u", "v", "", "u"] * 5
    pd.DataFrame({"one": X[:, 0], "kind": labels}).to_csv(tmp_path / "t.csv", index=False)
    for data in (
        Arrays(path=tmp_path / "t.csv", label="kind"),
        Arrays(X, labels),
        Arrays(X, [k or None for k in labels]),
    ):
        assert everything(data)[1] == labels
        assert data.label_names == ["u", "v"]


@pytest.mark.parametrize("none", [float("nan"), None, pd.NaT])
@pytest.mark.parametrize("given", [list, lambda labels: np.array(labels, object), pd.Series])
def test_a_label_that_is_none_is_no_label(given: Any, none: Any) -> None:
    """Of a list with texts NumPy made "nan" and "None" of it."""
    data = Arrays(X, given(["u", none, 3, none] * 5))
    assert everything(data)[1] == ["u", "", "3", ""] * 5
    assert data.label_names == ["3", "u"]


@pytest.mark.parametrize("kind", ["datetime64[ns]", "timedelta64[s]", "complex64"])
def test_times_and_complex_numbers_are_no_features(kind: str) -> None:
    """NumPy makes numbers of them: of a date its nanoseconds since 1970, of a complex one its real part."""
    frame = pd.DataFrame({"when": np.arange(20).astype(kind), "one": X[:, 0]})
    with pytest.raises(ValueError, match=r"x, column 'when': expected numbers, got .*data\.columns \[one\] to leave"):
        Arrays(frame).setup()


def test_no_times_at_all_are_no_features_either() -> None:
    """There is no value to name; the error was an IndexError."""
    with pytest.raises(ValueError, match=r"^x: expected numbers, got 'datetime64\[s\]'"):
        numbers(np.array([], "datetime64[s]"), "x")
