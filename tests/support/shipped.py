"""Every experiment that ships, made small: its name -> options by which it runs in seconds, on data made here."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import yaml
from PIL import Image

from support.archive import write_miniature
from support.faces import NAMES, write_faces

ROOT = Path(__file__).parents[2]
_WORDS = ("river", "sea", "house", "open", "wind")


def _miniature(folder: Path) -> Path:
    return write_miniature(folder)


def _texts(folder: Path) -> Path:
    rng = np.random.default_rng(0)
    rows = [" ".join(rng.choice(_WORDS, rng.integers(3, 9))) for _ in range(200)]
    (folder / "texts.csv").write_text("\n".join(["text", *rows]))
    return folder / "texts.csv"


def _table(folder: Path) -> Path:
    x = np.random.default_rng(0).normal([1, 0, 5], [1, 2, 3], (200, 3))
    cells = [
        ["" if column == row % 40 else f"{value:.4f}" for column, value in enumerate(x[row])] for row in range(200)
    ]
    (folder / "rows.csv").write_text("\n".join(["age,dose,weight", *map(",".join, cells)]))
    return folder / "rows.csv"


def _photos(folder: Path) -> Path:
    (folder / "photos").mkdir()
    bright = np.random.default_rng(0).integers(0, 256, (40, 16, 16, 3), np.uint8)
    for number, pixels in enumerate(bright):
        Image.fromarray(pixels).save(folder / "photos" / f"{number}.png")
    return folder / "photos"


def _faces(folder: Path) -> Path:
    return write_faces(folder / "faces", 16)


_ARCHIVE = "--data.hashes null --data.num_words 80 --data.batch_size 16 --data.eval_batch_size 8 --data.val_size 20"
_DIGITS = "--data.val_size 61 --data.test_size 1536 --data.batch_size 20"
_POINTS = "--data.steps 10 --data.data.sizes [100,20,20]"
_PIXELS = "--data.size 16 --data.batch_size 4"
_TINY_FACES = "--data.size 16 --data.val_size 4 --data.test_size 4 --data.batch_size 2"
_FACES = f"{_TINY_FACES} --model.encoder.width 4"


@dataclass(frozen=True)
class Small:
    """What an experiment needs to run in seconds."""

    options: str
    files: Callable[[Path], Path] | None = None
    """Writes its data below a folder; their path."""
    config: Callable[[Path, int], Path] | None = None
    """Writes its configuration, where no option reaches what has to be smaller; its path."""


def _ensemble(folder: Path, steps: int) -> Path:
    described = yaml.safe_load((ROOT / "configs" / "libi" / "ensemble.yaml").read_text())
    described["model"]["init_args"]["member"]["init_args"]["steps"] = steps
    (data,) = described["data"]["init_args"]["members"]
    data["init_args"]["steps"] = 10
    data["init_args"]["data"]["init_args"]["sizes"] = [100, 20, 20]
    (folder / "ensemble.yaml").write_text(yaml.safe_dump(described))
    return folder / "ensemble.yaml"


_LIBI = Small(_POINTS + " --model.steps {steps} --model.repeats 1")
SMALL: dict[str, Small] = {
    **dict.fromkeys(
        [f"newsgroups/{bits}bit" for bits in (8, 16, 32, 64)], Small(f"{_ARCHIVE} --model.num_words 80", _miniature)
    ),
    **dict.fromkeys([f"libi/{name}" for name in ("linear", "cubic", "gaussian", "mobius")], _LIBI),
    **dict.fromkeys([f"libi/{name}" for name in ("vae", "aggressive")], Small(_POINTS)),
    **dict.fromkeys([f"digits/{name}" for name in ("vae", "vamp", "hvae", "convolutional")], Small(_DIGITS)),
    **dict.fromkeys(["mixture", "mixture-mrf"], Small("--data.sizes [2048,100,100] --data.batch_size 32")),
    "libi/annealed": Small(_POINTS + " --model.objective.beta.steps {steps}"),
    "libi/lagging": Small(_POINTS + " --model.objective.steps {steps} --model.objective.segments 2"),
    "libi/ensemble": Small("--model.seeds 3 --data.times 3", config=_ensemble),
    "linear": Small("--data.sizes [1000,100,100]"),
    "gan/ring": Small("--data.sizes [1024,100,100] --model.steps {steps}"),
    "digits/pixel-hvae": Small(f"{_DIGITS} --model.objective.init_args.beta.init_args.steps 5"),
    "gan/digits": Small(f"{_DIGITS} --model.decoder.channels [8,4]"),
    "rbm/digits": Small(_DIGITS),
    "rbm/newsgroups": Small(f"{_ARCHIVE} --model.visible.num_words 80 --model.hidden.event_shape 4", _miniature),
    "text": Small("--data.batch_size 16", _texts),
    "table": Small("--data.val_size 20 --data.test_size 20", _table),
    "images": Small(f"{_PIXELS} --model.encoder.channels [4,4] --model.decoder.network.channels [4,4]", _photos),
    "images/faces": Small(
        f"{_PIXELS} --data.crop 16 --model.encoder.channels [4,4] --model.decoder.network.channels [4,4]", _photos
    ),
    "celeba/features": Small(
        f"{_TINY_FACES} --model.image_shape [3,16,16] --model.network.widths [4,4] "
        f"--model.task.names [{','.join(NAMES)}]",
        _faces,
    ),
    "celeba/vae": Small(f"{_FACES} --model.decoder.network.width 4", _faces),
    "celeba/gan": Small(f"{_FACES} --model.decoder.width 4 --model.objective.discriminator.width 4", _faces),
}


def options(name: str, folder: Path, steps: int = 20) -> Sequence[str]:
    """`--config NAME` and what makes it a small run of so many steps, with files of data below a folder."""
    small = SMALL[name]
    path = [] if small.files is None else ["--data.path", str(small.files(folder))]
    config = ROOT / "configs" / f"{name}.yaml" if small.config is None else small.config(folder, steps)
    shortened = small.options.replace("{steps}", str(steps)).split()
    return ["--config", str(config), *shortened, *path, "--trainer.max_steps", str(steps), "--trainer.max_epochs", "-1"]
