"""Parser: the words of a command line -> its options, before anything that takes time is imported."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from vae_lightning.messages import CommandParser

TABLE = "the file to write: .csv, .tsv, .jsonl, .npz or .parquet (default: the first rows are printed)"
PICTURES = (
    "the file to write: .csv, .tsv, .jsonl, .npz or .parquet; of pictures also a .png, all in one grid, or a folder, a "
    ".png each (default: the first rows are printed)"
)
DATA = "the file or folder of the data, of the kind that the model was trained on"

ABOUT = {
    "encode": """
The code of each row of data: the mean and standard deviation of q(z | x), and bits where codes are bits.

  vae-lightning encode --ckpt runs/version_0 --data photos/ --out codes.npz

Data are prepared as the training data were: the same columns of a table are taken, texts are cut into the words that
the model knows, pictures are cropped and resized. Names of rows and files are kept. In Python: load(ckpt).encode(data)
""",
    "decode": """
The observation of each code: the mean of p(x | z), in the units of the data.

  vae-lightning decode --ckpt runs/version_0 --data codes.npz --out pictures/

In Python: load(ckpt).decode(codes)
""",
    "reconstruct": """
What the model makes of each row of data: the mean of p(x | z) at the row's code.

  vae-lightning reconstruct --ckpt runs/version_0 --data photos/ --out grid.png

A grid has rows of originals, each above a row of their reconstructions. In Python: load(ckpt).reconstruct(data)
""",
    "interpolate": """
Observations on straight lines between codes: from each row of data to the next, or to that of --to.

  vae-lightning interpolate --ckpt runs/version_0 --data photos/ --out lines.png

A grid has a row for each line. In Python: load(ckpt).interpolate(a, b, steps)
""",
    "sample": """
New rows of data from the model: z is drawn from its prior and x from its decoder; an RBM takes Gibbs steps.

  vae-lightning sample --ckpt runs/version_0 --n 64 --out grid.png

A text is a list of its words, the most frequent first. In Python: load(ckpt).generate(n, mean, component)
""",
    "score": """
The log-likelihood of each row of data in nats, with its standard error and effective sample size.

  vae-lightning score --ckpt runs/version_0 --data rows.csv --out scores.csv

The lower it is, the less such a row is expected. It is that of the data in their own units; for a row with missing
entries it is that of the entries that are there. Where the effective sample size is near 1, trust neither the figure
nor its error: a larger --K helps. For an RBM with one small side it is exact, and the error is 0. In Python:
load(ckpt).log_likelihood(data, K)
""",
    "impute": """
Rows with each missing entry filled in by its mean given the other entries, or by its most probable category.

  vae-lightning impute --ckpt runs/version_0 --data rows.csv --out whole.csv

Beside each column stand the standard deviation given the other entries, and the standard error of the mean over the
samples. Entries that were there stay as they were, and have 0 for both. In Python: load(ckpt).impute(data, K)
""",
}


def parsed(command: str, arguments: Sequence[str]) -> argparse.Namespace:
    """The options of a command; SystemExit after its help, or one that it does not know."""
    parser = CommandParser(command, ABOUT[command])
    parser.add_argument(
        "--ckpt", required=True, metavar="RUN", help="a checkpoint, or the folder of a run: its best.ckpt"
    )
    _own(command, parser)
    out = TABLE if command in ("encode", "score") else PICTURES
    parser.add_argument("--out", type=Path, metavar="FILE", help=out)
    parser.add_argument("--overwrite", action="store_true", help="replace what is there")
    parser.add_argument("--seed", type=int, metavar="N", help="the seed of what is drawn (default: that of the run)")
    parser.add_argument("--device", default="cpu", help="where the model computes, such as cuda (default: cpu)")
    parser.add_argument(
        "--trust",
        action="append",
        default=[],
        metavar="PACKAGE",
        help="a package of your own whose classes the checkpoint may name",
    )
    return parser.parse(arguments)


def _own(command: str, parser: argparse.ArgumentParser) -> None:
    """What this command alone takes."""
    if command == "sample":
        parser.add_argument("--n", type=int, default=64, help="how many rows (default: 64)")
        means = (
            "the means of p(x | z), in place of x drawn from it with its noise (default: for pictures, unless a "
            "PixelCNN draws them, of which a mean is no image)"
        )
        parser.add_argument("--mean", action=argparse.BooleanOptionalAction, help=means)
        component = "draw z from this component of the prior, from 0: of a VampPrior, its K-th pseudo-input"
        parser.add_argument("--component", type=int, metavar="K", help=component)
        return
    codes = "codes as `encode` writes them: a table with columns z0, z1, ..., or a .npz or .npy of (N, *Z)"
    parser.add_argument("--data", type=Path, required=True, metavar="PATH", help=codes if command == "decode" else DATA)
    if command == "encode":
        samples = "also write this many samples of z for each row"
        parser.add_argument("--samples", type=int, default=0, metavar="S", help=samples)
    if command == "interpolate":
        parser.add_argument("--to", type=Path, metavar="PATH", help="where lines end (default: each at the next row)")
        parser.add_argument(
            "--steps", type=int, default=8, metavar="N", help="points of a line, its ends included (default: 8)"
        )
    if command in ("score", "impute"):
        samples = "samples of z for each row (default: 1000), or chains of an RBM (default: 100 to score, 20 to impute)"
        parser.add_argument("--K", type=int, help=samples)
