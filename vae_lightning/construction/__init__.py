"""Construction: what a constructor is given -> checked, remembered, and said in plain values."""

from vae_lightning.construction.arguments import check_kinds
from vae_lightning.construction.hyperparameters import is_plain, only_plain
from vae_lightning.construction.specification import Unspecified, path_of, paths_of, specification

__all__ = ["Unspecified", "check_kinds", "is_plain", "only_plain", "path_of", "paths_of", "specification"]
