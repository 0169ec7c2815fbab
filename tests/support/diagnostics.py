"""Every diagnostic of a Gaussian VAE of images with two-dimensional codes, as callbacks and as a configuration."""

from __future__ import annotations

import importlib
import json
from pathlib import Path
from typing import Any

import lightning.pytorch as pl

SMALL: dict[str, dict[str, Any]] = {
    "ActiveUnits": {},
    "CollapseWatch": {},
    "Consistency": {"num_samples": 10},
    "ELBOSurgery": {"chunk": 50},
    "FrechetInceptionDistance": {"features": {"class_path": "torch.nn.Flatten"}, "num": 151},
    "GradientVariance": {"every_n_steps": 3, "num_draws": 2},
    "HenzeZirkler": {},
    "InferenceGaps": {"per_batch": 2, "steps": 10, "num_samples": 20},
    "Interpolations": {},
    "LatentScatter": {},
    "LogLikelihood": {"Ks": [1, 7, 30], "fit_Ks": [1, 5]},
    "PseudoInputs": {},
    "PseudoInputSamples": {"n": 3, "each": 2},
    "Reconstructions": {},
    "ResampledPosterior": {"ks": [1, 3], "observations": 1, "pixels": 10, "replicates": 3},
    "Samples": {},
    "SmoothKNN": {"limit": 101},
    "Traversals": {},
}
"""Each with arguments that make it quick; all of them in every epoch."""

FIGURES = {
    *("active_units", "active_units_fraction", "collapsed", "inactive_units_fraction"),
    *("mismatch", "mismatch_error", "mismatch_effective_sample_size", "decoder_r2", "decoder_r2_error", "encoder_r2"),
    *("encoder_r2_error", "rate", "mutual_information", "marginal_kl", "rate_error", "mutual_information_error"),
    *("marginal_kl_error", "log_n", "reconstruction_error", "frechet_distance", "frechet_distance_error"),
    *("negative_energy", "negative_energy_error", "entropy", "entropy_error"),
    *("frechet_distance_n", "frechet_distance_reference_n", "kernel_distance", "kernel_distance_error"),
    *("henze_zirkler", "henze_zirkler_null", "henze_zirkler_critical", "henze_zirkler_p", "smooth_knn"),
    *("approximation_gap", "amortisation_gap", "approximation_gap_error", "amortisation_gap_error"),
    *("log_likelihood", "log_likelihood_error", "log_likelihood_sampling_error", "elbo", "elbo_error", "jackknife"),
    *("jackknife_error", "effective_sample_size", "effective_sample_fraction"),
}
PICTURES = {
    *(
        "active_units",
        "interpolations",
        "latent_scatter",
        "pseudo_inputs",
        "pseudo_input_samples",
        "reconstructions",
        "resampled_posterior",
    ),
    *("samples", "traversals"),
}


def configured(cache: Path) -> list[dict[str, Any]]:
    """As class paths and arguments, for `--trainer.callbacks`."""
    chosen = []
    for name, given in SMALL.items():
        arguments = given if name == "GradientVariance" else given | {"every_n_epochs": 1}
        arguments = arguments | ({"cache": str(cache)} if name == "FrechetInceptionDistance" else {})
        chosen.append({"class_path": f"vae_lightning.callbacks.{name}", "init_args": arguments})
    return chosen


def built(cache: Path) -> list[pl.Callback]:
    """The same as objects."""
    return [build(callback) for callback in configured(cache)]


def build(described: dict[str, Any]) -> Any:
    """What a class path and its arguments describe."""
    arguments = {k: build(v) if isinstance(v, dict) else v for k, v in described.get("init_args", {}).items()}
    return imported(described["class_path"])(**arguments)


def imported(path: str) -> Any:
    """The class of this path."""
    module, name = path.rsplit(".", 1)
    return getattr(importlib.import_module(module), name)


def as_option(cache: Path) -> list[str]:
    """For the command."""
    return ["--trainer.callbacks", json.dumps(configured(cache))]
