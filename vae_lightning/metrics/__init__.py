"""Metrics: sums over batches and processes -> numbers, with `functional` for the same on tensors in hand.

The sums are torchmetrics', and are imported once one of them is used; `functional` needs torch alone.
"""

from typing import TYPE_CHECKING

from vae_lightning.construction.rooms import lazily

if TYPE_CHECKING:
    from vae_lightning.metrics.active_units import ActiveUnits
    from vae_lightning.metrics.affine_fit import AffineFit
    from vae_lightning.metrics.consistency import Consistency
    from vae_lightning.metrics.elbo_terms import ELBOTerms
    from vae_lightning.metrics.free_energies import FreeEnergies
    from vae_lightning.metrics.hamming import HammingPrecision
    from vae_lightning.metrics.henze_zirkler import HenzeZirkler
    from vae_lightning.metrics.images.attributes import AttributeFeatures
    from vae_lightning.metrics.images.fid import FrechetInceptionDistance
    from vae_lightning.metrics.images.inception import InceptionFeatures
    from vae_lightning.metrics.inference_gaps import InferenceGaps
    from vae_lightning.metrics.label_scores import LabelScores
    from vae_lightning.metrics.log_likelihood import LogLikelihood
    from vae_lightning.metrics.smooth_knn import SmoothKNN
    from vae_lightning.metrics.surgery import ELBOSurgery
    from vae_lightning.metrics.tightness import Tightness

__all__ = [
    "ActiveUnits",
    "AffineFit",
    "AttributeFeatures",
    "Consistency",
    "ELBOSurgery",
    "ELBOTerms",
    "FrechetInceptionDistance",
    "FreeEnergies",
    "HammingPrecision",
    "HenzeZirkler",
    "InceptionFeatures",
    "InferenceGaps",
    "LabelScores",
    "LogLikelihood",
    "SmoothKNN",
    "Tightness",
]

__getattr__ = lazily(
    __name__,
    {
        "active_units": "ActiveUnits",
        "affine_fit": "AffineFit",
        "consistency": "Consistency",
        "elbo_terms": "ELBOTerms",
        "free_energies": "FreeEnergies",
        "hamming": "HammingPrecision",
        "henze_zirkler": "HenzeZirkler",
        "images.attributes": "AttributeFeatures",
        "images.fid": "FrechetInceptionDistance",
        "images.inception": "InceptionFeatures",
        "inference_gaps": "InferenceGaps",
        "label_scores": "LabelScores",
        "log_likelihood": "LogLikelihood",
        "smooth_knn": "SmoothKNN",
        "surgery": "ELBOSurgery",
        "tightness": "Tightness",
    },
)
