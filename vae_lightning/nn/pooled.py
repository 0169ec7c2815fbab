"""PooledConvolutions: images -> the means of their feature maps, and outputs linear in these."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn.functional import relu

from vae_lightning.construction.arguments import check_kinds
from vae_lightning.nn.dcgan import batched

FIRST = 32  # maps of the first layer


class PooledStage(nn.Module):
    """Maps -> maps of half the sides: a convolution 3 x 3 of stride 2, and a second one whose output is added to it.

    Each has batch normalisation; a ReLU follows both.

    Examples:
        >>> import torch
        >>> from vae_lightning.nn import PooledStage
        >>> PooledStage(3, 8)(torch.rand(2, 3, 16, 16)).shape
        torch.Size([2, 8, 8, 8])
    """

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.halving = nn.Conv2d(inputs, outputs, 3, stride=2, padding=1, bias=False)
        self.halved = nn.BatchNorm2d(outputs)
        self.second = nn.Conv2d(outputs, outputs, 3, padding=1, bias=False)
        self.normal = nn.BatchNorm2d(outputs)

    def forward(self, h: Float[Tensor, "B C H W"]) -> Float[Tensor, "B c h w"]:
        """(B, C, H, W) -> (B, c, H/2, W/2), rounded up."""
        halved = relu(self.halved(self.halving(h)))
        return relu(halved + self.normal(self.second(halved)))


class PooledConvolutions(nn.Module):
    """Image -> outputs, linear in the means of the maps of every stage; these means, standardised, are its features.

    A convolution and the stages (`PooledStage`) each halve the sides. The mean of every map of every stage over the
    image is a feature; a batch normalisation without parameters gives each the mean 0 and the variance 1 over the
    images that it was trained with. Early maps see texture, late ones the face: all are features.
    ValueError for images (C, H, W) without a channel, and without a stage.

    Args:
        context_shape: (C, H, W) of an image.
        num_outputs: P, such as one logit for each attribute.
        widths: maps of each stage; their sum is the number of features F.
        dropout: the share of features that a training step leaves out of the outputs.

    Examples:
        >>> import torch
        >>> from vae_lightning.nn import PooledConvolutions
        >>> network = PooledConvolutions((3, 64, 64), 40, widths=[32, 64])
        >>> images = torch.rand(2, 3, 64, 64)
        >>> network(images).shape, network.features(images).shape
        (torch.Size([2, 40]), torch.Size([2, 96]))
    """

    def __init__(
        self,
        context_shape: Sequence[int],
        num_outputs: int,
        widths: Sequence[int] = (32, 64, 96),
        dropout: float = 0.0,
    ) -> None:
        check_kinds(PooledConvolutions, locals())
        super().__init__()
        if len(context_shape) != 3 or not widths or min(*context_shape, *widths) < 1:
            raise ValueError(
                "PooledConvolutions needs images (C, H, W) and one or more positive widths, got images "
                f"{tuple(context_shape)} and widths {list(widths)}"
            )
        self.image_shape = tuple(context_shape)
        self.first = nn.Conv2d(context_shape[0], FIRST, 3, stride=2, padding=1, bias=False)
        self.normal = nn.BatchNorm2d(FIRST)
        sides = (FIRST, *widths)
        self.stages = nn.ModuleList(map(PooledStage, sides[:-1], sides[1:]))
        self.standard = nn.BatchNorm1d(sum(widths), affine=False)
        self.output = nn.Sequential(nn.Dropout(dropout), nn.Linear(sum(widths), num_outputs))

    @classmethod
    def like(cls, state: Mapping[str, Tensor], image_shape: Sequence[int]) -> PooledConvolutions:
        """A network of these weights, whose sizes are read off their shapes; ValueError if they are another's."""
        widths: list[int] = []
        while (weight := state.get(f"stages.{len(widths)}.halving.weight")) is not None and weight.ndim == 4:
            widths.append(len(weight))
        bias = state.get("output.1.bias", torch.empty(0))
        if not widths or bias.ndim != 1 or sum(widths) > sum(value.numel() for value in state.values()):
            raise ValueError("they are not those of nn.PooledConvolutions")
        with torch.device("meta"):
            network = cls(image_shape, len(bias), widths)
        expected = {name: value.shape for name, value in network.state_dict().items()}
        if wrong := [
            name for name in {**expected, **state} if name not in state or state[name].shape != expected.get(name)
        ]:
            raise ValueError(f"{len(wrong)} of them are not those of nn.PooledConvolutions ({sorted(wrong)[0]}, ...)")
        network = network.to_empty(device="cpu")
        network.load_state_dict(dict(state))
        return network

    def features(self, c: Float[Tensor, "*batch channels height width"]) -> Float[Tensor, "*batch features"]:
        """(*B, C, H, W) -> (*B, F), standardised."""
        h = relu(self.normal(self.first(batched(c, self.image_shape))))
        means = []
        for stage in self.stages:
            h = stage(h)
            means.append(h.mean((2, 3)))
        return self.standard(torch.cat(means, 1)).reshape(*c.shape[:-3], -1)

    def forward(self, c: Float[Tensor, "*batch channels height width"]) -> Float[Tensor, "*batch outputs"]:
        """(*B, C, H, W) -> (*B, P)."""
        return self.output(self.features(c))
