"""Trust: what others may have sent -> data that build nothing but models, or one line that says what is wrong."""

from vae_lightning.trust.arrays import keep_arrays, kept_arrays, let_go, mapped_arrays
from vae_lightning.trust.checkpoint import check_classes, read_checkpoint, read_unbuilt, unpickled
from vae_lightning.trust.classes import VARIABLE, ClassPath, Trust
from vae_lightning.trust.loading import FromCheckpoint, one_line
from vae_lightning.trust.records import read_record
from vae_lightning.trust.slots import Slot

__all__ = [
    "VARIABLE",
    "ClassPath",
    "FromCheckpoint",
    "Slot",
    "Trust",
    "check_classes",
    "keep_arrays",
    "kept_arrays",
    "let_go",
    "mapped_arrays",
    "one_line",
    "read_checkpoint",
    "read_record",
    "read_unbuilt",
    "unpickled",
]
