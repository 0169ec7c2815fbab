"""Readings: the figures of a diagnostic -> a verdict, and a sentence with the number and what is good or bad of it."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping

from vae_lightning import callbacks
from vae_lightning.reports.figures import Value, value_of

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
            "The posterior has collapsed: the code tells nothing of its observation, and the decoder does without it. "
            "A warm-up of beta, free bits or a weaker decoder help."
        )
    share = found["inactive_units_fraction"]
    return (LOOK if share > 0.5 else GOOD), (
        f"The posterior has not collapsed: codes tell of their observations. {share:.0%} of the latent units tell "
        "nothing, which is harmless where the likelihood is as high as it should be."
    )


def _units(found: Found) -> tuple[str, str]:
    active, share = found["active_units"], found["active_units_fraction"]
    units = round(active / share) if share > 0 else None
    of_all = f" of {units:,}" if units else ""
    if active == 0:
        return BAD, "No latent unit is active: each has the same posterior mean for every observation."
    told = f"{active:,.0f}{of_all} latent units are active: their posterior means vary over the data."
    if share < 0.5:
        return LOOK, f"{told} The others have shrunk to the prior: there are units to spare."
    return GOOD, told


def _surgery(found: Found) -> tuple[str, str]:
    information, marginal, cap = (found[name] for name in ("mutual_information", "marginal_kl", "log_n"))
    told = (
        f"The code costs {found.told('rate')} nats. {found.told('mutual_information')} of them tell of the observation"
        f", and {found.told('marginal_kl')} are paid because all codes together are not where the prior is."
    )
    if cap - information < math.log(2):
        return LOOK, (
            f"{told} The mutual information is at its cap, log N = {cap:.2f}: the true one may be larger and the "
            "marginal KL smaller; more observations would tell."
        )
    if marginal > information:
        return LOOK, f"{told} That is more than half: samples from the prior suffer, and a learned prior would help."
    return GOOD, f"{told} The smaller the second, the better are samples from the prior."


def _likelihood(found: Found) -> tuple[str, str]:
    gain = found["log_likelihood"] - found["elbo"]
    share = found["effective_sample_fraction"]
    told = (
        f"log p(x) is at least {found.told('log_likelihood')} nats an observation, {gain:.2f} nats above the ELBO, "
        f"{found.told('elbo')}: so much the encoder misses, at least. {share:.0%} of the importance samples count."
    )
    if found["effective_sample_size"] < 5:
        return BAD, f"{told} So few that the figure is not to be trusted: raise K or widen the proposal."
    if share < 0.05:
        return LOOK, f"{told} That is few: the bound may be loose, and its error does not tell of what no sample met."
    return GOOD, told


def _annealed(found: Found) -> tuple[str, str]:
    told = (
        f"log p(x) is {found.told('log_likelihood')} nats an observation, with log Z = {found.told('log_partition')}."
    )
    if "effective_sample_size" in found and found["effective_sample_size"] < 5:
        return BAD, f"{told} Hardly any of the annealed chains counts: it is not to be trusted without more steps."
    return GOOD, told


def _gaps(found: Found) -> tuple[str, str]:
    family, encoder = found["approximation_gap"], found["amortisation_gap"]
    told = (
        f"Of what the ELBO lacks, {found.told('approximation_gap')} nats are the posterior family's fault and "
        f"{found.told('amortisation_gap')} the encoder's."
    )
    if max(family, encoder) < 0.5:
        return GOOD, f"{told} Both are small."
    way = "a richer family of posteriors" if family > encoder else "a larger or better trained encoder"
    return LOOK, f"{told} What would help most is {way}."


def _consistency(found: Found) -> tuple[str, str]:
    told = f"The encoder misses the true posterior by {found.told('mismatch')} nats, at least."
    if "decoder_r2" in found and "encoder_r2" in found:
        told += (
            f" Affine maps explain {found.told('decoder_r2')} of the decoder and {found.told('encoder_r2')} of the "
            "encoder; where both are near 1, the VAE is close to an RBM."
        )
    if found["mismatch"] < 0.5:
        return GOOD, f"{told} The bound is tight."
    return LOOK, f"{told} The encoder's family or network is too poor for this decoder."


def _distance(name: str, label: str) -> Reading:
    def read(found: Found) -> tuple[str, str]:
        images = f"{found[f'{name}_n']:,.0f}" if f"{name}_n" in found else "some"
        few = f"{name}_n" in found and found[f"{name}_n"] < 2048
        told = f"{label} of {images} samples against the data is {found.told(name)}; smaller is better."
        bias = " It is biased upwards: compare figures of equal numbers of images only."
        return (LOOK if few else GOOD), told + (bias if few else "")

    return read


def _neighbours(found: Found) -> tuple[str, str]:
    t = found["smooth_knn"]
    told = f"Samples lie {t:.1f} standard deviations from what chance gives if they were data; 0 ± 1 is perfect."
    if t < -2:
        return LOOK, f"{told} They are nearer to data than other data would be: they may be copies of observations."
    if t < 2:
        return GOOD, f"{told} They cannot be told from data."
    return LOOK, f"{told} They can be told from data; compare models at equal numbers of points only."


def _gaussian_codes(found: Found) -> tuple[str, str]:
    statistic, critical = found["henze_zirkler"], found["henze_zirkler_critical"]
    told = f"Henze-Zirkler's statistic of all codes together is {statistic:.3g}; its 5 % point is {critical:.3g}."
    if statistic > critical:
        return LOOK, f"{told} The codes are not Gaussian: samples from a Gaussian prior suffer."
    return GOOD, f"{told} The codes may well be Gaussian."


def _precision(found: Found) -> tuple[str, str]:
    told = [f"{name} is {found.told(name)}" for name in found.names() if name.startswith(("precision@", "precision_w"))]
    return GOOD, (
        f"{'; '.join(told)}: the share of the nearest training documents that have the label of the one searched by. "
        "Hold it against the share that chance gives, one in the number of labels."
    )


def _bits(found: Found) -> tuple[str, str]:
    entropy = found["bit_entropy"]
    told = (
        f"A bit of the code carries {found.told('bit_entropy')} bits on average, of at most 1, and the encoder is "
        f"unsure of {found.told('bit_uncertainty')} of it."
    )
    return (GOOD if entropy > 0.8 else LOOK), told + (" Some bits are hardly used." if entropy <= 0.8 else "")


READINGS: tuple[tuple[str, type, tuple[str, ...], Reading], ...] = (
    ("Collapse", callbacks.CollapseWatch, ("collapsed", "inactive_units_fraction"), _collapse),
    ("Likelihood", callbacks.LogLikelihood, ("log_likelihood", "elbo", "effective_sample_fraction"), _likelihood),
    ("Likelihood", callbacks.AnnealedLikelihood, ("log_likelihood", "log_partition"), _annealed),
    ("Gaps of the bound", callbacks.InferenceGaps, ("approximation_gap", "amortisation_gap"), _gaps),
    ("Mismatch", callbacks.Consistency, ("mismatch",), _consistency),
    ("What the code is paid for", callbacks.ELBOSurgery, ("rate", "mutual_information", "log_n"), _surgery),
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
    ("Samples among data", callbacks.SmoothKNN, ("smooth_knn",), _neighbours),
    ("Shape of all codes", callbacks.HenzeZirkler, ("henze_zirkler", "henze_zirkler_critical"), _gaussian_codes),
)
"""Title, diagnostic, the figures by which it is known that it ran, and how they are read."""
