"""Features: images -> the rows that a Fréchet distance compares, by a network that is there only while it is used."""

from __future__ import annotations

import abc
import copy
import hashlib

import torch
from torch import Tensor, nn

CHUNK_IMAGES = 50  # at once through the network


class Features(abc.ABC):
    """Images (B, C, H, W) in [0, 1], C = 1 or 3 -> (B, F); builds its network at the first images, until `free`.

    It is no nn.Module: the network is no part of the state of what holds it, and no checkpoint has it.
    """

    def __init__(self) -> None:
        self._network: nn.Module | None = None

    @abc.abstractmethod
    def build(self) -> nn.Module:
        """The network, images (B, C, H, W) -> (B, F), with its weights."""

    @property
    @abc.abstractmethod
    def description(self) -> dict[str, str]:
        """What the features are a function of, besides the image: part of the name of what is cached."""

    @property
    def name(self) -> str:
        """What a table says that a distance is of."""
        return type(self).__name__

    @abc.abstractmethod
    def check(self) -> None:
        """Raises ValueError if the network cannot be built; nothing is kept in memory."""

    @property
    def is_fid(self) -> bool:
        """Whether a distance of these features may be called FID."""
        return False

    @property
    def loaded(self) -> bool:
        """Whether the network is in memory."""
        return self._network is not None

    def free(self) -> None:
        """Let go of the network."""
        self._network = None

    @torch.no_grad()
    def __call__(self, images: Tensor) -> Tensor:
        """(B, F), in evaluation mode and full precision; ValueError for what is no image in [0, 1]."""
        check_images(images)
        if self._network is None:
            self._network = self.build().eval().requires_grad_(False)
        network = self._network.to(images.device)
        with torch.autocast(images.device.type, enabled=False):
            features = [network(part.float()) for part in images.split(CHUNK_IMAGES)]
        if any(part.ndim != 2 for part in features):
            shape = tuple(features[0].shape)
            raise ValueError(f"a feature network must give (B, F), got {shape} from {type(network).__name__}: flatten")
        return torch.cat(features)


class NetworkFeatures(Features):
    """Any network (B, C, H, W) -> (B, F); it is given the images as they are, and works on a copy of it."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def check(self) -> None:
        """It is there."""

    def build(self) -> nn.Module:
        """A copy: the mode, device and gradients of the network that was given stay as they are."""
        return copy.deepcopy(self.network)

    @property
    def name(self) -> str:
        """The network's class."""
        return type(self.network).__name__

    @property
    def description(self) -> dict[str, str]:
        """The class, its printed structure and the hash of its weights."""
        digest = hashlib.sha256(repr(self.network).encode())
        for name, value in self.network.state_dict().items():
            digest.update(
                name.encode() + value.detach().cpu().contiguous().view(-1).view(torch.uint8).numpy().tobytes()
            )
        kind = type(self.network)
        return {
            "network": f"{kind.__module__}.{kind.__qualname__}",
            "weights_sha256": digest.hexdigest(),
            "preprocessing": "none: images in [0, 1] as they are",
        }


def check_images(images: Tensor) -> None:
    """Raises ValueError unless these are gray or RGB images in [0, 1]."""
    if not isinstance(images, Tensor) or images.ndim != 4 or images.shape[1] not in (1, 3) or not len(images):
        got = tuple(images.shape) if isinstance(images, Tensor) else type(images).__name__
        raise ValueError(f"images must be (B, 1, H, W) or (B, 3, H, W) with B >= 1, got {got}")
    if not images.isfinite().all():
        raise ValueError("images must be finite, got NaN or infinity")
    low, high = images.amin().item(), images.amax().item()
    if low < 0 or high > 1:
        raise ValueError(f"images must be in [0, 1], got values from {low:.3g} to {high:.3g}: rescale them")
