"""Bits, depth of the decoder and encoder -> the paper's two NELBOs: Table 2 of VAE Approximation Error (2022)."""

from __future__ import annotations

from collections.abc import Mapping

BITS, DEPTHS, ENCODERS = (8, 16, 32, 64), (0, 1, 2), ("e1", "e2", "e3")
"""e1: linear on word counts; e2: two hidden layers on word frequencies; e3: linear on frequencies."""

TRAINING = """
419 429 439 321 390 415 325 370 421
382 398 419 201 329 407 164 269 413
337 358 412 165 189 403 132 159 411
296 324 407 171 189 398 134 149 409
"""
TEST = """
423 429 435 413 421 424 418 423 427
409 417 421 404 422 420 410 416 422
396 413 416 399 413 418 406 416 421
392 411 414 398 413 417 406 417 422
"""

Place = tuple[int, int, str]
"""Bits, depth of the decoder, encoder."""


def _by_place(table: str) -> Mapping[Place, float]:
    rows = zip(BITS, table.split("\n")[1:-1], strict=True)
    columns = [(depth, encoder) for depth in DEPTHS for encoder in ENCODERS]
    return {
        (bits, *column): float(value) for bits, row in rows for column, value in zip(columns, row.split(), strict=True)
    }


PAPER: Mapping[str, Mapping[Place, float]] = {"train": _by_place(TRAINING), "test": _by_place(TEST)}
"""Both are minima over all epochs (Appendix C.2), relative to the saturated multinomial: what we call deviances."""
