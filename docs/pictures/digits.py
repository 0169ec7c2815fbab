"""The pictures of runs of digits, from their TensorBoard events -> docs/pictures/digits.png.

vae-lightning fit --config configs/digits/vamp.yaml --trainer.callbacks+ vae_lightning.callbacks.Reconstructions
python docs/pictures/digits.py runs/version_0 docs/pictures/digits.png
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
    """The last image of each tag that the run has; exits in one line if it has none."""
    if not run.is_dir():
        sys.exit(f"{run} is no folder: give that of a run, such as runs/version_0")
    events = EventAccumulator(str(run), size_guidance={"images": 0}).Reload()
    tags = [tag for tag in SHOWN if tag in events.Tags()["images"]]
    if not tags:
        sys.exit(f"{run} has no {', '.join(SHOWN)}: fit with the callbacks that draw them, and give the run's folder")
    if missing := sorted(set(SHOWN) - set(tags)):
        print(f"{run} has no {', '.join(missing)}: drawn without", file=sys.stderr)
    return [Image.open(io.BytesIO(events.Images(tag)[-1].encoded_image_string)).convert("RGB") for tag in tags]


def side_by_side(pictures: list[Image.Image]) -> Image.Image:
    """Four in two rows, fewer in one, each as wide as the page."""
    per_row = 2 if len(pictures) > 3 else len(pictures)
    rows = [scaled(pictures[k : k + per_row]) for k in range(0, len(pictures), per_row)]
    page = Image.new("RGB", (WIDTH, sum(row[0].height for row in rows) + GAP * (len(rows) - 1)), "white")
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
    if len(sys.argv) != 3:
        sys.exit("python docs/pictures/digits.py RUN PICTURE, such as runs/version_0 docs/pictures/digits.png")
    run, out = map(Path, sys.argv[1:])
    side_by_side(last_pictures(run)).save(out, optimize=True)
