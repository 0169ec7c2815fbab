"""The four worlds of the LiBI paper: their truth, the networks trained on them, a trained decoder's exact density."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import torch
from torch import nn

from vae_lightning.conditional import Conditional, Network
from vae_lightning.data.processes import CubicJTEx, Gaussian, LatentProcess, LinearJTEx, Mobius
from vae_lightning.families import Normal
from vae_lightning.models.latent_variable import LatentVariableModule
from vae_lightning.nn import MLP, CholeskyLinear, Cubed, CubeRootMLP, LinearMap
from vae_lightning.studies.libi.decoded import DecodedPlane


@dataclass(frozen=True, eq=False)
class World:
    """A data-generating process, what is trained on its data, and the hyper-parameters that the paper gives for it.

    `learned` is the process that a trained decoder's network is, so that its likelihood is exact. `segments` are the R
    of lagging inference networks, `weights` the multipliers of exp(HZ) in LiBI; `dtype` is that of training.
    """

    name: str
    truth: LatentProcess
    encoder: Network
    decoder: Network
    learned: Callable[[nn.Module], LatentProcess]
    segments: tuple[int, ...]
    weights: tuple[float, ...] = (0.001, 1.0, 10.0, 20.0)
    dtype: torch.dtype = torch.float32

    @property
    def observed(self) -> Normal:
        """p(x | z), with the noise of the truth, which is not learned."""
        return Normal(self.truth.event_shape, float(self.truth.noise_variance[0].sqrt()))

    def learned_by(self, module: LatentVariableModule) -> LatentProcess:
        """The process that a trained module's decoder is."""
        decoder = module.model.decoder
        assert isinstance(decoder, Conditional), "as the study's methods build it"
        return self.learned(decoder.network)


def _linear(network: nn.Module) -> LatentProcess:
    assert isinstance(network, CholeskyLinear)
    return LinearJTEx(network.mixing.detach().double().cpu())


def _cubic(network: nn.Module) -> LatentProcess:
    assert isinstance(network, Cubed)
    roots = network.network
    assert isinstance(roots, CholeskyLinear)
    return CubicJTEx(roots.mixing.detach().double().cpu())


def _gaussian(network: nn.Module) -> LatentProcess:
    assert isinstance(network, LinearMap)
    return Gaussian(network.weight.detach().double().cpu().mT)


def _mobius(network: nn.Module) -> LatentProcess:
    return DecodedPlane(network, Mobius().noise_variance)


WORLDS = {
    world.name: world
    for world in (
        World("LinearJTEx", LinearJTEx(), MLP, CholeskyLinear, _linear, (40, 50, 60, 70)),
        World("CubicJTEx", CubicJTEx(), CubeRootMLP, partial(Cubed, network=CholeskyLinear), _cubic, (30, 40, 50, 60)),
        # the noise has a standard deviation of 0.001
        World("Gaussian", Gaussian(), MLP, LinearMap, _gaussian, (5, 10, 15, 20), dtype=torch.float64),
        World(
            "Mobius",
            Mobius(),
            partial(MLP, hidden=(50,)),
            partial(MLP, hidden=(50,)),
            _mobius,
            (60, 70, 80, 90),
            (1.0, 10.0, 20.0),
        ),
    )
}
