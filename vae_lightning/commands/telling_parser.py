"""Parser of `report`, `card`, `export`: the words of a command line -> their options, before anything is imported."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from vae_lightning.messages import CommandParser

_REPORT = """Write one page about runs, sweeps or studies that can be sent to a colleague: it needs no other file.

It says what was trained on what, and in words what the diagnostics found. It has the figures with their errors, curves
and pictures, and the commands that repeat it all. Several runs are put side by side.

  vae-lightning report runs/version_0
  vae-lightning report runs/version_0 runs/version_3 --out two.html
  vae-lightning report runs/sweep runs/mixture --title "What we tried" --out all.html
"""
_CARD = """Write the model card of a run, in Markdown: what it is, its figures, its limits, how to load it.

The intended use and the license, which no file of the run says, are marked TO FILL IN.

  vae-lightning card runs/version_0 --out model-card.md
"""
_EXPORT = """Write a run's best model into a file for those who only use it.

  --to model.ckpt   a checkpoint to send: weights, hyper-parameters and how data are read, but neither the optimizer's
                    state nor the paths of the data. `vae_lightning.load` and every command read it. --half halves its
                    size.
  --to model.pt2    two programs of torch.export, model-encoder.pt2 (x to the mean code) and model-decoder.pt2 (z to the
                    mean of x), for batches of any size. `torch.export.load(FILE).module()(x)` runs one, without this
                    package. x is as the model sees it, after what its data module does to it.
  --to model.onnx   the same two for ONNX, if the packages onnx and onnxscript are installed.

  vae-lightning export --ckpt runs/version_0 --to model.ckpt
"""


def parsed_report(arguments: Sequence[str]) -> argparse.Namespace:
    """The options of `report`; SystemExit after its help, or one that it does not know."""
    parser = CommandParser("report", _REPORT)
    parser.add_argument(
        "runs", nargs="+", type=Path, metavar="RUN",
        help="a run's folder, one that holds many, as a sweep's, or a study's, which `reproduce` writes",
    )  # fmt: skip
    parser.add_argument("--title", help="of the page, in place of the models' and data's names")
    _add_target(parser, "report.html")
    return parser.parse(arguments)


def parsed_card(arguments: Sequence[str]) -> argparse.Namespace:
    """The options of `card`; SystemExit after its help, or one that it does not know."""
    parser = CommandParser("card", _CARD)
    parser.add_argument("run", type=Path, metavar="RUN", help="a run's folder, or one of its checkpoints")
    _add_target(parser, "model-card.md")
    return parser.parse(arguments)


def parsed_export(arguments: Sequence[str]) -> argparse.Namespace:
    """The options of `export`; SystemExit after its help, or one that it does not know."""
    parser = CommandParser("export", _EXPORT)
    parser.add_argument("--ckpt", type=Path, required=True, metavar="RUN", help="a run's folder, or a checkpoint")
    parser.add_argument("--to", type=Path, required=True, metavar="FILE", help="ends in .ckpt, .pt2 or .onnx")
    parser.add_argument(
        "--trust", action="append", default=[], metavar="PACKAGE", help="of your own, that the checkpoint may name"
    )
    parser.add_argument("--half", action="store_true", help="matrices and filters of a .ckpt in float16")
    parser.add_argument("--overwrite", action="store_true", help="replace files that exist")
    return parser.parse(arguments)


def _add_target(parser: CommandParser, default: str) -> None:
    parser.add_argument("--out", type=Path, default=Path(default), help=f"the file to write (default: {default})")
    parser.add_argument("--overwrite", action="store_true", help="replace the file if there is one")


PARSED = {"report": parsed_report, "card": parsed_card, "export": parsed_export}
