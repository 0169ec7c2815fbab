"""Glossary: the name of a figure -> its unit, which way is better, and what it is in a few words."""

from __future__ import annotations

import re
from dataclasses import dataclass


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
    "perplexity": Entry("", "lower", "of a word, by the NELBO"),
    "reconstruction": Entry("nats", "lower", "-E log p(x | z): what is lost when z is all that is known"),
    "kl": Entry("nats", "", "KL(q(z | x) || p(z)): what the code costs"),
    "elbo": Entry("nats", "higher", "lower bound on log p(x) by one sample of z"),
    r"log_likelihood(_k\d+)?": Entry("nats", "higher", "log p(x), estimated from below by many samples of z"),
    "log_likelihood_sampling_error": Entry("nats", "lower", "of the estimate, over its samples alone"),
    "jackknife": Entry("nats", "higher", "the same with its bias of order 1/K removed; no bound"),
    "(mismatch_)?effective_sample_size": Entry("samples", "higher", "how many of the importance samples count"),
    "effective_sample_fraction": Entry("", "higher", "the share of the importance samples that count"),
    "active_units": Entry("units", "", "latent units whose posterior mean varies over the data"),
    "active_units_fraction": Entry("", "", "their share of all units"),
    "inactive_units_fraction": Entry("", "lower", "the share of units that tell nothing"),
    "collapsed": Entry("", "lower", "1 if the code tells nothing of its observation, else 0"),
    "rate": Entry("nats", "", "what the code costs, by sampling: mutual information + marginal KL"),
    "mutual_information": Entry("nats", "", "how much a code tells of its observation"),
    "marginal_kl": Entry("nats", "lower", "how far all codes together are from the prior"),
    "log_n": Entry("nats", "", "the most mutual information that so many observations can show"),
    "approximation_gap": Entry("nats", "lower", "what the posterior's family cannot express"),
    "amortisation_gap": Entry("nats", "lower", "what the encoder misses of its own family's best"),
    "mismatch": Entry("nats", "lower", "log p(x) - ELBO: how far the encoder is from the true posterior"),
    "(de|en)coder_r2": Entry("", "", "the share of its natural parameters that an affine map explains"),
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
    "smooth_knn": Entry("deviations", "lower", "how surely samples can be told from data; 0 ± 1 if they cannot"),
    "henze_zirkler": Entry("", "lower", "how far all codes together are from any Gaussian"),
    "henze_zirkler_null": Entry("", "", "its mean if the codes were Gaussian"),
    "henze_zirkler_critical": Entry("", "", "its 5 % point if the codes were Gaussian"),
    "henze_zirkler_p": Entry("", "", "the probability of as much or more if the codes were Gaussian"),
    "log_partition": Entry("nats", "", "log Z, by annealing or exact"),
    r"precision@\d+": Entry("", "higher", "the share of the nearest training documents that have the same label"),
    r"precision_within_\d+": Entry("", "higher", "the same, of all documents within so many bits"),
    r"found_within_\d+": Entry("", "", "documents with any neighbour within so many bits"),
    "bit_entropy": Entry("bits", "higher", "1 for a bit that is on for half of the documents, 0 for a dead one"),
    "bit_uncertainty": Entry("bits", "lower", "how unsure the encoder is of a bit"),
    "gradient_variance": Entry("", "lower", "total variance of the encoder's gradient"),
}

_UNKNOWN = Entry("", "", "")


def entry(name: str) -> Entry:
    """What is known of a figure by its name without the split; nothing of one that this project does not log."""
    return next((known for pattern, known in _ENTRIES.items() if re.fullmatch(pattern, name)), _UNKNOWN)
