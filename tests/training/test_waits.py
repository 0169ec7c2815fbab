"""No step that logs nothing waits for the device, shown without one: on `meta`, which has shapes and no numbers."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
from support.shipped import ROOT, SMALL, options
from support.waits import Waits, Within, meta_has_what_devices_have

import vae_lightning as vl
from vae_lightning.counts import Counts
from vae_lightning.models.reproducible import ReproducibleModule
from vae_lightning.training import TrainingCLI

ON_META = [
    *["--trainer.accelerator", "auto", "--trainer.devices", "auto", "--trainer.limit_val_batches", "0"],
    *("--trainer.strategy", '{"class_path": "support.waits.OnMeta"}'),
    *["--trainer.enable_checkpointing", "false", "--trainer.logger", "false", "--trainer.log_every_n_steps", "1000"],
    *["--trainer.enable_model_summary", "false", "--trainer.enable_progress_bar", "false"],
]
UP_TO = {
    "libi/ensemble": 9,  # where a phase ends, each member is asked which constraints it fails
    "libi/aggressive": 14,  # where a window ends, its losses are compared with those of the last, to go on by
}
ALIKE = {  # but for sizes and worlds
    *("newsgroups/16bit", "newsgroups/32bit", "newsgroups/64bit", "libi/linear", "libi/gaussian", "libi/mobius"),
    *("libi/vae", "images/faces", "text"),
}
WANTS_FIGURES = {"table", "text", "images", "images/faces", "libi/ensemble"}  # EarlyStopping, MemberCheckpoints


def on_meta(name: str, folder: Path) -> Waits:
    """What waits in steps 1 to 17 of an experiment, its callbacks included; an error where it needs a number."""
    more = ["--trainer.callbacks", "null"] if name in WANTS_FIGURES else []
    more += (
        ["--model.optimizer.fused", "false"] if "fused: true" in (ROOT / "configs" / f"{name}.yaml").read_text() else []
    )
    waits = Waits("meta")
    waits.on = False
    words = [*options(name, folder), *ON_META, *more, "--trainer.default_root_dir", str(folder / "out")]
    with waits, meta_has_what_devices_have():
        TrainingCLI.run(["fit", *words], observers=[Within(waits, range(1, UP_TO.get(name, 18)))])
    return waits


def test_every_experiment_that_ships_is_among_them() -> None:
    shipped = {
        path.relative_to(ROOT / "configs").with_suffix("").as_posix() for path in (ROOT / "configs").rglob("*.yaml")
    }
    assert {name for name in shipped if not name.startswith("trainer/")} == SMALL.keys()


@pytest.mark.parametrize("name", [name for name in SMALL if name not in ALIKE])
def test_no_step_of_an_experiment_waits_in_lightnings_own_loop(name: str, tmp_path: Path) -> None:
    waits = on_meta(name, tmp_path)
    assert waits.seen > 100
    assert not waits.found


X = torch.arange(3.0)


@pytest.mark.parametrize(
    "needs",
    [
        lambda: X.sum().item(),
        lambda: bool(X.sum() > 0),
        lambda: X[X > 0],
        X.nonzero,
        lambda: torch.equal(X, X + 1),
        lambda: torch.bincount(X.long()),
        lambda: torch.repeat_interleave(X.long()),
        lambda: X.to("meta"),
        lambda: torch.zeros(3, device="meta").copy_(X),
    ],
)
def test_what_waits_is_found(needs: Callable[[], Any]) -> None:
    """A number that only the device has, also as the size of a result, and a copy from one to another."""
    with Waits("cpu") as waits:
        needs()
    assert sum(waits.found.values()) == 1


def test_what_does_not_wait_is_not() -> None:
    with Waits("cpu") as waits:
        X.to("meta", non_blocking=True)
        torch.zeros(3).copy_(X)[X.long()].add_(X.sum())
        torch.repeat_interleave(X.long(), output_size=3)
    assert waits.seen
    assert not waits.found


SMALL_NET = partial(vl.nn.MLP, hidden=[4])
BITS, REALS = vl.Bernoulli(6), vl.Normal(6, scale=0.5)
MODELS: dict[str, Callable[[], ReproducibleModule]] = {
    "GaussianVAE": lambda: vl.GaussianVAE(2, REALS, SMALL_NET, SMALL_NET),
    "VAE": lambda: vl.VAE(vl.Bernoulli(3), BITS, SMALL_NET, SMALL_NET, vl.ELBO(vl.DisARM())),
    "HVAE": lambda: vl.HVAE([2, 2], BITS, SMALL_NET, SMALL_NET, SMALL_NET, SMALL_NET),
    "MRFVAE": lambda: vl.MRFVAE(vl.BernoulliMRF(2, 2), BITS, encoder=SMALL_NET, decoder=SMALL_NET),
    "HashingVAE": lambda: vl.HashingVAE(3, 6),
    "RBM": lambda: vl.RBM(BITS, vl.Bernoulli(3)),
    "RBM, persistent": lambda: vl.RBM(BITS, vl.Bernoulli(3), vl.PersistentContrastiveDivergence()),
    "RBM, exact": lambda: vl.RBM(BITS, vl.Bernoulli(3), vl.EnumeratedLikelihood()),
    "RBM of numbers": lambda: vl.RBM(vl.Normal(6, scale=1.0), vl.Bernoulli(3)),
    "RBM of two Normals": lambda: vl.RBM(vl.Normal(6, scale=1.0), vl.Normal(2, scale=1.0)),
    "LiBI": lambda: vl.LiBI(2, REALS, SMALL_NET, SMALL_NET, steps=4),
    "IWAE": lambda: vl.GaussianVAE(2, BITS, SMALL_NET, SMALL_NET, vl.IWAE(vl.Reparameterised(5))),
    "DReG": lambda: vl.GaussianVAE(2, BITS, SMALL_NET, SMALL_NET, vl.DReG(vl.Reparameterised(5))),
    "FreeBits": lambda: vl.GaussianVAE(2, BITS, SMALL_NET, SMALL_NET, vl.FreeBits(vl.Reparameterised(), 0.1)),
    "ForwardKL": lambda: vl.GaussianVAE(2, BITS, SMALL_NET, SMALL_NET, vl.ForwardKL()),
    "Adversarial": lambda: vl.GaussianVAE(2, REALS, objective=vl.Adversarial(SMALL_NET, penalty=vl.R1())),
    **{
        type(estimator).__name__: partial(vl.VAE, vl.Bernoulli(3), BITS, SMALL_NET, SMALL_NET, vl.ELBO(estimator))
        for estimator in (vl.Enumerated(), vl.Reinforce(), vl.LeaveOneOut(2), vl.ARM())
    },
}
NEEDS_A_NUMBER: dict[str, str] = {
    "RBM of two Normals": "whether W makes a density is asked where figures are read, and in evaluation",
}


@pytest.mark.parametrize("name", MODELS)
def test_losses_and_evaluations_need_no_number(name: str) -> None:
    """Whatever they compute has shapes alone; those that need more are named, with the reason."""
    model = MODELS[name]().to("meta")
    x = (torch.arange(30.0).reshape(5, 6) % 2).to("meta")
    batch = (
        Counts.from_dense(torch.ones(5, 6)).to("meta") if name == "HashingVAE" else x,
        torch.zeros(5, device="meta"),
    )
    with meta_has_what_devices_have():
        model.training_loss(batch, 0, False)[0].backward()
        if name in NEEDS_A_NUMBER:
            with pytest.raises(RuntimeError, match="meta"):
                model.loss(batch, 0)
            return
        for loss in (model.loss(batch, 0)[0], model.loss(batch, 3)[0]):
            assert loss.shape == ()
            loss.backward()
        figures = model.figures(model.evaluate(batch, 0))
    assert {tuple(value.shape) for value in figures.values()} == {(5,)}
