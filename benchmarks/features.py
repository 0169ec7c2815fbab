"""Faces -> what a Fréchet distance of features sees of damage to them, and how fast features are computed.

    python benchmarks/features.py --num 50
    python benchmarks/features.py --distances --path celeba/img_half_89x109.zip --num 1000

`--distances` compares `num` faces with as many others, which are damaged by more and more: the Fréchet distance of
`metrics.AttributeFeatures` (or of --weights of your own, or --inception FILE, the FID weights) beside that of pixels.
Columns "times" are multiples of the distance of the others as they are, which is bias alone and goes to 0 with 1/num.
Speed is of Inception's features, against pytorch-fid's with the same file of random weights, which are seen to be the
same, in turns, in processor time.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import torch
from comparisons import AsFast, Comparison, Row, in_turns, main, timed
from pytorch_fid import inception as peer
from sklearn.datasets import load_sample_images
from torch import Tensor, nn
from torchvision.transforms.v2 import functional as damage

from vae_lightning.data import CelebA
from vae_lightning.metrics import AttributeFeatures, InceptionFeatures
from vae_lightning.metrics.functional import GaussianFit
from vae_lightning.metrics.images.features import Features, NetworkFeatures
from vae_lightning.metrics.images.inception import fid_structure
from vae_lightning.metrics.images.weights import file_sha256

SIDE, BATCH, HELD_OUT = 64, 50, 500
TURNS = 3  # of each contestant


def noisy(faces: Tensor, deviation: float) -> Tensor:
    """With Gaussian noise."""
    return (faces + deviation * torch.randn(faces.shape, generator=torch.Generator().manual_seed(0))).clamp(0, 1)


def mixed(faces: Tensor, share: float) -> Tensor:
    """A share of them replaced by parts of scikit-learn's two photographs, of a temple and of a flower."""
    generator, out = torch.Generator().manual_seed(0), faces.clone()
    photographs = [torch.tensor(photo).permute(2, 0, 1) / 255 for photo in load_sample_images().images]
    for row in range(round(share * len(faces))):
        photo = photographs[row % 2]
        top, left = (int(torch.randint(side - 2 * SIDE, (), generator=generator)) for side in photo.shape[1:])
        out[row] = damage.resize(photo[:, top : top + 2 * SIDE, left : left + 2 * SIDE], [SIDE, SIDE])
    return out


def repeated(faces: Tensor, times: int) -> Tensor:
    """Fewer faces, each so many times, as a generator has them that has lost its variety."""
    return faces[: len(faces) // times].repeat(times, 1, 1, 1)


DAMAGE: dict[str, Callable[[Tensor, float], Tensor]] = {
    "blur, sigma in pixels": lambda faces, sigma: damage.gaussian_blur(faces, [9, 9], [sigma, sigma]).clamp(0, 1),
    "noise, sd of [0, 1]": noisy,
    "saturation": damage.adjust_saturation,
    "other pictures among them": mixed,
    "each face so many times": lambda faces, times: repeated(faces, int(times)),
}
LEVELS = {
    "blur, sigma in pixels": (0.5, 1.0, 2.0),
    "noise, sd of [0, 1]": (0.02, 0.05, 0.1),
    "saturation": (0.75, 0.5, 0.0),
    "other pictures among them": (0.02, 0.05, 0.2),
    "each face so many times": (2, 5, 20),
}


class Compared:
    """The distances of images from some faces under one kind of features."""

    def __init__(self, features: Features, faces: Tensor) -> None:
        self.features, self.reference = features, self.fit(faces, features)

    @staticmethod
    def fit(images: Tensor, features: Features) -> GaussianFit:
        return GaussianFit.of_features(features(images))

    def __call__(self, images: Tensor) -> float:
        return self.fit(images, self.features).distance(self.reference).item()


def faces_of(path: Path) -> tuple[Tensor, Tensor]:
    """Faces that the shipped network was trained with, in [0, 1], and test faces, which it has not seen."""
    data = CelebA(path, size=SIDE, attributes=[], val_size=HELD_OUT, test_size=HELD_OUT)
    data.setup("fit")
    return tuple((split.x + 1) / 2 for split in (data.train, data.test))  # type: ignore[return-value]


def distances(path: Path, num: int, features: Features) -> None:
    """Print the table."""
    train, held_out = faces_of(path)
    faces, others = train[:num], train[num : 2 * num]
    contestants = [Compared(each, faces) for each in (features, NetworkFeatures(nn.Flatten()))]
    none = [compared(others) for compared in contestants]
    print(f"| {num:,} faces and as many others | {features.name} | times | pixels | times |\n|---|---|---|---|---|")

    def row(name: str, images: Tensor) -> None:
        found = [compared(images) for compared in contestants]
        cells = [f"{value:.4g} | {value / zero:.2f}" for value, zero in zip(found, none, strict=True)]
        print(f"| {name} | {' | '.join(cells)} |", flush=True)

    row("as they are", others)
    row(f"{len(others) // 2:,} of them", others[: len(others) // 2])
    row(f"{len(held_out):,} that no training saw", held_out)
    for name, harm in DAMAGE.items():
        for level in LEVELS[name]:
            row(f"{name}: {level:g}", harm(others, level))
    few = Compared(features, faces[: num // 2])(others[: num // 2])
    print(f"\nhalf as many on either side: {few:.4g}; without the bias of 1/num: {2 * none[0] - few:.4g}")


def random_weights(folder: Path) -> Path:
    """A file in the format of the FID weights."""
    with torch.device("meta"):
        like = fid_structure().state_dict()
    generator = torch.Generator().manual_seed(0)
    state = {name: torch.randn(value.shape, generator=generator) * 0.05 for name, value in like.items()}
    state |= {name: 1 + value.abs() for name, value in state.items() if name.endswith("running_var")}
    kept = {name: value for name, value in state.items() if not name.endswith("num_batches_tracked")}
    torch.save(kept, folder / "random.pth")
    return folder / "random.pth"


@torch.inference_mode()
def all_of(features: Callable[[Tensor], Tensor], images: Tensor) -> Tensor:
    """Batch by batch."""
    return torch.cat([features(part) for part in images.split(BATCH)])


def speed(asked: argparse.Namespace) -> Iterator[Row]:
    """An image, by ours, by pytorch-fid's and by our small network of faces."""
    num = 5 if asked.quick else asked.num
    images = torch.rand(num, 3, SIDE, SIDE, generator=torch.Generator().manual_seed(0))
    with tempfile.TemporaryDirectory() as place:
        weights = random_weights(Path(place))
        peer.load_state_dict_from_url = lambda *_, **__: torch.load(weights, weights_only=True)
        theirs = peer.InceptionV3().eval()
        ours = InceptionFeatures(weights, file_sha256(weights))
        ways: dict[str, Callable[[Tensor], Tensor]] = {
            "ours": ours,
            "pytorch-fid": lambda part: theirs(part)[0].flatten(1),
            "AttributeFeatures": AttributeFeatures(),
        }
        torch.testing.assert_close(all_of(ways["ours"], images[:5]), all_of(ways["pytorch-fid"], images[:5]))
        measures = {name: timed(partial(all_of, way, images), unit=1e3 / num) for name, way in ways.items()}
        costs = in_turns(measures, 1 if asked.quick else TURNS, warm=0)
    yield Comparison("InceptionFeatures, an image", "ours", "pytorch-fid", AsFast()).row(costs)
    yield Comparison("AttributeFeatures, an image", "AttributeFeatures", "pytorch-fid", AsFast()).row(costs)


def damaged() -> None:
    """The study of distances."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--distances", action="store_true")
    parser.add_argument("--path", type=Path, required=True, help="a folder or a zip file of faces")
    parser.add_argument("--num", type=int, default=1000, help="how many images")
    parser.add_argument("--weights", type=Path, help="a checkpoint of models.Classifier in place of the shipped one")
    parser.add_argument("--inception", type=Path, help="the file of the FID weights: the distance is FID")
    asked = parser.parse_args()
    own = AttributeFeatures(asked.weights)
    distances(asked.path, asked.num, own if asked.inception is None else InceptionFeatures(asked.inception))


def options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--num", type=int, default=50, help="how many images")


if __name__ == "__main__":
    if "--distances" in sys.argv:
        damaged()
    else:
        main({"speed": speed}, __doc__, options)
