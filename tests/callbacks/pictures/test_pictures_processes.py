"""Pictures made by two real processes (gloo) are those of one."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import numpy as np
import torch
from lightning.pytorch.strategies import DDPStrategy
from PIL import Image
from support.models import events, trainer

from vae_lightning.callbacks import Interpolations, LatentScatter, PseudoInputs, Reconstructions, Samples, Traversals
from vae_lightning.data import Digits
from vae_lightning.estimators import Reparameterised
from vae_lightning.families import Bernoulli
from vae_lightning.models import GaussianVAE
from vae_lightning.objectives import ELBO
from vae_lightning.priors import VampPrior

KINDS = (Samples, Reconstructions, Interpolations, Traversals, LatentScatter, PseudoInputs)
SHAPE = (1, 8, 8)


def pictures(folder: Path, **settings: Any) -> dict[str, np.ndarray]:
    """The pixels of every picture of a test of 359 digits, in batches of 150, 150 and 59."""
    torch.manual_seed(0)
    prior = VampPrior(3, SHAPE, 9, pseudo_inputs=torch.rand(9, *SHAPE))
    module = GaussianVAE(3, Bernoulli(SHAPE, intensities=True), objective=ELBO(Reparameterised()), prior=prior)
    callbacks = [kind() for kind in KINDS if kind is not LatentScatter]
    run = trainer(*callbacks, LatentScatter(n=200), folder=folder, **settings)
    run.test(module, datamodule=Digits(eval_batch_size=150), verbose=False)
    written = events(folder / "version_0")
    return {
        tag: np.asarray(Image.open(io.BytesIO(written.Images(tag)[0].encoded_image_string)))
        for tag in written.Tags()["images"]
    }


def test_two_processes_draw_what_one_does(tmp_path: Path) -> None:
    """But for rounding to a gray level."""
    strategy = DDPStrategy(process_group_backend="gloo", start_method="fork")
    two, one = pictures(tmp_path / "two", strategy=strategy, devices=2), pictures(tmp_path / "one")
    assert len(one) == len(KINDS)
    assert one.keys() == two.keys()
    for tag, seen in one.items():
        assert seen.shape == two[tag].shape
        assert np.abs(seen.astype(int) - two[tag]).max() <= 1, tag
