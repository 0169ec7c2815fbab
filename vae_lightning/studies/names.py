"""The names that `vae-lightning reproduce` takes: of studies, and of scales."""

from __future__ import annotations

from typing import Literal

StudyName = Literal["celeba", "documents", "libi", "mixture", "newsgroups", "priors", "tradeoff"]
Scale = Literal["quick", "medium", "full"]
