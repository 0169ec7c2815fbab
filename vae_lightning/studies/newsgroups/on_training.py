"""OnTraining: another data module -> one whose test split is the training split, to judge a model on that."""

from __future__ import annotations

from vae_lightning.data.derived import DerivedDataModule
from vae_lightning.data.loaders import Observations


class OnTraining(DerivedDataModule):
    """Figures of the test are then those of the training split, by the same samples a document and in full precision.

    What training logs of itself is of weights that change within an epoch.
    """

    def load(self) -> tuple[Observations, Observations, Observations]:
        """The other module's training and validation splits."""
        self.data.setup()
        return self.data.train, self.data.val, self.data.train
