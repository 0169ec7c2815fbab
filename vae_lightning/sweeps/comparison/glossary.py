"""Glossary: the name of a figure -> its unit, which way is better, and what it is in a few words."""

from __future__ import annotations

import re
from dataclasses import dataclass

COPIES = -2.0
"""`smooth_knn` below which samples are nearer to data than other data would be."""


@dataclass(frozen=True)
class Entry:
    """What is known of a figure: `better` is "lower", "higher" or empty."""

    unit: str
    better: str
    meaning: str


_ENTRIES: dict[str, Entry] = {
    "nelbo": Entry("nats", "lower", "negative ELBO: an upper bound on -log p(x), on average over observations"),
    "loss": Entry("", "lower", "what the training minimises"),
    "deviance": Entry("nats", "lower", "NELBO relative to the saturated multinomial"),
    "perplexity": Entry("", "lower", "per word: exp of the NELBO per word"),
    "reconstruction": Entry("nats", "lower", "-E log p(x | z), z from q(z | x): the reconstruction term of the ELBO"),
    "kl": Entry("nats", "", "KL(q(z | x) || p(z)): the KL term of the ELBO"),
    "elbo": Entry("nats", "higher", "lower bound on log p(x) by one sample of z"),
    r"log_likelihood(_k\d+)?": Entry("nats", "higher", "log p(x), estimated from below by many samples of z"),
    "log_likelihood_sampling_error": Entry(
        "nats", "lower", "standard error of the estimate from its samples of z alone"
    ),
    "jackknife": Entry("nats", "higher", "the same with its bias of order 1/K removed; no bound"),
    "(mismatch_)?effective_sample_size": Entry(
        "samples", "higher", "how many independent samples the importance samples are worth"
    ),
    "effective_sample_fraction": Entry("", "higher", "effective sample size over the number of importance samples"),
    "active_units": Entry("units", "higher", "latent units whose posterior mean varies over the data"),
    "active_units_fraction": Entry("", "higher", "their share of all units"),
    "inactive_units_fraction": Entry("", "lower", "the share of latent units that are not active"),
    "collapsed": Entry("", "lower", "1 for posterior collapse, of a GAN for mode collapse, else 0"),
    "sample_spread": Entry("", "", "of a GAN: variance of its samples' means over the variance of the data"),
    "rate": Entry("nats", "", "the KL term of the ELBO, by samples: mutual information + marginal KL"),
    "mutual_information": Entry("nats", "", "mutual information of code and observation under q(z | x)"),
    "marginal_kl": Entry("nats", "lower", "KL from the aggregated posterior to the prior"),
    "log_n": Entry("nats", "", "log of the number of observations: the largest mutual information they can show"),
    "approximation_gap": Entry("nats", "lower", "KL left by the best posterior of the family"),
    "amortisation_gap": Entry("nats", "lower", "KL that the encoder adds to that of the best posterior of its family"),
    "mismatch": Entry("nats", "lower", "log p(x) - ELBO = KL(q(z | x) || p(z | x)), estimated from below"),
    "(de|en)coder_r2": Entry("", "", "R² of the best affine map for its natural parameters"),
    "fid": Entry("", "lower", "Fréchet distance of Inception's features, samples against data"),
    "kid": Entry("", "lower", "kernel distance of the same features, unbiased"),
    "frechet_distance": Entry("", "lower", "Fréchet distance of a network's features, samples against data"),
    "kernel_distance": Entry("", "lower", "kernel distance of the same features, unbiased"),
    "(fid|kid|frechet_distance|kernel_distance)(_reference)?_n": Entry("images", "", "how many images were compared"),
    "accuracy(/.+)?": Entry("", "higher", "the share of right answers"),
    "balanced_accuracy(/.+)?": Entry(
        "", "higher", "the mean of that among images with a label and among those without"
    ),
    "auc(/.+)?": Entry("", "higher", "how surely an image with a label is ranked above one without; 0.5 by chance"),
    "base_rate/.+": Entry("", "", "the share of images with the label"),
    "smooth_knn": Entry(
        "deviations",
        "lower",
        "nearest-neighbour test of samples against data: 0 ± 1 if they have the same distribution; lower is better "
        f"down to there, below {COPIES:g} samples may be copies",
    ),
    "henze_zirkler": Entry(
        "", "lower", "Henze-Zirkler statistic: how far the aggregated posterior is from any Gaussian"
    ),
    "henze_zirkler_null": Entry("", "", "mean of the statistic for Gaussian codes"),
    "henze_zirkler_critical": Entry("", "", "critical value of the statistic at the 5 % level"),
    "henze_zirkler_p": Entry("", "", "p-value: the probability of so large a statistic for Gaussian codes"),
    "log_partition": Entry("nats", "", "log Z, by annealing or exact"),
    r"precision@\d+": Entry("", "higher", "the share of the k nearest training documents that have the query's label"),
    r"precision_within_\d+": Entry("", "higher", "the same of all training documents within this Hamming distance"),
    r"found_within_\d+": Entry("", "", "the share of queries with a training document within this Hamming distance"),
    "bit_entropy": Entry(
        "bits", "higher", "entropy of a bit over documents: 1 if it is on for half of them, 0 if it never changes"
    ),
    "bit_uncertainty": Entry("bits", "lower", "entropy of a bit under q(z | x): 0 where the encoder is sure"),
    "discriminator": Entry("", "", "the discriminator's loss: each player's depends on how good the other is"),
    "generator": Entry("", "", "the generator's loss, likewise"),
    "(real|fake)": Entry("", "", "mean of D, or of the logit, for data or for samples"),
    "gradient_variance": Entry("", "lower", "total variance of the encoder's gradient"),
    "((balanced_)?accuracy|auc|precision|psnr)([_@].+)?(?<!_error)": Entry("", "higher", ""),  # of a user's own
}

_UNKNOWN = Entry("", "", "")


def entry(name: str) -> Entry:
    """What is known of a figure by its name without the split; nothing of one that this project does not log."""
    return next((known for pattern, known in _ENTRIES.items() if re.fullmatch(pattern, name)), _UNKNOWN)
