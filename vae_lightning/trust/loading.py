"""FromCheckpoint: Lightning's `load_from_checkpoint`, of a file that came by the one door."""

from __future__ import annotations

from argparse import ArgumentError
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from vae_lightning.trust.checkpoint import read_checkpoint

_OPTIONS = {"map_location", "strict", "weights_only"}  # Lightning's own


@contextmanager
def one_line(path: Path, alone: bool = True) -> Iterator[None]:
    """ValueError, in one line that names the file, for arguments or weights in it that its class does not take.

    A TypeError or ValueError is the file's if it has `alone` said the arguments, and else may be the caller's.
    """
    causes: tuple[type[Exception], ...] = (ArgumentError, RuntimeError, *([TypeError, ValueError] if alone else []))
    try:
        yield
    except causes as error:
        reason = " ".join(str(error).split())[:300]
        raise ValueError(f"{path} is no checkpoint to use: {reason}") from error


class FromCheckpoint:
    """What models and data have in common that are built from checkpoints; stands before Lightning's class."""

    @classmethod
    def load_from_checkpoint(cls, checkpoint_path: Any, *args: Any, trust: Sequence[str] = (), **kwargs: Any) -> Any:
        """Load as Lightning does; `trust` names packages of your own whose classes the checkpoint may name.

        ValueError for a file that is no whole checkpoint, and for one that names other classes.
        """
        content = read_checkpoint(Path(checkpoint_path), cls, trust)
        cls.check_given(content, Path(checkpoint_path), kwargs)
        lightning: Any = super()
        with one_line(Path(checkpoint_path), alone=kwargs.keys() <= _OPTIONS):
            loaded = lightning.load_from_checkpoint(checkpoint_path, *args, **kwargs | {"weights_only": True})
        said = content.get(loaded.CHECKPOINT_HYPER_PARAMS_KEY, {})
        if "_class_path" in said and not kwargs.keys() & said.keys():
            # what was built of class paths is not built of objects: whoever saves it again says them again
            loaded.hparams.clear()
            loaded.hparams.update(said)
            loaded.given_as_objects, loaded.specified = [], {}
        loaded.read_preparation(content, Path(checkpoint_path), trust)
        return loaded

    @classmethod
    def check_given(cls, content: Mapping[str, Any], path: Path, given: Mapping[str, Any]) -> None:
        """ValueError if it takes more than was given to build this of a checkpoint; by default it does not."""

    def read_preparation(self, content: Mapping[str, Any], path: Path, trust: Sequence[str] = ()) -> None:
        """Take over what the checkpoint says of other data; by default it says nothing."""
