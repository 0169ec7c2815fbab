"""The sections of a benchmark -> its command: a row printed as soon as it is measured, all written where asked."""

from __future__ import annotations

import argparse
import json
import logging
import os
import warnings
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

from comparisons.rows import Row
from comparisons.table import HEAD, line
from comparisons.turns import Absent

Section = Callable[[argparse.Namespace], Iterable[Row]]
SECTIONS = Mapping[str, Section]
"""By name, what is measured together."""
Options = Callable[[argparse.ArgumentParser], object]


def main(sections: SECTIONS, doc: str, options: Options = lambda parser: None) -> None:
    """Run the sections that the command line names, or all."""
    parser = argparse.ArgumentParser(description=doc, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("sections", nargs="*", choices=[*sections, []], help=f"any of {', '.join(sections)}; all")
    parser.add_argument("--quick", action="store_true", help="few rounds of little work: whether it runs, no figures")
    parser.add_argument("--rows", type=Path, help="a file for the rows, as JSON")
    options(parser)
    asked = parser.parse_args()
    quiet()
    rows = []
    print(HEAD)
    for name in asked.sections or sections:
        for row in sections[name](asked):
            print(line(row.as_json()), flush=True)
            rows.append(row.as_json())
    if asked.rows:
        asked.rows.write_text(json.dumps(rows))


def quiet() -> None:
    """One thread, no messages of Lightning's, and the process as the command has it."""
    import torch  # noqa: PLC0415  (not in processes whose memory is measured)

    from vae_lightning.process import ready_to_train  # noqa: PLC0415

    torch.set_num_threads(1)
    ready_to_train()
    logging.getLogger("lightning.pytorch").setLevel(logging.ERROR)
    warnings.filterwarnings("ignore")


def faces(asked: argparse.Namespace) -> Path | Absent:
    """The zip file of CelebA's faces: --path, or what lies in VAE_LIGHTNING_DATA."""
    path = asked.path or Path(os.environ.get("VAE_LIGHTNING_DATA", "data"), "celeba", "img_half_89x109.zip")
    return path if path.exists() else Absent(f"there are no faces: --path FILE.zip, or {path} in VAE_LIGHTNING_DATA")
