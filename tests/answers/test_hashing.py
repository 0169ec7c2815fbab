"""Hashing: a HashingVAE's codes without Lightning are its own, bit for bit; it takes what that takes, and no more."""

from __future__ import annotations

import inspect
from pathlib import Path
from typing import Any

import pytest
import torch
from support.crafted import spec, written
from support.kinds import trained

from vae_lightning.answers.hashing import Hashing
from vae_lightning.distributions import parameters
from vae_lightning.loading import load
from vae_lightning.models import HashingVAE
from vae_lightning.search.encoder import Encoder
from vae_lightning.trust import read_unbuilt
from vae_lightning.trust.slots import slots

SHIPPED = Path("checkpoints/newsgroups-8bit.ckpt")
TEXTS = ["the space shuttle orbits", "god and faith", "windows drivers for a graphics card", "space space hockey"]


@pytest.mark.parametrize("of", ["shipped", "trained"])
def test_its_codes_are_those_of_the_model_bit_for_bit(of: str) -> None:
    path = SHIPPED if of == "shipped" else trained("HashingVAE").checkpoint
    model, hashing = load(path), Hashing.of(read_unbuilt(path), path)
    assert isinstance(model, HashingVAE)
    assert hashing is not None
    x = hashing.read_by.read(TEXTS if of == "shipped" else trained("HashingVAE").data).observations.x
    assert torch.equal(hashing.hashes(x), model.hashes(x))
    logits = [parameters(each.model.encoder(x))[0] for each in (hashing, model)]
    assert torch.equal(*logits)
    assert logits[0].std() > 0
    assert hashing.state_dict().keys() == model.state_dict().keys()


def test_its_arguments_take_what_a_hashingvae_takes() -> None:
    ours, theirs = slots(Hashing), slots(HashingVAE)
    names = list(inspect.signature(HashingVAE.__init__).parameters)
    assert list(inspect.signature(Hashing.__init__).parameters) == names
    for name in names[1:]:
        wider = {kind for kind in theirs[name].returned if issubclass(kind, ours[name].returned or ())}
        assert set(ours[name].kinds) == set(theirs[name].kinds)
        assert set(ours[name].returned) <= set(theirs[name].returned)
        assert wider == set(theirs[name].returned)


CHANGES: dict[str, dict[str, Any]] = {
    "another class": {"_class_path": "vae_lightning.models.VAE"},
    "built by another": {"_instantiator": "os.system"},
    "an objective that is none": {"objective": spec("torch.nn.Linear", in_features=1, out_features=1)},
    "a decoder of a stranger's": {"decoder": spec("subprocess.Popen", args=["true"])},
    "other weights": {"num_bits": 7},
    "no number": {"num_bits": "many"},
    "an argument too many": {"latent_dim": 2},
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_it_leaves_to_load_what_it_does_not_know_to_be_sound(change: dict[str, Any], tmp_path: Path) -> None:
    sound = torch.load(trained("HashingVAE").checkpoint, weights_only=True)
    changed = sound | {"hyper_parameters": sound["hyper_parameters"] | change}
    path = written(tmp_path / "model.ckpt", **changed)
    assert Hashing.of(read_unbuilt(path), path) is None
    with pytest.raises(ValueError, match=path.name):
        Encoder.read(path)


def test_search_reads_by_it() -> None:
    encoder = Encoder.read(SHIPPED)
    assert isinstance(encoder.model, Hashing)
    assert (encoder.kind, encoder.num_bits, len(encoder.vocabulary)) == ("HashingVAE", 8, 10_000)
