"""Inception: pytorch-fid's blocks with weights from a file that is checked -> the 2048 features of FID."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
import torchvision
from pytorch_fid import inception as blocks
from torch import Tensor, nn

from vae_lightning.metrics.images.features import Features
from vae_lightning.metrics.images.weights import check_digits, checked_sha256

FID_SHA256 = "6726825d0af5f729cebd5821db510b11b1cfad8faad88a03f1befd49fb9129b2"
PREPROCESSING = "gray repeated to RGB, 299 x 299 bilinear (align_corners=False, no antialias), [0, 1] to [-1, 1]"


class InceptionFeatures(Features):
    """Inception's pool3 features (B, 2048), of images in [0, 1] preprocessed as pytorch-fid does.

    Args:
        weights: the file of pytorch-fid's release; it is read with `weights_only=True`.
        sha256: what the file's must be, or at least its first 8 digits; by default the FID weights'.

    ValueError for no such file, another hash, or weights of another network; see `check`.
    """

    def __init__(self, weights: str | Path, sha256: str = FID_SHA256) -> None:
        super().__init__()
        self.weights, self.sha256 = Path(weights), check_digits(sha256)
        self._digest: str | None = None

    @property
    def digest(self) -> str:
        """The file's sha256; ValueError if it is not the expected one."""
        if self._digest is None:
            self._digest = checked_sha256(
                self.weights,
                self.sha256,
                "get the file again, or say that it is the one you mean by sha256 (with weights that are not FID's, "
                "the figure is not called FID)",
            )
        return self._digest

    @property
    def is_fid(self) -> bool:
        """Whether the file is that of the FID weights."""
        return self.digest == FID_SHA256

    @property
    def description(self) -> dict[str, str]:
        """The weights and the preprocessing."""
        return {"network": "pytorch_fid.inception", "weights_sha256": self.digest, "preprocessing": PREPROCESSING}

    def check(self) -> None:
        """Raises ValueError if the file is not what it has to be; nothing is kept in memory."""
        self._weights()

    def build(self) -> nn.Module:
        """The blocks, made without initial values: all come from the file."""
        with torch.device("meta"):
            network = fid_structure()
        network.to_empty(device="cpu").load_state_dict(self._weights(), strict=False)
        return InceptionPool3(network)

    def _weights(self) -> dict[str, Tensor]:
        digest = self.digest
        try:
            weights: Any = torch.load(self.weights, map_location="cpu", weights_only=True)
        except Exception as error:  # torch raises all kinds, by what the bytes happen to look like
            reason = " ".join(str(error).split())[:100]
            raise ValueError(
                f"{self.weights} (sha256 {digest[:8]}...) holds no weights to be read: {reason}"
            ) from error
        _check_shapes(weights, self.weights)
        return weights


class InceptionPool3(nn.Module):
    """(B, 1 or 3, H, W) in [0, 1] -> (B, 2048)."""

    def __init__(self, network: Any) -> None:
        super().__init__()
        n, pool = network, nn.MaxPool2d(3, stride=2)
        self.blocks = nn.Sequential(
            n.Conv2d_1a_3x3, n.Conv2d_2a_3x3, n.Conv2d_2b_3x3, pool, n.Conv2d_3b_1x1, n.Conv2d_4a_3x3, pool,
            n.Mixed_5b, n.Mixed_5c, n.Mixed_5d, n.Mixed_6a, n.Mixed_6b, n.Mixed_6c, n.Mixed_6d, n.Mixed_6e,
            n.Mixed_7a, n.Mixed_7b, n.Mixed_7c, nn.AdaptiveAvgPool2d(1), nn.Flatten(),
        )  # fmt: skip

    def forward(self, images: Tensor) -> Tensor:
        """`PREPROCESSING`, then the blocks."""
        x = images.expand(-1, 3, -1, -1)
        x = F.interpolate(x, size=(299, 299), mode="bilinear", align_corners=False)
        return self.blocks(2 * x - 1)


def fid_structure() -> Any:
    """What `pytorch_fid.inception.fid_inception_v3` builds, without its download, which nothing checks."""
    network: Any = torchvision.models.inception_v3(weights=None, num_classes=1008, aux_logits=False, init_weights=False)
    network.Mixed_5b = blocks.FIDInceptionA(192, pool_features=32)
    network.Mixed_5c = blocks.FIDInceptionA(256, pool_features=64)
    network.Mixed_5d = blocks.FIDInceptionA(288, pool_features=64)
    network.Mixed_6b = blocks.FIDInceptionC(768, channels_7x7=128)
    network.Mixed_6c = blocks.FIDInceptionC(768, channels_7x7=160)
    network.Mixed_6d = blocks.FIDInceptionC(768, channels_7x7=160)
    network.Mixed_6e = blocks.FIDInceptionC(768, channels_7x7=192)
    network.Mixed_7b = blocks.FIDInceptionE_1(1280)
    network.Mixed_7c = blocks.FIDInceptionE_2(2048)
    return network


def _check_shapes(weights: object, path: Path) -> None:
    with torch.device("meta"):
        state = fid_structure().state_dict()
    expected = {name: value.shape for name, value in state.items() if not name.endswith("num_batches_tracked")}
    if not isinstance(weights, dict) or not all(isinstance(value, Tensor) for value in weights.values()):
        raise ValueError(f"{path} must hold a dictionary of tensors, the weights of pytorch-fid's Inception")
    found = {name: value.shape for name, value in weights.items() if not name.endswith("num_batches_tracked")}
    missing, unexpected = sorted(expected.keys() - found), sorted(found.keys() - expected)
    wrong = sorted(name for name in expected.keys() & found if expected[name] != found[name])
    problems = {"missing": missing, "unexpected": unexpected, "of another shape": wrong}
    told = ", ".join(f"{len(names)} {what} ({names[0]}, ...)" for what, names in problems.items() if names)
    if told:
        raise ValueError(f"{path} holds the weights of another network, not of pytorch-fid's Inception: {told}")
