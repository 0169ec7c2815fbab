"""Numbers from tensors: pure functions that the metrics add up."""

from vae_lightning.metrics.functional.active_units import UnitVariances, active_units
from vae_lightning.metrics.functional.affine_fit import AffineFit, affine_fit
from vae_lightning.metrics.functional.aggregated import aggregated_log_prob
from vae_lightning.metrics.functional.autocorrelation import autocorrelation_time
from vae_lightning.metrics.functional.frechet import GaussianFit, frechet_distance, frechet_distance_of_features
from vae_lightning.metrics.functional.hamming import (
    Neighbourhoods,
    hamming_found_within,
    hamming_precision,
    hamming_precision_within,
    neighbourhoods,
    precision_at,
)
from vae_lightning.metrics.functional.henze_zirkler import HenzeZirklerNull, henze_zirkler, henze_zirkler_null
from vae_lightning.metrics.functional.henze_zirkler_fused import fused_henze_zirkler
from vae_lightning.metrics.functional.importance import (
    Estimate,
    effective_sample_size,
    grouped_bound,
    importance_weighted_bound,
    importance_weighted_variance,
    jackknife_bound,
    mean_over_data,
)
from vae_lightning.metrics.functional.kernel_distance import kernel_distance
from vae_lightning.metrics.functional.resampled import resample, resampled_log_prob
from vae_lightning.metrics.functional.smooth_knn import NeighbourEdges, neighbour_edges, smooth_knn
from vae_lightning.metrics.functional.surgery import Surgery, elbo_surgery
from vae_lightning.metrics.functional.tightness import Tightness, theorem_2_bound, tightness

__all__ = [
    "AffineFit",
    "Estimate",
    "GaussianFit",
    "HenzeZirklerNull",
    "NeighbourEdges",
    "Neighbourhoods",
    "Surgery",
    "Tightness",
    "UnitVariances",
    "active_units",
    "affine_fit",
    "aggregated_log_prob",
    "autocorrelation_time",
    "effective_sample_size",
    "elbo_surgery",
    "frechet_distance",
    "frechet_distance_of_features",
    "fused_henze_zirkler",
    "grouped_bound",
    "hamming_found_within",
    "hamming_precision",
    "hamming_precision_within",
    "henze_zirkler",
    "henze_zirkler_null",
    "importance_weighted_bound",
    "importance_weighted_variance",
    "jackknife_bound",
    "kernel_distance",
    "mean_over_data",
    "neighbour_edges",
    "neighbourhoods",
    "precision_at",
    "resample",
    "resampled_log_prob",
    "smooth_knn",
    "theorem_2_bound",
    "tightness",
]
