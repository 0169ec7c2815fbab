"""Arrays: rows of numbers, in memory or in a file -> splits of them."""

from typing import TYPE_CHECKING

from vae_lightning.construction.rooms import lazily

if TYPE_CHECKING:
    from vae_lightning.data.arrays.arrays import Arrays

__all__ = ["Arrays"]

__getattr__ = lazily(__name__, {"arrays": "Arrays"})
