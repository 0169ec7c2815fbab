"""Classifier: images -> a network that tells something of them, trained for the features that it comes to see."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NoReturn

import torch
from jaxtyping import Float, Shaped
from lightning.pytorch.cli import LRSchedulerCallable, OptimizerCallable
from torch import Tensor

from vae_lightning.batches import Batch, labels, observations
from vae_lightning.conditional import Network
from vae_lightning.construction.arguments import check_kinds
from vae_lightning.construction.hyperparameters import only_plain
from vae_lightning.data.protocols import datamodule
from vae_lightning.models.classifier.attributes import Attributes
from vae_lightning.models.classifier.task import Task
from vae_lightning.models.optimizers import adam
from vae_lightning.models.reproducible import ReproducibleModule
from vae_lightning.nn import PooledConvolutions


@dataclass(frozen=True, eq=False)
class Judged:
    """What a classifier said of a batch, and what would have been right."""

    logits: Float[Tensor, "N P"]
    answers: Shaped[Tensor, "N *L"]


class Classifier(ReproducibleModule):
    """Minimises the cross-entropy of a task on images: by default which of CelebA's 40 attributes a face has.

    It is trained for its features: `metrics.AttributeFeatures(path)` reads them from its checkpoint, and images are
    compared by them where the weights of FID cannot be had. It has no codes and no samples: what VAEs are asked is a
    TypeError.
    Figures: `loss` in nats, and those of the task: see `metrics.LabelScores`, or `accuracy` for rotations.
    ValueError for data of other images or other labels.

    Args:
        image_shape: (C, H, W).
        network: builds the network, from (image shape, number of outputs).
        task: what it learns to tell: `models.Attributes` (default) or `models.Rotations`, which needs no labels.
        optimizer: builds the optimizer from the parameters.
        scheduler: builds a learning-rate scheduler, stepped every epoch (or step: `models.EveryStep`).

    Examples:
        >>> import torch
        >>> from vae_lightning.models import Classifier, Rotations
        >>> model = Classifier((3, 32, 32), task=Rotations())
        >>> loss, figures = model.loss((torch.rand(5, 3, 32, 32), torch.zeros(5)), step=0)
        >>> loss.shape, figures
        (torch.Size([]), {})
    """

    def __init__(
        self,
        image_shape: Sequence[int] = (3, 64, 64),
        network: Network = PooledConvolutions,
        task: Task | None = None,
        optimizer: OptimizerCallable = adam,
        scheduler: LRSchedulerCallable | None = None,
    ) -> None:
        check_kinds(Classifier, locals())
        super().__init__((), optimizer, scheduler)
        chosen = task or Attributes()
        self.task, self.averages = chosen, chosen.scores()
        self.network = network(tuple(image_shape), chosen.num_outputs)
        self.image_shape = tuple(image_shape)
        with only_plain(self):
            self.save_hyperparameters(logger=False)

    @property
    def observed_shape(self) -> Sequence[int]:
        """(C, H, W)."""
        return self.image_shape

    def prepare_data(self) -> None:
        """Look at the data and what their labels are called before a run's folder is made."""
        super().prepare_data()
        if self.trainer.world_size == 1:
            self.task.check_data(datamodule(self.trainer))

    def setup(self, stage: str) -> None:
        """Of several processes each looks here."""
        super().setup(stage)
        self.task.check_data(datamodule(self.trainer))

    def loss(self, batch: Batch, step: int) -> tuple[Tensor, dict[str, Tensor]]:
        """The cross-entropy in nats, the mean over images."""
        judged = self._judge(batch, training=True)
        logits = judged.logits.to(torch.promote_types(judged.logits.dtype, torch.float32))
        return self.task.losses(logits, judged.answers).mean(), {}

    def evaluate(self, batch: Batch, index: int) -> Judged:
        """Logits and right answers."""
        with torch.autocast(self.device.type, enabled=False):
            return self._judge(batch, training=False)

    def figures(self, draw: Any) -> dict[str, Tensor]:
        """What the task's scores are made of."""
        return self.task.figures(draw.logits, draw.answers)

    def _judge(self, batch: Batch, training: bool) -> Judged:
        x = observations(batch)
        assert isinstance(x, Tensor), "images are no bags of words"
        images, answers = self.task.posed(x, labels(batch), training)
        return Judged(self.network(images), answers)

    # -- what a VAE is asked -------------------------------------------------------------------------------------

    def _unanswered(self, *_: object, **__: object) -> NoReturn:
        raise TypeError(
            "a Classifier has no codes and no p(x): ask it for features, metrics.AttributeFeatures(checkpoint)(images)"
        )

    posterior = likelihood = simulate = scorer = imputed = _unanswered

    @property
    def code_shape(self) -> Sequence[int]:
        """It has none."""
        self._unanswered()
