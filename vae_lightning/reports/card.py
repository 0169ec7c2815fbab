"""model_card: a run -> what to send along with its checkpoint, in Markdown."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from pathlib import Path

from vae_lightning.reports import description
from vae_lightning.reports.conclusions import conclusions
from vae_lightning.reports.figures import SPLITS, Line, lines
from vae_lightning.reports.readings import GOOD
from vae_lightning.reports.run import Run

FILL_IN = "TO FILL IN"
"""Stands where no file of the run knows the answer."""


def model_card(run: Run, checkpoint: Path | None = None) -> str:
    """The card of a run's best checkpoint, or of another one; ValueError for a run without any.

    Everything that comes from files is escaped: it is text in the card, and neither Markdown nor HTML.
    """
    file = checkpoint or run.checkpoint
    if file is None:
        raise ValueError(f"{run.folder} has no checkpoint, and a card is of one: train with checkpoints")
    figures = lines(run.figures)
    sections = [
        f"# {_text(run.model or run.name)}{f' on {_text(run.data)}' if run.data else ''}",
        _text(description.sentence(run)),
        _table(["", ""], _facts(run, file)),
        "## Intended use",
        f"{FILL_IN}: what the model is meant for, by whom, and what it must not be used for.",
        "## Figures",
        _figures(run, figures),
        "## What its diagnostics show",
        _shown(run),
        "## Model and data",
        _table(["", ""], [(name, _text(value)) for name, value in description.parts(run)]),
        "## How to use it",
        _fence(_python(file), "python"),
        *([_fence("\n".join(text for _, text in description.commands(run)), "sh")] if run.config else []),
        "The file holds weights and plain values: it loads with `weights_only=True`, and can run nothing.",
    ]
    return "\n\n".join(section for section in sections if section) + "\n"


def _facts(run: Run, file: Path) -> list[tuple[str, str]]:
    versions = [(name[:1].upper() + name[1:], _text(value)) for name, value in description.made_with(run)]
    return [
        ("Checkpoint", f"{_code(file.name)}, {_size(file.stat().st_size)}"),
        ("SHA-256", _code(_sha256(file))),
        ("Data", _text(": ".join(filter(None, [run.data, description.observations(run)])) or FILL_IN)),
        ("Seed", _text(str(run.config.get("seed_everything", FILL_IN)))),
        ("Training", _text(description.training_length(run) or FILL_IN)),
        *versions,
        ("License", f"{FILL_IN}: of the weights and of the data"),
    ]


def _figures(run: Run, figures: Sequence[Line]) -> str:
    splits = [split for split in SPLITS if any(split in line.values for line in figures)]
    if not splits:
        return "None were logged."
    heading = ["figure", *(SPLITS[split] for split in splits), "unit", "what it is"]
    rows = [
        [
            _code(line.name),
            *(_text(str(line.values.get(split, ""))) for split in splits),
            line.entry.unit,
            _text(line.entry.meaning),
        ]
        for line in figures
    ]
    explained = "Of `validation` these are the last of the training"
    explained += ", of `test` those of the checkpoint that was tested." if "test" in splits else "; it was not tested."
    return f"{_table(heading, rows)}\n\n{explained} Errors are standard errors."


def _shown(run: Run) -> str:
    """The sentences, what is amiss first."""
    found = sorted(conclusions(run.figures), key=lambda each: each.verdict == GOOD)
    if not found:
        return f"No diagnostic ran that says anything of its limits. {FILL_IN}: what they are."
    return "\n".join(f"- **{each.title}** ({_text(each.verdict)}): {_text(each.sentence)}" for each in found)


def _python(file: Path) -> str:
    return f"import vae_lightning as vl\n\nmodel = vl.load({file.name!r})"


def _sha256(file: Path) -> str:
    with file.open("rb") as content:
        return hashlib.file_digest(content, "sha256").hexdigest()


def _size(size: int) -> str:
    return f"{size / 1e6:.1f} MB" if size >= 1e5 else f"{size / 1e3:.1f} kB"


def _table(heading: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    if not rows:
        return ""
    return "\n".join(f"| {' | '.join(line)} |" for line in (heading, ["---"] * len(heading), *rows))


def _text(value: str) -> str:
    """As text alone, on one line."""
    return re.sub(r"([\\`*_\[\]<>|#])", r"\\\1", " ".join(value.split())).replace("&", "&amp;")


def _code(value: str) -> str:
    return f"`{re.sub(r'[`|]', '', ' '.join(value.split()))}`"


def _fence(text: str, language: str) -> str:
    ticks = "`" * max(3, *(len(run) + 1 for run in [*re.findall(r"`+", text), ""]))
    return f"{ticks}{language}\n{text}\n{ticks}"
