"""Networks: shapes and builders -> the GAN, the ground truth, and the VAEs that begin as it, with their statistics."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.optim import Adam
from torch.optim.swa_utils import update_bn

from vae_lightning.conditional import Network, as_conditional
from vae_lightning.distributions import as_normal
from vae_lightning.families import Normal
from vae_lightning.models import GaussianVAE
from vae_lightning.models.reproducible import ReproducibleModule
from vae_lightning.nn import DCGANDiscriminator, DCGANEncoder, DCGANGenerator
from vae_lightning.objectives import Adversarial, ForwardKL, MeanFakes, Objective
from vae_lightning.priors import FactorisedPrior, Prior
from vae_lightning.studies.celeba.beyond.codes import Codes, Independent
from vae_lightning.studies.celeba.cell import SIGMA, CelebASize
from vae_lightning.studies.celeba.joint import Joint
from vae_lightning.studies.celeba.sigma import KnownSigma, Sigma


@dataclass(frozen=True)
class Networks:
    """What all models of a study are built of: latents, the shape of an image, and builders of their networks."""

    latent: int
    image: tuple[int, ...]
    encoder: Network
    generator: Network

    @classmethod
    def of_size(cls, size: CelebASize) -> Networks:
        """The DCGAN's."""
        encoder, generator = partial(DCGANEncoder, width=size.width), partial(DCGANGenerator, width=size.width)
        return cls(size.latent, (3, size.side, size.side), encoder, generator)

    @classmethod
    def of(cls, gan: ReproducibleModule, size: CelebASize) -> Networks:
        """Those of a trained generator, and the size's encoder; ValueError for a model that is none of images."""
        if not isinstance(gan, GaussianVAE) or not isinstance(gan.model.prior, FactorisedPrior):
            raise ValueError(
                f"a generator is that of a GaussianVAE under a standard normal prior, this is a {type(gan).__name__}"
            )
        decoder = as_conditional(gan.model.decoder)
        shape, said = tuple(decoder.event_shape), gan.hparams.get("decoder")
        means_alone = decoder.family.num_parameters == math.prod(shape)
        if len(shape) != 3 or as_normal(decoder.prototype()) is None or not means_alone:
            raise ValueError(f"a generator gives images (C, H, W) of known noise, this one {shape} of {decoder.family}")
        given = said.get("init_args", {}) if isinstance(said, Mapping) else {}
        encoder = partial(DCGANEncoder, width=size.width)
        return cls(decoder.context_shape.numel(), shape, encoder, partial(type(decoder.network), **given))

    def gan(self, size: CelebASize) -> GaussianVAE:
        """The GAN of `configs/celeba/gan.yaml`, in this size; its encoder rests."""
        game = Adversarial(partial(DCGANDiscriminator, width=size.width), fakes=MeanFakes())
        adam = partial(Adam, lr=2e-4, betas=(0.5, 0.999))  # as in the DCGAN tutorial
        return GaussianVAE(
            self.latent, Normal(self.image, 0.1), self.encoder, self.generator, objective=game, optimizer=adam
        )

    def vae(
        self,
        rate: float,
        objective: Objective | None = None,
        sigma: Sigma | None = None,
        prior: Prior | None = None,
        codes: Codes | None = None,
    ) -> GaussianVAE:
        """A VAE of these networks."""
        noise = sigma or KnownSigma()
        return GaussianVAE(
            self.latent,
            noise.observed(self.image, SIGMA),
            (codes or Independent()).encoder(self.encoder, self.latent),
            noise.network(self.generator, SIGMA),
            objective=objective,
            prior=prior,
            optimizer=partial(Adam, lr=rate),
        )

    def truth(self, weights: Mapping[str, Tensor]) -> GaussianVAE:
        """N(d(z), 0.05^2 I) of a generator's weights; its encoder is none yet."""
        module = self.vae(1e-3, ForwardKL())
        network = as_conditional(module.model.decoder).network
        network.load_state_dict(part(weights, "model.decoder.network."))
        return module.eval()

    def encoder_for(self, truth: Mapping[str, Tensor], rate: float, codes: Codes | None = None) -> GaussianVAE:
        """The ground truth, of which the encoder alone learns, and pairs (z, x) are drawn as evaluation draws them."""
        module = self.vae(rate, ForwardKL(), codes=codes)
        own = module.state_dict()  # encoders of all families begin alike where they are
        shared = {name: t for name, t in truth.items() if name in own and own[name].shape == t.shape}
        module.load_state_dict(own | shared)
        module.model.decoder.requires_grad_(False).eval()  # type: ignore[attr-defined]  # decoders are modules
        return module

    def joint(self, joint: Joint, fitted: Mapping[str, Tensor], rate: float) -> GaussianVAE:
        """A model that begins as the ground truth's decoder and the encoder that was fitted to it."""
        prior = joint.prior(self.latent, self.image)
        module = self.vae(rate, joint.objective(), joint.sigma, prior, joint.codes)
        module.model.get_submodule("encoder").load_state_dict(part(fitted, "model.encoder."))
        decoder = as_conditional(module.model.decoder)
        joint.sigma.generator(decoder.network).load_state_dict(part(fitted, "model.decoder.network."))
        hold_statistics(module)
        for name in joint.held:
            module.get_submodule(name).requires_grad_(False)
        return module


def part(weights: Mapping[str, Tensor], prefix: str) -> dict[str, Tensor]:
    """The weights of a part, under the names that it has for them itself."""
    return {name.removeprefix(prefix): value for name, value in weights.items() if name.startswith(prefix)}


@torch.no_grad()
def standing_statistics(network: nn.Module, inputs: Iterable[Tensor]) -> None:
    """Give batch normalisation the statistics of these inputs under the network's present weights.

    The statistics of a training belong to other weights than their average, and to the last few batches.
    """
    update_bn(inputs, network)
    network.eval()


# In training mode batch normalisation makes p(x | z) depend on the other codes of a batch: no likelihood of one image,
# and another function than the ground truth, whose statistics are those of the prior's codes. So joint training holds
# the statistics and trains the affine weights, which can express all that statistics could: what is trained is what is
# evaluated, and after no steps it is the ground truth.
def hold_statistics(module: nn.Module) -> None:
    """Normalise by the statistics that are there, also in training."""
    for layer in module.modules():
        if isinstance(layer, _BatchNorm):
            layer.eval()


def sigma_of(module: GaussianVAE) -> float:
    """The standard deviation of p(x | z), the same for all pixels and codes."""
    with torch.no_grad():
        code = torch.zeros(1, *module.model.prior.event_shape, device=module.device)
        return float(module.model.decoder(code).stddev.mean())
