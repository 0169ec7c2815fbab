"""A run of the command that takes a second: a small VAE of binary digits, two epochs of 10 steps."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
import yaml

_MLP = {"class_path": "vae_lightning.nn.MLP", "init_args": {"hidden": [16]}}
CONFIG: dict[str, Any] = {
    "trainer": {"max_epochs": 2, "accelerator": "cpu", "devices": 1, "enable_progress_bar": False,
                "enable_model_summary": False, "log_every_n_steps": 5},
    "model": {
        "class_path": "vae_lightning.models.GaussianVAE",
        "init_args": {
            "latent_dim": 2,
            "observed": {"class_path": "vae_lightning.families.Bernoulli", "init_args": {"event_shape": [1, 8, 8]}},
            "encoder": _MLP,
            "decoder": _MLP,
        },
    },
    "data": {
        "class_path": "vae_lightning.data.Digits",
        "init_args": {"binarisation": {"class_path": "vae_lightning.data.StaticBinarisation"}, "val_size": 61,
                      "test_size": 1536, "batch_size": 20, "eval_batch_size": 256},
    },
}  # fmt: skip


def tiny(folder: Path) -> Path:
    """The configuration as a file in this folder."""
    path = folder / "tiny.yaml"
    folder.mkdir(parents=True, exist_ok=True)
    path.write_text(yaml.safe_dump(CONFIG))
    return path


def saved(path: Path) -> dict[str, Any]:
    """What a checkpoint holds."""
    return torch.load(path, weights_only=True)
