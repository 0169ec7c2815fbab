"""Numbers from tensors: pure functions that the metrics add up."""

from vae_lightning.metrics.functional.active_units import UnitVariances, active_units
from vae_lightning.metrics.functional.aggregated import aggregated_log_prob
from vae_lightning.metrics.functional.frechet import GaussianFit, frechet_distance, frechet_distance_of_features
from vae_lightning.metrics.functional.hamming import (
    Neighbourhoods,
    hamming_found_within,
    hamming_precision,
    hamming_precision_within,
    neighbourhoods,
    precision_at,
)
from vae_lightning.metrics.functional.henze_zirkler import henze_zirkler
from vae_lightning.metrics.functional.importance import (
    Estimate,
    effective_sample_size,
    importance_weighted_bound,
    importance_weighted_variance,
    jackknife_bound,
    mean_over_data,
)
from vae_lightning.metrics.functional.smooth_knn import NeighbourEdges, neighbour_edges, smooth_knn
from vae_lightning.metrics.functional.surgery import Surgery, elbo_surgery

__all__ = [
    "Estimate",
    "GaussianFit",
    "NeighbourEdges",
    "Neighbourhoods",
    "Surgery",
    "UnitVariances",
    "active_units",
    "aggregated_log_prob",
    "effective_sample_size",
    "elbo_surgery",
    "frechet_distance",
    "frechet_distance_of_features",
    "hamming_found_within",
    "hamming_precision",
    "hamming_precision_within",
    "henze_zirkler",
    "importance_weighted_bound",
    "importance_weighted_variance",
    "jackknife_bound",
    "mean_over_data",
    "neighbour_edges",
    "neighbourhoods",
    "precision_at",
    "smooth_knn",
]
