"""Exponential families: natural parameters -> distributions."""

from vae_lightning.families.base import ExponentialFamily
from vae_lightning.families.bernoulli import Bernoulli
from vae_lightning.families.categorical import Categorical
from vae_lightning.families.correlated.block_normal import BlockNormal
from vae_lightning.families.gibbs_mrf import GibbsMRF
from vae_lightning.families.mrf import BernoulliMRF
from vae_lightning.families.multinomial import Multinomial
from vae_lightning.families.normal import Normal
from vae_lightning.families.partly_observed import PartlyObserved
from vae_lightning.families.poisson import Poisson
from vae_lightning.families.product import Product

__all__ = [
    "Bernoulli",
    "BernoulliMRF",
    "BlockNormal",
    "Categorical",
    "ExponentialFamily",
    "GibbsMRF",
    "Multinomial",
    "Normal",
    "PartlyObserved",
    "Poisson",
    "Product",
]
