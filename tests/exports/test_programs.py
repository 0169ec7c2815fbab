"""Programs of encoders and decoders: read back by torch alone, they give the model's own numbers, for any batch."""

from __future__ import annotations

import importlib.util
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
from support.models import hashing, trainer

from vae_lightning.estimators import DisARM
from vae_lightning.exports import export
from vae_lightning.exports.programs import programs
from vae_lightning.families import Bernoulli, Normal
from vae_lightning.models import RBM, VAE, GaussianVAE
from vae_lightning.nn import MLP, Convolutions, Deconvolutions
from vae_lightning.objectives import ELBO

PIXELS = Bernoulli((1, 8, 8))
NETWORK = partial(MLP, hidden=[8])


MODELS: dict[str, Any] = {
    "gaussian": lambda: GaussianVAE(3, PIXELS, NETWORK, NETWORK),
    "images": lambda: GaussianVAE(3, PIXELS, Convolutions, Deconvolutions),
    "reals": lambda: GaussianVAE(2, Normal((5,)), NETWORK, NETWORK),
    "bits": lambda: VAE(Bernoulli(5), PIXELS, NETWORK, NETWORK, ELBO(DisARM())),
    "rbm": lambda: RBM(PIXELS, Bernoulli(4)),
}


def saved(model: Any, folder: Path) -> Path:
    """A checkpoint of an untrained model."""
    run = trainer(folder=folder, max_epochs=0)
    run.strategy.connect(model)
    run.save_checkpoint(folder / "model.ckpt", weights_only=True)
    return folder / "model.ckpt"


@pytest.mark.parametrize("kind", MODELS)
def test_a_program_gives_the_models_numbers_for_batches_of_any_size(kind: str, tmp_path: Path) -> None:
    torch.manual_seed(0)
    model = MODELS[kind]()
    encoder, decoder = (
        torch.export.load(file).module() for file in export(saved(model, tmp_path), tmp_path / "model.pt2")
    )
    model.eval()
    for size in (1, 2, 7):
        x = torch.rand(size, *model.observed_shape).round()
        with torch.no_grad():
            z = model.posterior(x).mean
            assert torch.equal(encoder(x), z)
            assert torch.equal(decoder(z), model.likelihood(z).mean)


def test_a_model_of_double_precision_has_programs_of_it() -> None:
    model = MODELS["rbm"]().double()
    x = torch.ones(3, *model.observed_shape, dtype=torch.float64)
    assert torch.equal(programs(model)["encoder"].module()(x), model.posterior(x).mean)


def test_models_of_documents_have_none(tmp_path: Path) -> None:
    with pytest.raises(TypeError, match=r"HashingVAE is none: export a checkpoint"):
        export(saved(hashing(), tmp_path), tmp_path / "model.pt2")
    assert not list(tmp_path.glob("*.pt2"))


@pytest.mark.skipif(
    importlib.util.find_spec("onnx") is not None and importlib.util.find_spec("onnxscript") is not None,
    reason="onnx and onnxscript are installed",
)
def test_what_onnx_needs_is_named(tmp_path: Path) -> None:
    with pytest.raises(ImportError, match=r"--to .*onnx needs onnx and onnxscript: pip install onnx onnxscript"):
        export(saved(MODELS["reals"](), tmp_path), tmp_path / "model.onnx")
    assert [path.name for path in tmp_path.iterdir() if path.is_file()] == ["model.ckpt"]
