"""AttributeFeatures: a network of this project's own that tells attributes of faces -> the features that it sees."""

from __future__ import annotations

from pathlib import Path

from torch import Tensor, nn
from torch.nn.functional import interpolate

from vae_lightning.metrics.images.features import Features
from vae_lightning.metrics.images.weights import check_digits, checked_sha256
from vae_lightning.nn import PooledConvolutions
from vae_lightning.trust import read_checkpoint

SHIPPED = Path(__file__).with_name("celeba-features.ckpt")
SHIPPED_SHA256 = "63897c80bf19b0d611d9eadebc7479c13727f66ae88ee649506f03d2f0002676"
SIDE, CHANNELS = 64, 3
PREPROCESSING = "gray repeated to RGB, 64 x 64 bilinear (antialiased), [0, 1] to [-1, 1]"
_PREFIX = "network."


class AttributeFeatures(Features):
    """192 features (B, 192) of faces in [0, 1], of a network trained to tell CelebA's 40 attributes: none is FID's.

    They are the means of the maps of all stages of `nn.PooledConvolutions`, from texture to face, each in units of its
    standard deviation over real faces, so that the Fréchet distance of these features has no unit: it is called
    `frechet_distance`, never FID. Gray images are repeated in three channels; images of another size than 64 x 64 are
    resized, bilinear and antialiased, without keeping their proportions. The weights come with the package; what they
    were trained on and how well they tell each attribute stands in `checkpoints/celeba-features.md`. Images of other
    things than faces have features, too, which mean less.

    Args:
        weights: a checkpoint of `models.Classifier` with `nn.PooledConvolutions`, on attributes or on rotations; by
            default that of the package. It is data, and can call nothing.
        sha256: what the file's must be, or at least its first 8 digits; by default not asked of weights of your own.

    ValueError for no such file, another hash, or weights of another network; see `check`.

    Examples:
        >>> import torch
        >>> from vae_lightning.metrics import AttributeFeatures, FrechetInceptionDistance
        >>> features = AttributeFeatures()
        >>> features(torch.rand(2, 3, 64, 64)).shape, features(torch.rand(2, 1, 28, 28)).shape
        (torch.Size([2, 192]), torch.Size([2, 192]))
        >>> FrechetInceptionDistance(features).features.name
        'AttributeFeatures'
    """

    def __init__(self, weights: str | Path | None = None, sha256: str | None = None) -> None:
        super().__init__()
        self.weights = SHIPPED if weights is None else Path(weights)
        expected = SHIPPED_SHA256 if weights is None and sha256 is None else sha256
        self.sha256 = "" if expected is None else check_digits(expected)
        self._digest: str | None = None

    @property
    def digest(self) -> str:
        """The file's sha256; ValueError if it is not the expected one."""
        if self._digest is None:
            self._digest = checked_sha256(self.weights, self.sha256, "get the file again")
        return self._digest

    @property
    def description(self) -> dict[str, str]:
        """The network, its weights and the preprocessing."""
        return {"network": "AttributeFeatures", "weights_sha256": self.digest, "preprocessing": PREPROCESSING}

    def check(self) -> None:
        """Raises ValueError if the file is not what it has to be; nothing is kept in memory."""
        self._read()

    def build(self) -> nn.Module:
        """The network without its outputs, after `PREPROCESSING`."""
        return Preprocessed(self._read())

    def _read(self) -> PooledConvolutions:
        digest = self.digest
        state = read_checkpoint(self.weights)["state_dict"]
        weights = {name.removeprefix(_PREFIX): value for name, value in state.items() if name.startswith(_PREFIX)}
        try:
            return PooledConvolutions.like(weights, (CHANNELS, SIDE, SIDE))
        except ValueError as error:
            raise ValueError(
                f"{self.weights} (sha256 {digest[:8]}...) holds no weights of features: {error}: give a checkpoint of "
                "models.Classifier"
            ) from error


class Preprocessed(nn.Module):
    """(B, 1 or 3, H, W) in [0, 1] -> (B, F)."""

    def __init__(self, network: PooledConvolutions) -> None:
        super().__init__()
        self.network = network

    def forward(self, images: Tensor) -> Tensor:
        """`PREPROCESSING`, then the features."""
        x = images.expand(-1, CHANNELS, -1, -1)
        if x.shape[-2:] != (SIDE, SIDE):
            x = interpolate(x, size=(SIDE, SIDE), mode="bilinear", align_corners=False, antialias=True)
        return self.network.features(2 * x - 1)
