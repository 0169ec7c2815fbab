"""The same networks in pythae's models, whose encoders give (mean, log variance) and whose decoders probabilities."""

from __future__ import annotations

from typing import Any

from torch import Tensor

from vae_lightning.latent_variable import LatentVariableModel

PIXELS, UNITS = (1, 28, 28), 20


def pythae_parts(model: LatentVariableModel) -> tuple[dict[str, Any], tuple[Any, Any]]:
    """What all configurations of pythae's share, and its encoder and decoder with our networks."""
    from pythae.models.base.base_utils import ModelOutput  # noqa: PLC0415  (an optional peer)
    from pythae.models.nn import BaseDecoder, BaseEncoder  # noqa: PLC0415  (an optional peer)

    class Encoder(BaseEncoder):
        def __init__(self) -> None:
            super().__init__()
            self.network = model.encoder.network

        def forward(self, x: Tensor) -> Any:
            mean, log_sigma = self.network(x).chunk(2, -1)
            return ModelOutput(embedding=mean, log_covariance=2 * log_sigma)

    class Decoder(BaseDecoder):
        def __init__(self) -> None:
            super().__init__()
            self.network = model.decoder.network

        def forward(self, z: Tensor) -> Any:
            return ModelOutput(reconstruction=self.network(z).sigmoid().unflatten(-1, PIXELS))

    settings = {"input_dim": PIXELS, "latent_dim": UNITS, "reconstruction_loss": "bce"}
    return settings, (Encoder(), Decoder())


def pythae_vae(model: LatentVariableModel) -> Any:
    """Its VAE."""
    from pythae.models import VAE, VAEConfig  # noqa: PLC0415  (an optional peer)

    settings, parts = pythae_parts(model)
    return VAE(VAEConfig(**settings), *parts).eval()


def pythae_iwae(model: LatentVariableModel, samples: int) -> Any:
    """Its IWAE."""
    from pythae.models import IWAE, IWAEConfig  # noqa: PLC0415  (an optional peer)

    settings, parts = pythae_parts(model)
    return IWAE(IWAEConfig(**settings, number_samples=samples), *parts)


def pythae_vamp(model: LatentVariableModel, pseudo_inputs: Tensor) -> Any:
    """Its VampPrior, whose pseudo-inputs are a linear layer's weights, cut off at 0 and 1."""
    from pythae.models import VAMP, VAMPConfig  # noqa: PLC0415  (an optional peer)

    settings, parts = pythae_parts(model)
    vamp = VAMP(VAMPConfig(**settings, number_components=len(pseudo_inputs)), *parts)
    layer = vamp.pseudo_inputs[0]
    layer.weight.data = pseudo_inputs.flatten(1).mT.clone()
    layer.bias.data.zero_()
    return vamp
