"""DerivedDataModule: another data module -> its splits, changed, and all else that it tells."""

from __future__ import annotations

import abc
from typing import Any

from vae_lightning.data.base import InMemoryDataModule
from vae_lightning.data.preparation import Preparation
from vae_lightning.data.protocols import Prepares, observed_shape, vocabulary_size


class DerivedDataModule(InMemoryDataModule, abc.ABC):
    """Splits made of those of another data module, with its batch sizes; subclasses say how in `load`."""

    def __init__(self, data: InMemoryDataModule) -> None:
        super().__init__(data.batch_size, data.eval_batch_size, data.predict_split)
        self.data = data

    @property
    def observed_shape(self) -> tuple[int, ...] | None:
        """The other module's, if it knows it."""
        return observed_shape(self.data)

    @property
    def num_words(self) -> int | None:
        """The other module's, if it is of documents."""
        return vocabulary_size(self.data)

    @property
    def preparation(self) -> Preparation | None:
        """The other module's, if it has one."""
        return self.data.preparation if isinstance(self.data, Prepares) else None

    def state_dict(self) -> dict[str, Any]:
        """What the other module keeps, as its scaling or vocabulary, as well."""
        return super().state_dict() | {"data": self.data.state_dict()}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Let the other module go on with what it kept; ValueError where it has other columns or words."""
        super().load_state_dict(state_dict)
        kept = state_dict.get("data")
        if isinstance(kept, dict):  # checkpoints of before have none
            self.data.load_state_dict(kept)
            if self._splits:
                self._splits.clear()
                self.setup()

    def prepare_data(self) -> None:
        """Let the other module download what it needs, on one process."""
        self.data.prepare_data()
