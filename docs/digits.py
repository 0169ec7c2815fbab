"""The pictures of runs of digits, from their TensorBoard events -> docs/digits.png.

vae-lightning fit --config configs/digits/vamp.yaml --trainer.callbacks+ vae_lightning.callbacks.Reconstructions
python docs/digits.py runs/version_0 docs/digits.png
"""

from __future__ import annotations

import io
import sys
from pathlib import Path

from PIL import Image
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

SHOWN = ("val/samples", "val/pseudo_inputs", "val/reconstructions", "val/active_units")
WIDTH, GAP = 900, 20


def last_pictures(run: Path) -> list[Image.Image]:
    """The last image of each tag."""
    events = EventAccumulator(str(run), size_guidance={"images": 0}).Reload()
    return [Image.open(io.BytesIO(events.Images(tag)[-1].encoded_image_string)).convert("RGB") for tag in SHOWN]


def side_by_side(pictures: list[Image.Image]) -> Image.Image:
    """Two and two, each row as wide as the page."""
    rows = [scaled(pictures[:2]), scaled(pictures[2:])]
    page = Image.new("RGB", (WIDTH, sum(row[0].height for row in rows) + GAP), "white")
    top = 0
    for row in rows:
        left = 0
        for picture in row:
            page.paste(picture, (left, top))
            left += picture.width + GAP
        top += row[0].height + GAP
    return page


def scaled(row: list[Image.Image]) -> list[Image.Image]:
    """To one height, at which they fill the width."""
    height = (WIDTH - GAP * (len(row) - 1)) / sum(picture.width / picture.height for picture in row)
    return [picture.resize((int(picture.width * height / picture.height), int(height))) for picture in row]


if __name__ == "__main__":
    run, out = map(Path, sys.argv[1:])
    side_by_side(last_pictures(run)).save(out, optimize=True)
