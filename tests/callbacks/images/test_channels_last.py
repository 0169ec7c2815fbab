"""ChannelsLast: the same training to rounding, laid out otherwise; a run that is resumed ends with the same bits."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from lightning.pytorch import Callback
from support.models import Save, trainer
from torch import Tensor

import vae_lightning as vl
from vae_lightning.callbacks import ChannelsLast

IMAGE = (3, 8, 8)


def fitted(*callbacks: Callback, ckpt_path: Path | None = None, **changes: Any) -> vl.GaussianVAE:
    """A small VAE of pictures of noise, four steps of eight."""
    torch.manual_seed(0)
    networks = {"encoder": partial(vl.nn.DCGANEncoder, width=4), "decoder": partial(vl.nn.DCGANGenerator, width=4)}
    module = vl.GaussianVAE(2, vl.Normal(IMAGE, 0.5), **networks)
    pictures = np.random.default_rng(0).uniform(-1, 1, (40, *IMAGE)).astype(np.float32)
    data = vl.Arrays(pictures, batch_size=8, val_size=8, test_size=8)
    run = trainer(*callbacks, **{"max_epochs": -1, "max_steps": 4, "enable_progress_bar": False} | changes)
    run.fit(module, datamodule=data, ckpt_path=ckpt_path)
    return module


def kernels(module: vl.GaussianVAE) -> list[Tensor]:
    """Of more than one channel each way, and larger than a pixel: of others both layouts are one."""
    return [p for p in module.parameters() if p.ndim == 4 and p.shape[1] > 1 and p.shape[-1] > 1]


def test_kernels_have_the_channels_last_and_training_is_the_same_to_rounding() -> None:
    plain, laid_out = fitted(), fitted(ChannelsLast())
    last = torch.channels_last
    assert len(kernels(laid_out)) == 5
    assert all(each.is_contiguous(memory_format=last) and not each.is_contiguous() for each in kernels(laid_out))
    assert all(each.is_contiguous() for each in kernels(plain))
    for name, value in plain.state_dict().items():
        torch.testing.assert_close(laid_out.state_dict()[name], value, rtol=1e-3, atol=1e-4)


def test_a_resumed_run_ends_with_the_same_bits(tmp_path: Path) -> None:
    saved = tmp_path / "saved.ckpt"
    whole = fitted(ChannelsLast(), Save(saved, 2))
    resumed = fitted(ChannelsLast(), ckpt_path=saved)
    assert all(torch.equal(value, resumed.state_dict()[name]) for name, value in whole.state_dict().items())
