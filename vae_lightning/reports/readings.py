"""Readings: the figures of a diagnostic -> a verdict, and a sentence with the number and what is good or bad of it."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping

from vae_lightning import callbacks
from vae_lightning.reports.figures import Value, value_of
from vae_lightning.sweeps.comparison.glossary import COPIES

GOOD, LOOK, BAD = "good", "look", "bad"
"""All is well; worth a look; something is wrong."""


class Found:
    """The figures of one split, by their names without it."""

    def __init__(self, figures: Mapping[str, float | None], split: str) -> None:
        self.split, self._figures = split, figures

    def __getitem__(self, name: str) -> float:
        """The value; NaN for one that was not finite."""
        value = self._figures[f"{self.split}/{name}"]
        return math.nan if value is None else value

    def __contains__(self, name: str) -> bool:
        return any(each == name or (name.endswith("@") and each.startswith(name)) for each in self.names())

    def names(self) -> list[str]:
        """All of them."""
        return [key.removeprefix(f"{self.split}/") for key in self._figures if key.startswith(f"{self.split}/")]

    def told(self, name: str) -> str:
        """The value with its error."""
        return str(value_of(self._figures, f"{self.split}/{name}") or Value(None))


Reading = Callable[[Found], tuple[str, str]]
"""Verdict and sentence."""


def _collapse(found: Found) -> tuple[str, str]:
    if found["collapsed"] > 0:
        return BAD, (
            "The posterior has collapsed: the code carries no information about its observation, and the decoder "
            "ignores it. A warm-up of beta, free bits or a weaker decoder may help."
        )
    share = found["inactive_units_fraction"]
    return (LOOK if share > 0.5 else GOOD), (
        "The posterior has not collapsed: codes carry information about their observations. "
        f"{share:.0%} of the latent units are inactive, which is harmless if the likelihood is high enough."
    )


def _mode_collapse(found: Found) -> tuple[str, str]:
    told = f"The means of samples have {found['sample_spread']:.0%} of the variance of the data."
    if found["collapsed"] > 0:
        return BAD, f"{told} The generator has collapsed: its samples are alike. A penalty such as `R1` may help."
    return GOOD, f"{told} Samples are not all alike, but may be of some modes alone: compare them with data."


def _units(found: Found) -> tuple[str, str]:
    active, share = found["active_units"], found["active_units_fraction"]
    units = round(active / share) if share > 0 else None
    of_all = f" of {units:,}" if units else ""
    if active == 0:
        return BAD, "No latent unit is active: each has the same posterior mean for every observation."
    told = f"{active:,.0f}{of_all} latent units are active: their posterior means vary over the data."
    if share < 0.5:
        return LOOK, f"{told} The others carry no information: fewer units may be enough."
    return GOOD, told


def _surgery(found: Found) -> tuple[str, str]:
    information, marginal, cap = (found[name] for name in ("mutual_information", "marginal_kl", "log_n"))
    told = (
        f"The KL term of the ELBO is {found.told('rate')} nats on average; {found.told('mutual_information')} are "
        f"mutual information of code and observation, {found.told('marginal_kl')} are the marginal KL, from the "
        "aggregated posterior to the prior."
    )
    if cap - information < math.log(2):
        return LOOK, (
            f"{told} The mutual information is close to the largest value that it can have here, log N = {cap:.2f}: "
            "the true one may be larger, and the marginal KL smaller. Use more observations (`limit`)."
        )
    if marginal > information:
        return LOOK, (
            f"{told} The marginal KL is the larger part: samples from the prior suffer, and a learned prior may help."
        )
    return GOOD, f"{told} The smaller the marginal KL, the better are samples from the prior."


def _likelihood(found: Found) -> tuple[str, str]:
    gain = found["log_likelihood"] - found["elbo"]
    share = found["effective_sample_fraction"]
    told = (
        f"log p(x) is at least {found.told('log_likelihood')} nats per observation. That is {gain:.2f} nats above the "
        f"ELBO, {found.told('elbo')}: the approximate posterior costs at least so much. The effective sample size is "
        f"{share:.0%} of the importance samples."
    )
    if found["effective_sample_size"] < 5:
        return BAD, f"{told} That is too small to trust the estimate: raise K or widen the proposal."
    if share < 0.05:
        return LOOK, f"{told} That is small: the bound may be loose by more than its standard error."
    return GOOD, told


def _annealed(found: Found) -> tuple[str, str]:
    told = (
        f"log p(x) is {found.told('log_likelihood')} nats per observation, with log Z = {found.told('log_partition')}."
    )
    if "effective_sample_size" in found and found["effective_sample_size"] < 5:
        return BAD, (
            f"{told} Hardly any of the annealed chains has weight: do not trust it, and use more annealing steps."
        )
    return GOOD, told


def _gaps(found: Found) -> tuple[str, str]:
    family, encoder = found["approximation_gap"], found["amortisation_gap"]
    told = (
        f"Between log p(x) and the ELBO lie an approximation gap of {found.told('approximation_gap')} nats, due to the "
        f"posterior's family, and an amortisation gap of {found.told('amortisation_gap')} nats, due to the encoder."
    )
    if max(family, encoder) < 0.5:
        return GOOD, f"{told} Both are small."
    way = "A richer family of posteriors" if family > encoder else "A larger or better trained encoder"
    return LOOK, f"{told} {way} would help most."


def _consistency(found: Found) -> tuple[str, str]:
    told = f"KL(q(z | x) || p(z | x)) is at least {found.told('mismatch')} nats on average."
    if "decoder_r2" in found and "encoder_r2" in found:
        told += (
            f" The R² of the best affine map is {found.told('decoder_r2')} for the decoder and "
            f"{found.told('encoder_r2')} for the encoder; if both are near 1, the VAE is close to an RBM."
        )
    if found["mismatch"] < 0.5:
        return GOOD, f"{told} The bound is tight."
    return LOOK, f"{told} The encoder's family or network is not rich enough for this decoder."


def _distance(name: str, label: str) -> Reading:
    def read(found: Found) -> tuple[str, str]:
        images = f"{found[f'{name}_n']:,.0f}" if f"{name}_n" in found else "some"
        few = f"{name}_n" in found and found[f"{name}_n"] < 2048
        told = f"{label} between {images} samples and the data is {found.told(name)}; lower is better."
        bias = " It is biased upwards: compare it only with figures of as many images."
        return (LOOK if few else GOOD), told + (bias if few else "")

    return read


def _neighbours(found: Found) -> tuple[str, str]:
    t = found["smooth_knn"]
    told = (
        f"The nearest-neighbour statistic of samples against data is {t:.1f} standard deviations; it would be 0 ± 1 if "
        "samples had the distribution of the data."
    )
    if t < COPIES:
        return LOOK, f"{told} They are nearer to data than other data would be: they may be copies of observations."
    if t < 2:
        return GOOD, f"{told} The test cannot tell samples from data."
    return LOOK, f"{told} It tells samples from data. Compare models only at equal numbers of points."


def _gaussian_codes(found: Found) -> tuple[str, str]:
    statistic, critical = found["henze_zirkler"], found["henze_zirkler_critical"]
    told = (
        f"The Henze-Zirkler statistic of the aggregated posterior is {statistic:.3g}; its critical value at the 5 % "
        f"level is {critical:.3g}."
    )
    if statistic > critical:
        return LOOK, f"{told} The test rejects that the codes are Gaussian: samples from a Gaussian prior suffer."
    return GOOD, f"{told} The test does not reject that the codes are Gaussian."


def _precision(found: Found) -> tuple[str, str]:
    told = [f"{name} is {found.told(name)}" for name in found.names() if name.startswith(("precision@", "precision_w"))]
    return GOOD, (
        f"{'; '.join(told)}: the share of retrieved training documents that have the label of the query. By chance it "
        "would be 1 over the number of labels, if these are equally frequent."
    )


def _bits(found: Found) -> tuple[str, str]:
    entropy = found["bit_entropy"]
    told = (
        f"The entropy of a bit over the documents is {found.told('bit_entropy')} bits on average (at most 1); under "
        f"q(z | x) it is {found.told('bit_uncertainty')} bits, the encoder's uncertainty."
    )
    return (GOOD if entropy > 0.8 else LOOK), told + (" Some bits are hardly used." if entropy <= 0.8 else "")


READINGS: tuple[tuple[str, type, tuple[str, ...], Reading], ...] = (
    ("Posterior collapse", callbacks.CollapseWatch, ("collapsed", "inactive_units_fraction"), _collapse),
    ("Mode collapse", callbacks.CollapseWatch, ("collapsed", "sample_spread"), _mode_collapse),
    ("Likelihood", callbacks.LogLikelihood, ("log_likelihood", "elbo", "effective_sample_fraction"), _likelihood),
    ("Likelihood", callbacks.AnnealedLikelihood, ("log_likelihood", "log_partition"), _annealed),
    ("Inference gaps", callbacks.InferenceGaps, ("approximation_gap", "amortisation_gap"), _gaps),
    ("Posterior mismatch", callbacks.Consistency, ("mismatch",), _consistency),
    ("Parts of the KL term", callbacks.ELBOSurgery, ("rate", "mutual_information", "log_n"), _surgery),
    ("Active units", callbacks.ActiveUnits, ("active_units", "active_units_fraction"), _units),
    ("Use of the bits", callbacks.BitUse, ("bit_entropy", "bit_uncertainty"), _bits),
    ("Retrieval", callbacks.HammingPrecision, ("precision@",), _precision),
    ("Samples against data", callbacks.FrechetInceptionDistance, ("fid",), _distance("fid", "FID")),
    (
        "Samples against data",
        callbacks.FrechetInceptionDistance,
        ("frechet_distance",),
        _distance("frechet_distance", "The Fréchet distance"),
    ),
    ("Samples against data: nearest neighbours", callbacks.SmoothKNN, ("smooth_knn",), _neighbours),
    ("Normality of the codes", callbacks.HenzeZirkler, ("henze_zirkler", "henze_zirkler_critical"), _gaussian_codes),
)
"""Title, diagnostic, the figures by which it is known that it ran, and how they are read."""
