"""The names that `vae-lightning reproduce` takes: of studies, of all of them, and of scales."""

from __future__ import annotations

from typing import Literal

StudyName = Literal["celeba", "documents", "libi", "mixture", "newsgroups", "priors", "tradeoff"]
Asked = Literal[StudyName, "all"]
Scale = Literal["quick", "medium", "full"]
