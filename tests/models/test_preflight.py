"""Data that a model cannot have are refused before training, by one rule: which split, how many rows, the way out."""

from __future__ import annotations

import re
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import lightning.pytorch as pl
import pytest
import torch
from support.models import digits, hashing, newsgroups, trainer
from torch import Tensor
from torch.utils.data import DataLoader, TensorDataset

from vae_lightning.counts import Counts
from vae_lightning.data import Digits, FullBatch, InMemoryDataModule, Observations, Stacked
from vae_lightning.estimators import LeaveOneOut
from vae_lightning.families import Bernoulli, BernoulliMRF, Categorical, ExponentialFamily, Multinomial, Normal
from vae_lightning.models import HVAE, MRFVAE, RBM, VAE, Ensemble, GaussianVAE, LiBI
from vae_lightning.nn import MLP
from vae_lightning.objectives import ELBO
from vae_lightning.process import lacks_bfloat16

NAN = float("nan")


class Rows(InMemoryDataModule):
    """Three splits given as they are, of ten observations unless another is given."""

    def __init__(self, train: Any, val: Any, test: Any) -> None:
        super().__init__(batch_size=5, eval_batch_size=5)
        self.given = train, val, test

    def load(self) -> tuple[Observations, Observations, Observations]:
        train, val, test = (Observations.numbered(x, torch.zeros(len(x), dtype=torch.int64)) for x in self.given)
        return train, val, test


def bits(rows: int = 10) -> Tensor:
    return torch.bernoulli(torch.full((rows, 6), 0.5), generator=torch.Generator().manual_seed(rows))


def spoilt(x: Tensor, *places: tuple[int, ...], value: float = NAN) -> Tensor:
    for place in places:
        x[place] = value
    return x


MODELS: dict[str, Callable[[ExponentialFamily], pl.LightningModule]] = {
    "VAE": lambda family: VAE(Bernoulli(3), family, MLP, MLP, ELBO(LeaveOneOut(2))),
    "GaussianVAE": lambda family: GaussianVAE(2, family),
    "HVAE": lambda family: HVAE((2, 2), family),
    "MRFVAE": lambda family: MRFVAE(BernoulliMRF(2, 2), family),
    "LiBI": lambda family: LiBI(1, family, steps=2),
    "RBM": lambda family: RBM(family, Bernoulli(3)),
}


@pytest.mark.parametrize("name", MODELS)
def test_every_model_looks_at_its_validation_data_before_it_trains(name: str) -> None:
    """What is wrong there alone would end in figures, in NaN or in nothing, without a word."""
    model, data = MODELS[name](Bernoulli(6)), Rows(bits(), spoilt(bits(), (7, 1), (7, 2), (9, 0)), bits())
    with pytest.raises(ValueError, match="finite") as refused:
        trainer(max_epochs=0).fit(model, data)
    assert str(refused.value) == (
        "Bernoulli((6,)) takes finite numbers, got nan among the validation data (2 of 10 rows, the first row 7 at "
        "(1,)): leave such observations out, or fill in what is missing; families.PartlyObserved around the family "
        "takes NaN"
    )


def test_so_do_the_members_of_an_ensemble() -> None:
    data = [FullBatch(Rows(bits(), bits(), bits())), FullBatch(Rows(bits(), spoilt(bits(), (3, 0), value=2.0), bits()))]
    ensemble = Ensemble(member=lambda: GaussianVAE(2, Bernoulli(6)), seeds=2)
    with pytest.raises(ValueError, match=r"zeros and ones, got 2 among the validation data \(1 of 10 rows, the first"):
        trainer(max_epochs=0).fit(ensemble, Stacked(data))


@pytest.mark.parametrize(
    ("family", "value", "needs"),
    [
        (Normal(6), float("inf"), "finite numbers, got inf"),
        (Bernoulli(6), 255.0, "zeros and ones, got 255 .*: binarise them"),
        (Bernoulli(6), 0.25, "zeros and ones, got 0.25 .*: binarise them .*, use Normal for reals, or ask for inten"),
        (Bernoulli(6, intensities=True), 1.5, "numbers from 0 to 1, got 1.5"),
        (Multinomial(6), 0.5, r"counts: 0, 1, 2, \.\.\., got 0.5"),
        (Multinomial(6), -1.0, r"counts: 0, 1, 2, \.\.\., got -1"),
        (Multinomial(6), float("inf"), "finite numbers, got inf"),
        (Categorical(6), 1.0, "one-hot vectors"),
        (Normal(5), 0.0, r"needs observations of shape \(5,\), got \(6,\)"),
    ],
    ids=str,
)
def test_what_each_family_takes(family: ExponentialFamily, value: float, needs: str) -> None:
    x = torch.eye(6)[torch.arange(10) % 6]
    with pytest.raises(ValueError, match=needs):
        trainer(max_epochs=0).fit(GaussianVAE(2, family), Rows(spoilt(x.clone(), (4, 5), value=value), x, x))


def test_data_of_the_test_are_looked_at_by_the_test_alone() -> None:
    model, data = GaussianVAE(2, Normal(6)), Rows(bits(), bits(), spoilt(bits(), (0, 0)))
    trainer().fit(model, data)
    with pytest.raises(ValueError, match=r"got nan among the test data \(1 of 10 rows, the first row 0 at \(0,\)\)"):
        trainer().test(model, data)


def test_gray_pixels_are_no_bits_unless_one_says_so() -> None:
    """Then the bound is minus a cross-entropy: with the logits at 0, log 2 a pixel whatever the pixels are."""
    with pytest.raises(ValueError, match=r"got 0\..* among the training data"):
        trainer().fit(GaussianVAE(2, Bernoulli((1, 8, 8))), Digits())
    model = GaussianVAE(2, Bernoulli((1, 8, 8), intensities=True))
    for parameter in model.model.decoder.parameters():
        torch.nn.init.zeros_(parameter)
    (figures,) = trainer().validate(model, Digits(), verbose=False)
    assert figures["val/reconstruction"] == pytest.approx(64 * torch.log(torch.tensor(2.0)).item(), rel=1e-5)


@pytest.mark.parametrize("dtype", [torch.float64, torch.uint8, torch.bool, torch.bfloat16])
def test_numbers_of_another_kind_than_the_weights(dtype: torch.dtype) -> None:
    data = Rows(bits().to(dtype), bits(), bits())
    with pytest.raises(ValueError, match=rf"data are {dtype}, .* torch.float32: convert by x.to\(torch.float32\)"):
        trainer().fit(GaussianVAE(2, Bernoulli(6)), data)


def test_double_precision_takes_doubles() -> None:
    data, module = Rows(bits().double(), bits(), bits()), GaussianVAE(2, Bernoulli(6))
    trainer(precision="64-true").fit(module, data)
    assert {parameter.dtype for parameter in module.parameters()} == {torch.float64}


def test_documents(miniature: Path) -> None:
    """Sparse rows are told by the row and the word."""
    documents = Counts.from_dense(torch.eye(80)[:10] + 1)
    wrong = documents.with_values(documents.values.index_fill(0, torch.tensor([80 * 3 + 7]), 0.5))
    with pytest.raises(ValueError, match=r"got 0.5 among the training data \(1 of 10 rows, the first row 3 at \(7,\)"):
        trainer().fit(VAE(Bernoulli(3), Multinomial(80), MLP, MLP, ELBO(LeaveOneOut(2))), Rows(wrong, wrong, wrong))
    with pytest.raises(ValueError, match="the model has 79 words but the data 80"):
        trainer().fit(hashing(num_words=79), newsgroups(miniature))


def test_nothing_is_written_for_data_that_are_refused(tmp_path: Path) -> None:
    data = Rows(spoilt(bits(), (0, 0)), bits(), bits())
    with pytest.raises(ValueError, match="got nan"):
        trainer(folder=tmp_path).fit(GaussianVAE(2, Normal(6)), data)
    assert not list(tmp_path.iterdir())


# --- loaders without a data module --------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["GaussianVAE", "RBM"])
def test_a_loaders_batches_are_looked_at_when_they_come(name: str) -> None:
    """The first of a fit and those of validation; a loss that is not finite is found at a logged step."""
    good, bad = DataLoader(bits(), 5), DataLoader(spoilt(bits(), (1, 0), value=7.0), 5)
    with pytest.raises(ValueError, match=r"zeros and ones, got 7 among the rows of a batch \(1 of 5 rows, the first"):
        trainer().fit(MODELS[name](Bernoulli(6)), bad)
    with pytest.raises(ValueError, match="zeros and ones, got 7"):
        trainer().fit(MODELS[name](Bernoulli(6)), good, bad)
    late = DataLoader(spoilt(bits(), (8, 2)), 5)
    with pytest.raises(ValueError, match=r"got nan among the batch of step 1 \(1 of 5 rows, the first row 3"):
        trainer().fit(MODELS[name](Normal(6, 1.0)), late)


def batches_of(kind: str) -> DataLoader[Any]:
    x, y = bits(), torch.arange(10)
    return {
        "x": DataLoader(x, 2),  # type: ignore[arg-type]
        "[x]": DataLoader(TensorDataset(x), 2),
        "(x, y)": DataLoader(TensorDataset(x, y), 2),
        "(x,)": DataLoader(x, 2, collate_fn=lambda rows: (torch.stack(rows),)),  # type: ignore[arg-type]
        "(x, None)": DataLoader(x, 2, collate_fn=lambda rows: (torch.stack(rows), None)),  # type: ignore[arg-type]
    }[kind]


@pytest.mark.parametrize("kind", ["x", "[x]", "(x,)", "(x, None)"])
@pytest.mark.parametrize("name", ["VAE", "GaussianVAE", "LiBI", "RBM"])
def test_a_batch_without_labels_trains_as_one_with_them(kind: str, name: str) -> None:
    def trained(batches: DataLoader[Any]) -> Tensor:
        torch.manual_seed(0)
        model = MODELS[name](Bernoulli(6))
        trainer(max_steps=5 if name != "LiBI" else 2).fit(model, batches, batches_of(kind))
        return torch.nn.utils.parameters_to_vector(model.parameters())

    assert torch.equal(trained(batches_of(kind)), trained(batches_of("(x, y)")))


@pytest.mark.parametrize(
    ("collate", "told"),
    [
        (lambda rows: {"x": torch.stack(rows)}, "got a dict with the keys 'x'"),
        (lambda rows: (torch.stack(rows),) * 3, "got a tuple of 3: Tensor, Tensor, Tensor"),
        (lambda rows: torch.stack(rows).numpy(), "got a ndarray"),
        (lambda rows: [row.tolist() for row in rows][:2], "got a list of 2: list, list"),
    ],
)
def test_any_other_batch_is_told_what_a_batch_is(collate: Any, told: str) -> None:
    batches: DataLoader[Any] = DataLoader(bits(), 5, collate_fn=collate)  # type: ignore[arg-type]
    with pytest.raises(TypeError, match=r"a batch is x, \(x,\) or \(x, y\).*" + re.escape(told)):
        trainer().fit(GaussianVAE(2, Bernoulli(6)), batches)


def test_rows_apart_are_no_batch() -> None:
    rows: DataLoader[Any] = DataLoader(bits(), 2, collate_fn=list)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match=r"needs observations of shape \(6,\), got \(\)"):
        trainer().fit(GaussianVAE(2, Bernoulli(6)), rows)


# --- precision ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("precision", ["bf16-true", "16-true"])
@pytest.mark.parametrize("verb", ["fit", "validate", "test", "predict"])
def test_precisions_that_round_the_weights_are_refused(precision: str, verb: str) -> None:
    with pytest.raises(ValueError, match=f"precision {precision} would round .*: use bf16-mixed"):
        getattr(trainer(precision=precision), verb)(GaussianVAE(2, Bernoulli((1, 8, 8))), digits())


def test_so_they_are_for_rbms_and_ensembles() -> None:
    with pytest.raises(ValueError, match="precision bf16-true would round"):
        trainer(precision="bf16-true").fit(RBM(Bernoulli((1, 8, 8)), Bernoulli(3)), digits())
    ensemble = Ensemble(member=lambda: GaussianVAE(2, Bernoulli((1, 8, 8))), seeds=2)
    with pytest.raises(ValueError, match="precision bf16-true would round"):
        trainer(precision="bf16-true").fit(ensemble, Stacked([digits()], 2))


def test_bfloat16_on_a_processor_without_it_gets_a_word_and_no_more(monkeypatch: pytest.MonkeyPatch) -> None:
    model = GaussianVAE(2, Bernoulli((1, 8, 8)))
    monkeypatch.setattr("vae_lightning.models.preflight.lacks_bfloat16", lambda: True)
    with pytest.warns(
        UserWarning, match="no instructions for bfloat16 and imitates them: trainer.precision 32-true is"
    ):
        trainer(precision="bf16-mixed", max_steps=1).fit(model, digits())
    with warnings.catch_warnings():
        warnings.filterwarnings("error", message=".*bfloat16")
        trainer(max_steps=1).fit(model, digits())
        monkeypatch.setattr("vae_lightning.models.preflight.lacks_bfloat16", lambda: False)
        trainer(precision="bf16-mixed", max_steps=1).fit(model, digits())


@pytest.mark.parametrize(
    ("cpuinfo", "lacks"),
    [
        ("flags : fpu sse4_2 avx2 avx512f avx512_bf16", False),
        ("flags : fpu sse4_2 avx2 avx512f amx_bf16 amx_tile", False),
        ("flags : fpu sse4_2 avx2", True),
        ("flags : fpu sse4_2 avx2 avx512f", True),
        ("Features : fp asimd bf16 i8mm", False),
        ("Features : fp asimd", True),
        ("nothing that is known", False),
        (None, False),
    ],
)
def test_what_a_processor_says_of_bfloat16(cpuinfo: str | None, lacks: bool, tmp_path: Path) -> None:
    if cpuinfo is not None:
        (tmp_path / "cpuinfo").write_text(cpuinfo)
    assert lacks_bfloat16(tmp_path / "cpuinfo") is lacks
