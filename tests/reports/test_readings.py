"""What diagnostics conclude: the verdict where it turns, and the number in the sentence."""

from __future__ import annotations

from pathlib import Path

import pytest
from support.command import figures

from vae_lightning.reports.conclusions import conclusions
from vae_lightning.reports.figures import lines, rounded
from vae_lightning.reports.readings import BAD, GOOD, LOOK, READINGS

COLLAPSE = {"collapsed": 0.0, "inactive_units_fraction": 0.25}
LIKELIHOOD = {"log_likelihood": -90.0, "log_likelihood_error": 0.4, "elbo": -92.0, "effective_sample_fraction": 0.2,
              "effective_sample_size": 200.0}  # fmt: skip
SURGERY = {"rate": 3.0, "mutual_information": 2.0, "marginal_kl": 1.0, "log_n": 6.0}
UNITS = {"active_units": 12.0, "active_units_fraction": 0.75}
GAPS = {"approximation_gap": 0.2, "amortisation_gap": 0.1}


@pytest.mark.parametrize(
    ("found", "verdict", "words"),
    [
        (COLLAPSE, GOOD, "25% of the latent units"),
        (COLLAPSE | {"inactive_units_fraction": 0.6}, LOOK, "60% of the latent units"),
        (COLLAPSE | {"collapsed": 1.0}, BAD, "has collapsed"),
        ({"collapsed": 0.0, "sample_spread": 0.9}, GOOD, "90% of the variance of the data. Samples are not all alike"),
        ({"collapsed": 1.0, "sample_spread": 0.1}, BAD, "10% of the variance of the data. The generator has collapsed"),
        (LIKELIHOOD, GOOD, "at least -90.00 ± 0.40 nats per observation. That is 2.00 nats above the ELBO"),
        (LIKELIHOOD | {"effective_sample_fraction": 0.04}, LOOK, "size is 4% of the importance samples"),
        (LIKELIHOOD | {"effective_sample_size": 4.0}, BAD, "too small to trust the estimate"),
        ({"log_likelihood": -90.0, "log_partition": 7.0, "effective_sample_size": 3.0}, BAD, "chains has weight"),
        (SURGERY, GOOD, "3 nats on average; 2 are mutual information of code and observation, 1 are the marginal KL"),
        (SURGERY | {"marginal_kl": 2.5}, LOOK, "a learned prior may help"),
        (SURGERY | {"mutual_information": 5.5}, LOOK, "largest value that it can have here, log N = 6.00"),
        (UNITS, GOOD, "12 of 16 latent units are active"),
        ({"active_units": 4.0, "active_units_fraction": 0.25}, LOOK, "4 of 16"),
        ({"active_units": 0.0, "active_units_fraction": 0.0}, BAD, "No latent unit is active"),
        (GAPS, GOOD, "gap of 0.2000 nats, due to the posterior's family, and an amortisation gap of 0.1000"),
        (GAPS | {"approximation_gap": 2.0}, LOOK, "A richer family of posteriors would"),
        (GAPS | {"amortisation_gap": 2.0}, LOOK, "A larger or better trained encoder would"),
        ({"mismatch": 0.1, "decoder_r2": 0.9, "encoder_r2": 0.8}, GOOD, "0.9000 for the decoder and 0.8000"),
        ({"mismatch": 3.0}, LOOK, "at least 3 nats"),
        ({"fid": 12.0, "fid_error": 0.5, "fid_n": 5000.0}, GOOD, "FID between 5,000 samples and the data is 12.00"),
        ({"fid": 12.0, "fid_n": 100.0}, LOOK, "biased upwards"),
        ({"frechet_distance": 1.5}, GOOD, "The Fréchet distance between some samples"),
        ({"smooth_knn": 0.7}, GOOD, "cannot tell samples from data"),
        ({"smooth_knn": 9.0}, LOOK, "9.0 standard deviations"),
        ({"smooth_knn": -5.7}, LOOK, "may be copies of observations"),
        ({"henze_zirkler": 2.0, "henze_zirkler_critical": 1.1}, LOOK, "rejects that the codes are Gaussian"),
        ({"henze_zirkler": 1.0, "henze_zirkler_critical": 1.1}, GOOD, "does not reject"),
        ({"precision@10": 0.4, "precision_within_2": 0.2}, GOOD, "precision@10 is 0.4000; precision_within_2 is 0.2"),
        ({"bit_entropy": 0.95, "bit_uncertainty": 0.1}, GOOD, "0.9500 bits on average"),
        ({"bit_entropy": 0.5, "bit_uncertainty": 0.1}, LOOK, "hardly used"),
    ],
)  # fmt: skip
def test_a_diagnostic_is_read_with_its_number(found: dict[str, float], verdict: str, words: str) -> None:
    (said,) = conclusions({f"val/{name}": value for name, value in found.items()})
    assert said.verdict == verdict
    assert words in said.sentence
    assert said.sentence.endswith("(Validation split.)")


def test_the_test_split_is_what_is_read_where_there_is_one() -> None:
    (said,) = conclusions({f"{split}/smooth_knn": value for split, value in (("val", 9.0), ("test", 0.5))})
    assert (said.verdict, said.sentence[-13:]) == (GOOD, "(Test split.)")


def test_nothing_is_read_of_what_is_not_finite() -> None:
    (said,) = conclusions({"val/mismatch": None})
    assert (said.verdict, said.sentence) == (
        BAD, "mismatch came out as not finite: nothing can be read of it. (Validation split.)",
    )  # fmt: skip


def test_a_method_is_told_in_the_diagnostics_own_words() -> None:
    (said,) = conclusions({"val/active_units": 4.0, "val/active_units_fraction": 1.0})
    assert said.method.startswith("Logs `active_units`")
    assert "A_i = Var_x( E_q(z|x)[z_i] )" in said.method
    assert "Args:" not in said.method


def test_real_diagnostics_log_what_their_readings_need(run_with_figures: Path) -> None:
    """Each of the four that ran is read, so that a renamed figure is noticed here."""
    titles = [said.title for said in conclusions(figures(run_with_figures))]
    assert titles == ["Posterior collapse", "Likelihood", "Parts of the KL term", "Active units"]
    assert len({title for title, *_ in READINGS}) > len(titles)


@pytest.mark.parametrize(
    ("value", "error", "text"),
    [
        (-27.2036, 0.4149, "-27.20 ± 0.41"),
        (1234567.0, 2300.0, "1,234,567 ± 2.3e+03"),
        (1.0, None, "1"),
        (0.5779, None, "0.5779"),
        (26.85012, 0.0, "26.85"),
        (0.00012345, None, "0.000123"),
        (1.5, float("nan"), "1.500"),
        (None, None, "not finite"),
        (3.0, 1e-9, "3 ± 1e-09"),
    ],
)
def test_a_figure_has_two_digits_of_its_error(value: float | None, error: float | None, text: str) -> None:
    assert rounded(value, error) == text


def test_an_error_is_no_line_of_its_own_unless_there_is_nothing_that_it_is_of() -> None:
    found = lines(
        {"val/nelbo": 2.0, "val/nelbo_error": 0.1, "test/nelbo": 1.0, "val/log_likelihood_sampling_error": 0.1}
    )
    assert [line.name for line in found] == ["nelbo", "log_likelihood_sampling_error"]
    assert {split: str(value) for split, value in found[0].values.items()} == {"val": "2.00 ± 0.10", "test": "1"}
