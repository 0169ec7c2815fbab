"""A GAN of faces as the ground truth, an encoder fitted to it, and what joint training by the ELBO makes of both."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

from matplotlib.figure import Figure

from vae_lightning.executors import chosen_executor
from vae_lightning.files import expanded, find
from vae_lightning.messages import did_you_mean
from vae_lightning.metrics.images.features import Features
from vae_lightning.studies.celeba.beyond.models import joints_of
from vae_lightning.studies.celeba.beyond.tradeoff import told, tradeoff
from vae_lightning.studies.celeba.cell import AGAIN, ENCODER, SIGMA, TRUTH, CelebASize, Cell, stages
from vae_lightning.studies.celeba.features import chosen_features
from vae_lightning.studies.celeba.joint import JOINTS, Joint
from vae_lightning.studies.celeba.pictures import pictures_of
from vae_lightning.studies.celeba.results import FiguresAndModel, Result
from vae_lightning.studies.celeba.source import Faces, Source, Trained
from vae_lightning.studies.celeba.stages import Stages
from vae_lightning.studies.celeba.table import rows_of, table_one
from vae_lightning.studies.cell_study import CellStudy
from vae_lightning.studies.names import Scale
from vae_lightning.studies.provenance import CELLS, Settings
from vae_lightning.studies.report import Lines, Row
from vae_lightning.studies.store import CellStore

SIZES: dict[Scale, CelebASize] = {
    "quick": CelebASize(32, 32, 16, 9, 6_400, 10, 10, 1e-3, 1_000, 20, 2_000, save_every=1_000),
    "medium": CelebASize(64, 100, 64, 30, 10_000, 10, 10, 5e-4, 1_000, 20, 10_000, "bf16-mixed"),
    "full": CelebASize(64, 100, 64, 25, 200_000, 20, 20, 2e-4, 10_000, 100, 200_000, "bf16-mixed", save_every=2_000),
}
"""The GAN of medium and full is that of the DCGAN tutorial; full is as large as the paper says, or its data are."""


class CelebAStudy(CellStudy[CelebASize, Cell, Result]):
    """A GAN's generator with noise is the truth; a VAE that begins as it is trained by the ELBO, which harms it.

    Stage by stage: the GAN, of which the averaged generator d(z) is the ground truth p*(x | z) = N(d(z), 0.05^2 I); an
    encoder fitted to pairs (z, x) of it, by their conditional likelihood; joint trainings of both, by the ELBO on new
    samples x of the ground truth. How far a model's images are from the ground truth's is a Fréchet distance.

    Args:
        scale: one of `sizes`.
        seed: of everything.
        size: in place of the scale's.
        faces: a folder or a zip file of faces; by default where `data.CelebA` looks for them.
        generator: a run's folder or a checkpoint of a trained GAN, in place of the first stage.
        images: of each model, for the distances; in place of the size's.
        only: the name of a cell, or of its folder: run this one and what it needs, and no other.
        features: under which distances are taken: by default Inception's, where the FID weights are at hand, else those
            of `metrics.AttributeFeatures`.
        models: which joint trainings: `paper`, `all`, or some by the names of their folders, with commas.
        joints: these, if none are named.
    """

    title = "How the ELBO harms a decoder that was right: CelebA"
    sizes = SIZES
    format = FiguresAndModel()
    options = CellStudy.options | {"faces", "generator", "images", "models"}

    def __init__(
        self,
        scale: Scale,
        seed: int,
        size: CelebASize | None = None,
        faces: Path | None = None,
        generator: Path | None = None,
        images: int | None = None,
        only: str | None = None,
        features: Features | None = None,
        models: str | None = None,
        joints: Sequence[Joint] = JOINTS,
    ) -> None:
        super().__init__(scale, seed, size)
        if images is not None:
            self.size = replace(self.size, images=_enough(images))
        self.source = _source(faces, generator)
        self.features, self.joints = features or chosen_features(), joints_of(models) if models else tuple(joints)
        self.chosen = _chosen(only, stages(self.joints))

    def all_cells(self) -> list[Cell]:
        """All of the stages, or those that the chosen one needs."""
        return [cell for stage in self.chosen for cell in stage]

    def find(self, out: Path) -> dict[Cell, Result]:
        """The results of a stage, then of the next, which begins from them."""
        store, found = CellStore(out / CELLS, self.depends_on, self.format), dict[Cell, Result]()
        for stage in self.chosen:
            run = partial(self._run, self._after(found, out))
            found |= store.get_or_run(stage, run, chosen_executor())
        return found

    def run(self, cell: Cell, folder: Path) -> Result:
        """Run a cell of the first stage, which begins from nothing."""
        return self._run(self._after({}, folder), cell, folder)

    def _after(self, found: Mapping[Cell, Result], out: Path) -> Stages:
        return Stages(self.size, self.seed, self.source, self.features, out / "features", found)

    def _run(self, at: Stages, cell: Cell, folder: Path) -> Result:
        return at.run(cell, folder, self.trained_by(cell))

    def depends_on(self, cell: Cell) -> Settings:
        """What the trainings up to this one, and the judgement of the model, depend on."""
        return {**self.trained_by(cell), **self.judged_by(cell)}

    def trained_by(self, cell: Cell) -> Settings:
        """What a cell's weights depend on: seed and networks, and how much was trained up to there."""
        size = self.size
        networks = {"seed": self.seed, "side": size.side, "latent": size.latent, "width": size.width, "sigma": SIGMA}
        found: Settings = {**networks, "batch": size.batch, "precision": size.precision, **self.source.settings(size)}
        if cell not in (TRUTH, AGAIN):
            found = {**found, "images an epoch": size.epoch, "encoder epochs": size.encoder_epochs, "rate": size.rate}
        if cell.codes != ENCODER.codes:
            found = {**found, "codes": cell.codes.name}
        if cell.joint is None:
            return found
        return {**found, "joint": cell.name, "joint epochs": size.joint_epochs, **cell.joint.settings}

    def judged_by(self, cell: Cell) -> Settings:
        """What a cell's figures depend on beside the weights."""
        size = self.size
        if cell == TRUTH:
            return {}
        features = {f"features, {name}": told for name, told in self.features.description.items()}
        compared: Settings = {"images": size.images, **features}
        return compared if cell == AGAIN else {"held-out images": size.test, "K": size.importance, **compared}

    def rows(self, found: Mapping[Cell, Result]) -> list[Row]:
        """The figures of every cell that has some, beside the paper's."""
        return [row for cell, result in found.items() for row in rows_of(cell, result.figures)]

    def pictures(self, found: Mapping[Cell, Result]) -> dict[str, Figure]:
        """Figures 3 and 4, and the ELBO of every model against its distance."""
        drawn = tradeoff(found)
        return pictures_of(found) | ({} if drawn is None else {"tradeoff": drawn})

    def remarks(self, rows: Sequence[Row]) -> list[str]:
        """Which joint training is nearest to the ground truth, and which has the highest ELBO."""
        return told(rows, [joint.name for joint in self.joints])

    def settings(self, found: Mapping[Cell, Result]) -> Settings:
        """How much was computed, in which precision, and under which features distances are."""
        size = self.size
        return {
            "seed": self.seed,
            **self.source.settings(size),
            "images of the ground truth, encoder": size.epoch * size.encoder_epochs,
            "images of the ground truth, each joint training": size.epoch * size.joint_epochs,
            "batch": size.batch,
            "Adam's rate": size.rate,
            "precision of training": f"{size.precision}; evaluated in 32-true",
            "sigma of the ground truth": SIGMA,
            "held-out images": size.test,
            "K of the mismatch": size.importance,
            "images of a distance, of either side": size.images,
            "features of a distance": self.features.name,
        }

    def table(self, rows: Sequence[Row]) -> Lines:
        """The paper's table, with what we add."""
        return table_one(rows)


def _source(faces: Path | None, generator: Path | None) -> Source:
    if generator is None:
        return Faces(None if faces is None else Path(expanded(str(faces))))
    if faces is not None:
        raise ValueError("--faces are what a generator is trained on: give these, or a --generator that is trained")
    return Trained(find(str(generator), "generator", "best", Path("runs")))


def _enough(images: int) -> int:
    if images < 2:
        raise ValueError(f"--images counts images of each model, at least 2 for a distance; got {images}")
    return images


def _chosen(only: str | None, of_all: Sequence[Sequence[Cell]]) -> list[list[Cell]]:
    """All stages; with a name, those of which the cell is the last, and it alone of its own."""
    if only is None:
        return [list(stage) for stage in of_all]
    for stage in of_all:
        for cell in stage:
            if only in (cell.name, cell.path):
                return [*([needed] for needed in cell.needs), [cell]]
    names = [cell.path for stage in of_all for cell in stage]
    raise ValueError(f"there is no cell {only!r}{did_you_mean(only, names)}; --only takes one of {', '.join(names)}")
