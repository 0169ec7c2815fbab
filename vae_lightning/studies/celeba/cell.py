"""What the study of faces runs by itself, stage by stage, and how much of it."""

from __future__ import annotations

from dataclasses import dataclass, field

from vae_lightning.studies.celeba.beyond.codes import Codes, Independent
from vae_lightning.studies.celeba.joint import JOINTS, Joint

SIGMA = 0.05
"""Of the ground truth's p(x | z); pixels are in [-1, 1]."""


@dataclass(frozen=True)
class CelebASize:
    """How much is computed at a scale."""

    side: int  # of an image, in pixels
    latent: int
    width: int  # of the DCGAN's networks
    gan_epochs: int  # of the faces
    epoch: int  # images of the ground truth in what counts as an epoch of the other trainings
    encoder_epochs: int
    joint_epochs: int
    rate: float  # Adam's, of encoder and joint training
    test: int  # held-out images of the ground truth that figures are averages over
    importance: int  # samples of z of an image, for the mismatch
    images: int  # of each model, for distances
    precision: str = "32-true"  # of training; evaluation is in single precision
    batch: int = 64
    statistics: int = 6_400  # codes, or images, whose statistics networks normalise by
    save_every: int = 200  # steps, after which a training that is killed goes on


@dataclass(frozen=True)
class Cell:
    """A part of the study; `joint` is how it is trained, of one that is trained jointly; `codes` is q's family."""

    name: str
    path: str
    joint: Joint | None = None
    codes: Codes = field(default_factory=Independent)

    @classmethod
    def of(cls, joint: Joint) -> Cell:
        """The cell of a joint training."""
        return cls(joint.name, joint.path, joint, joint.codes)

    @property
    def needs(self) -> tuple[Cell, ...]:
        """What it begins from, each from those before."""
        if self == TRUTH:
            return ()
        return (TRUTH,) if self.joint is None else (TRUTH, encoder_cell(self.codes))


TRUTH = Cell("ground truth", "ground-truth")
ENCODER = Cell("encoder, conditional likelihood", "encoder")
AGAIN = Cell("ground truth again", "ground-truth-again")


def encoder_cell(codes: Codes) -> Cell:
    """That in which an encoder of this family is fitted to the ground truth."""
    return ENCODER if codes == ENCODER.codes else Cell(f"encoder, {codes.name}", f"encoder-{codes.path}", None, codes)


def stages(joints: tuple[Joint, ...] = JOINTS) -> tuple[tuple[Cell, ...], ...]:
    """What can be run at once, each stage from what those before have found."""
    encoders = dict.fromkeys(encoder_cell(joint.codes) for joint in joints)
    return (TRUTH,), tuple(dict.fromkeys((ENCODER, AGAIN, *encoders))), tuple(map(Cell.of, joints))
