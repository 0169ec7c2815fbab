"""Folders for reports: a run by its files alone, which nobody ran; a study; and what a page holds."""

from __future__ import annotations

import json
from collections.abc import Mapping
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import yaml
from PIL import Image

CONFIG = {
    "seed_everything": 3,
    "model": {
        "class_path": "vae_lightning.models.GaussianVAE",
        "init_args": {"latent_dim": 2, "objective": {"class_path": "vae_lightning.objectives.ELBO", "init_args": {}}},
    },
    "data": {"class_path": "vae_lightning.data.Digits", "init_args": {"batch_size": 20}},
}


def run_folder(folder: Path, figures: Mapping[str, float | None], rows: str = "", **model: Any) -> Path:
    """The folder of a run that nobody ran: its configuration with these arguments of the model, and its figures."""
    folder.mkdir(parents=True)
    config = json.loads(json.dumps(CONFIG))
    config["model"]["init_args"] |= model
    (folder / "config.yaml").write_text(yaml.safe_dump(config))
    (folder / "metrics.json").write_text(json.dumps(figures))
    if rows:
        (folder / "metrics.csv").write_text(rows)
    return folder


def study_folder(folder: Path, table: str) -> Path:
    """The folder of a study with this table and one picture."""
    folder.mkdir(parents=True)
    (folder / "results.json").write_text("[]")
    (folder / "table.md").write_text(table)
    picture(folder / "figure.png")
    return folder


def picture(file: Path, width: int = 4, height: int = 3) -> Path:
    """A gray picture."""
    file.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.full((height, width, 3), 128, np.uint8)).save(file)
    return file


class Page(HTMLParser):
    """What a browser would see in a page: its tags with their attributes, and its text."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str]]] = []
        self.text = ""
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, {name: value or "" for name, value in attrs}))

    def handle_data(self, data: str) -> None:
        self.text += data

    def all(self, tag: str) -> list[dict[str, str]]:
        """The attributes of all tags of this name."""
        return [attributes for name, attributes in self.tags if name == tag]
