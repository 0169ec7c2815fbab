"""Pictures as files in a run's folder, beside those in TensorBoard."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import lightning.pytorch as pl
import numpy as np
import pytest
from lightning.pytorch.loggers import CSVLogger
from PIL import Image
from support.models import events, trainer
from torch.utils.tensorboard.summary import image

from vae_lightning.callbacks import ActiveUnits, Samples
from vae_lightning.callbacks.gallery import KEPT, show
from vae_lightning.data import Digits, StaticBinarisation
from vae_lightning.families import Bernoulli
from vae_lightning.models import GaussianVAE
from vae_lightning.nn import MLP

GRAY = np.full((2, 3, 3), 128, np.uint8)


def drawn(folder: Path) -> list[str]:
    return sorted(path.name for path in (folder / "pictures").iterdir())


def evaluated(run: pl.Trainer) -> Path:
    """The folder of a run that an untrained model is tested in."""
    model = GaussianVAE(2, Bernoulli((1, 8, 8)), MLP, MLP)
    run.test(model, Digits(StaticBinarisation()), verbose=False)
    return Path(str(run.log_dir))


def test_a_file_has_the_pixels_that_tensorboard_has(tmp_path: Path) -> None:
    folder = evaluated(trainer(Samples(n=4), ActiveUnits(), folder=tmp_path))
    assert drawn(folder) == ["test-active_units-00000000.png", "test-samples-00000000.png"]
    for name in ("active_units", "samples"):
        (logged,) = events(folder).Images(f"test/{name}")
        one, other = (
            Image.open(io.BytesIO(logged.encoded_image_string)),
            Image.open(folder / "pictures" / f"test-{name}-00000000.png"),
        )
        assert np.array_equal(np.asarray(one), np.asarray(other))
        torchs = image("", np.asarray(one), dataformats="HWC").value[0].image
        assert logged.encoded_image_string == torchs.encoded_image_string
        assert (logged.height, logged.width) == (torchs.height, torchs.width)


def test_a_run_without_tensorboard_has_its_pictures_too(tmp_path: Path, recwarn: pytest.WarningsRecorder) -> None:
    folder = evaluated(trainer(Samples(n=4), logger=CSVLogger(tmp_path, name="")))
    assert drawn(folder) == ["test-samples-00000000.png"]
    assert not [warning for warning in recwarn if "not kept" in str(warning.message)]


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Draws at a step of a training."""
    trains = trainer(logger=CSVLogger(tmp_path, name=""))
    trains.state.fn = "fit"  # type: ignore[assignment]

    def draw(step: int, name: str = "samples", fn: str = "fit") -> list[str]:
        trains.state.fn = fn  # type: ignore[assignment]
        monkeypatch.setattr("vae_lightning.callbacks.gallery.logged_step", lambda _: step)
        show(trains, "val", name, GRAY)
        return drawn(Path(str(trains.log_dir)))

    return draw


def test_the_last_ones_stay_in_order(run: Any) -> None:
    for step in range(0, 1000 * KEPT, 500):
        names = run(step)
    assert len(names) == KEPT
    assert names[-1] == f"val-samples-{1000 * KEPT - 500:08}.png"


def test_a_run_that_went_back_leaves_none_of_what_it_drew_after(run: Any) -> None:
    for step in (10, 20, 30):
        run(step)
    run(30, "samples-of-another")
    assert run(15) == [f"val-samples-000000{n}.png" for n in (10, 15)] + ["val-samples-of-another-00000030.png"]


def test_evaluating_an_earlier_checkpoint_removes_nothing(run: Any) -> None:
    run(30)
    assert run(20, fn="validate") == ["val-samples-00000020.png", "val-samples-00000030.png"]
