"""SpectralNorm: a network -> the same, every layer of which lengthens no vector."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from torch import Tensor, nn
from torch.nn.utils.parametrizations import spectral_norm

_LAYERS = (nn.Linear, nn.Conv1d, nn.Conv2d, nn.Conv3d, nn.ConvTranspose1d, nn.ConvTranspose2d, nn.ConvTranspose3d)


class SpectralNorm(nn.Module):
    """A network whose linear and convolutional layers have weights of spectral norm 1: for discriminators.

    By torch's own parametrisation, which finds the norm by a step of power iteration in each pass of the training; a
    convolution's is that of its weights as a matrix (outputs, rest). ValueError for a network without such layers.
    Source: Miyato, Kataoka, Koyama, Yoshida, Spectral Normalization for Generative Adversarial Networks (2018).

    Args:
        context_shape: shape of c, bound by whoever builds the network.
        num_outputs: likewise.
        network: builds the network, such as `nn.MLP`.

    Examples:
        >>> from functools import partial
        >>> import torch
        >>> from vae_lightning.nn import MLP, SpectralNorm
        >>> network = SpectralNorm((3,), 1, partial(MLP, hidden=[8])).eval()
        >>> x, y = torch.randn(100, 3), torch.randn(100, 3)
        >>> bool(((network(x) - network(y)).norm(dim=1) <= 1.1 * (x - y).norm(dim=1)).all())  # ReLUs: 1-Lipschitz
        True
    """

    def __init__(
        self, context_shape: Sequence[int], num_outputs: int, network: Callable[[Sequence[int], int], nn.Module]
    ) -> None:
        super().__init__()
        self.network = network(context_shape, num_outputs)
        layers = [module for module in self.network.modules() if isinstance(module, _LAYERS)]
        if not layers:
            name = type(self.network).__name__
            raise ValueError(f"SpectralNorm is of linear and convolutional layers, and {name} has none")
        for layer in layers:
            spectral_norm(layer)

    def forward(self, c: Tensor) -> Tensor:
        """(*B, *C) -> (*B, P)."""
        return self.network(c)
