"""Exponential families: natural parameters -> distributions."""

from vae_lightning.families.base import ExponentialFamily
from vae_lightning.families.bernoulli import Bernoulli
from vae_lightning.families.categorical import Categorical
from vae_lightning.families.gibbs_mrf import GibbsMRF
from vae_lightning.families.mrf import BernoulliMRF
from vae_lightning.families.multinomial import Multinomial
from vae_lightning.families.normal import Normal

__all__ = ["Bernoulli", "BernoulliMRF", "Categorical", "ExponentialFamily", "GibbsMRF", "Multinomial", "Normal"]
