"""Freeze: a part of the model does not train before its step, and a resumed run agrees."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

import lightning.pytorch as pl
import pytest
import torch
from lightning.pytorch.callbacks import ModelCheckpoint
from support.models import trainer
from torch import Tensor

from vae_lightning.callbacks import Freeze
from vae_lightning.data import Synthetic
from vae_lightning.data.processes import GaussianMixture
from vae_lightning.estimators import Enumerated
from vae_lightning.families import Bernoulli, Normal
from vae_lightning.models import VAE
from vae_lightning.nn import MLP, OneHotLinear
from vae_lightning.objectives import ELBO


class Weights(pl.Callback):
    """Keeps the decoder's weight after every step."""

    def __init__(self) -> None:
        self.seen: dict[int, Tensor] = {}

    def on_train_batch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule, *_: Any) -> None:
        self.seen[trainer.global_step] = pl_module.model.decoder.network.weight.detach().clone()


def vae() -> VAE:
    torch.manual_seed(0)
    # weight decay would move a parameter that is merely given no gradient of its own
    optimizer = partial(torch.optim.AdamW, lr=0.01, weight_decay=0.1)
    return VAE(Bernoulli(2), Normal(2, 1.0), MLP, OneHotLinear, ELBO(Enumerated()), optimizer=optimizer)


def fit(module: VAE, until: int, steps: int, folder: Path, resume: Path | None = None) -> dict[int, Tensor]:
    weights, every = Weights(), ModelCheckpoint(folder, "{step}", save_top_k=-1, every_n_train_steps=1)
    freeze, length = Freeze("model.decoder", until), {"max_epochs": None, "max_steps": steps, "limit_val_batches": 0}
    trainer(freeze, weights, every, default_root_dir=folder, **length).fit(
        module, Synthetic(GaussianMixture(), (64, 1, 1), batch_size=8), ckpt_path=resume
    )
    return weights.seen


def test_the_part_is_fixed_before_the_step_and_trains_from_it_on(tmp_path: Path) -> None:
    module = vae()
    before = module.model.decoder.network.weight.detach().clone()
    encoder = module.model.encoder.network.output.weight.detach().clone()
    seen = fit(module, until=3, steps=5, folder=tmp_path)
    assert [torch.equal(before, seen[step]) for step in range(1, 6)] == [True, True, True, False, False]
    assert not torch.equal(encoder, module.model.encoder.network.output.weight)


@pytest.mark.parametrize("interrupted", [2, 3, 4])
def test_a_resumed_run_repeats_an_uninterrupted_one(tmp_path: Path, interrupted: int) -> None:
    whole = fit(vae(), until=3, steps=6, folder=tmp_path)
    checkpoint = tmp_path / f"step={interrupted}.ckpt"
    resumed = fit(vae(), until=3, steps=6, folder=tmp_path / "resumed", resume=checkpoint)
    assert min(resumed) == interrupted + 1
    assert torch.equal(whole[6], resumed[6])


def test_it_leaves_the_model_as_it_was_found(tmp_path: Path) -> None:
    module = vae()
    module.model.encoder.network.output.bias.requires_grad_(False)
    fit(module, until=10, steps=2, folder=tmp_path)
    assert all(parameter.requires_grad for parameter in module.model.decoder.parameters())
    assert not module.model.encoder.network.output.bias.requires_grad


def test_a_name_that_is_no_submodule_is_told_with_those_there_are(tmp_path: Path) -> None:
    run = trainer(Freeze("decoder", 3), default_root_dir=tmp_path, max_steps=1)
    with pytest.raises(ValueError, match=r"no submodule 'decoder' to freeze; it has .*model\.decoder"):
        run.fit(vae(), Synthetic(GaussianMixture(), (64, 1, 1)))


def test_a_negative_step_is_refused() -> None:
    with pytest.raises(ValueError, match="cannot be negative"):
        Freeze("model.decoder", -1)
