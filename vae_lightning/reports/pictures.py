"""Pictures: a PNG file -> a picture in the page itself, with words for those who do not see it."""

from __future__ import annotations

import base64
from dataclasses import dataclass
from pathlib import Path

from vae_lightning.reports.figures import SPLITS

_PNG = b"\x89PNG\r\n\x1a\n"
_MOST_BYTES = 20 << 20
_CAPTIONS = {
    "samples": "What the model generates: the mean of p(x | z) for codes z from the prior.",
    "reconstructions": "The first observations, and under each what the decoder makes of its code.",
    "interpolations": "On straight lines from the code of one observation to that of the next.",
    "traversals": "One latent unit moved at a time, the most active first.",
    "latent_scatter": "Posterior means of the observations, coloured by label, over the prior.",
    "pseudo_inputs": "The pseudo-inputs, of whose posteriors the prior is made.",
    "chains": "Gibbs chains of the model, from left to right.",
    "active_units": "Variance of each unit's posterior mean over the data, the largest first.",
    "elbo_surgery": "The rate, cut into mutual information and marginal KL.",
    "resampled_posterior": "q(z | x), resampled by importance weights, and the true posterior.",
    "nearest_words": "The words that each bit makes more likely, and those it makes less likely.",
    "logits_by_length": "How sure the encoder is of a document's bits, by the document's length.",
}


@dataclass(frozen=True)
class Picture:
    """A picture in the page: `source` is a data URI, `caption` what it shows; sizes are in pixels."""

    name: str
    caption: str
    source: str
    width: int
    height: int


def embedded(name: str, file: Path) -> Picture | None:
    """The picture of this file; None for what is no PNG file, or one of more than 20 MB."""
    content = file.read_bytes() if file.stat().st_size <= _MOST_BYTES else b""
    if not content.startswith(_PNG) or len(content) < 24:
        return None
    width, height = (int.from_bytes(content[start : start + 4]) for start in (16, 20))
    return Picture(
        _title(name), _caption(name), f"data:image/png;base64,{base64.b64encode(content).decode()}", width, height
    )


def _title(name: str) -> str:
    split, dash, what = name.partition("-")
    said = what if dash and split in SPLITS else name
    return said.replace("_", " ").capitalize() + (f" ({SPLITS[split]})" if dash and split in SPLITS else "")


def _caption(name: str) -> str:
    return _CAPTIONS.get(name.partition("-")[2], "")
