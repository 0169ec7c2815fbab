"""Processes: distributions of x that are known exactly, to draw data from and to judge models by."""

from vae_lightning.data.processes.base import Process
from vae_lightning.data.processes.cubic_jtex import CubicJTEx
from vae_lightning.data.processes.gaussian import Gaussian
from vae_lightning.data.processes.latent import LatentProcess
from vae_lightning.data.processes.linear_gaussian import LinearGaussian, MeanField
from vae_lightning.data.processes.linear_jtex import LinearJTEx
from vae_lightning.data.processes.mixture import GaussianMixture
from vae_lightning.data.processes.mobius import Mobius
from vae_lightning.data.processes.mobius_network import MobiusNetwork
from vae_lightning.data.processes.planar import PlanarProcess
from vae_lightning.data.processes.rescaling import Gain, Rescaled, rescaled_linear, rescaling_gain
from vae_lightning.data.processes.univariate import Univariate

__all__ = [
    "CubicJTEx",
    "Gain",
    "Gaussian",
    "GaussianMixture",
    "LatentProcess",
    "LinearGaussian",
    "LinearJTEx",
    "MeanField",
    "Mobius",
    "MobiusNetwork",
    "PlanarProcess",
    "Process",
    "Rescaled",
    "Univariate",
    "rescaled_linear",
    "rescaling_gain",
]
