"""load: models of every kind, built in Python, come back from a file alone, with the same weights and samples."""

from __future__ import annotations

import copy
import pickle
import subprocess
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import lightning.pytorch as pl
import pytest
import torch
from support.command import command
from support.models import trainer
from torch import nn

import vae_lightning as vl
from vae_lightning.construction.specification import Unspecified, specification
from vae_lightning.data import processes

BITS, POINTS = partial(vl.Bernoulli, (1, 8, 8)), partial(vl.Normal, 2, scale=0.06)
SMALL = partial(vl.nn.MLP, hidden=[8])
BINARY = partial(vl.Digits, vl.ThresholdBinarisation(), val_size=50, test_size=1600, batch_size=49)


def jtex() -> pl.LightningDataModule:
    return vl.FullBatch(vl.Synthetic(processes.LinearJTEx(), [60, 20, 20]), steps=4)


def texts(folder: Path) -> pl.LightningDataModule:
    rows = "\n".join(f"{'river sea ' * (n % 3 + 1)}house{' open' * (n % 2)}" for n in range(40))
    (folder / "t.csv").write_text(f"text\n{rows}\n")
    return vl.Texts(folder / "t.csv", batch_size=8)


KINDS: dict[str, tuple[Callable[[], pl.LightningModule], Callable[[Path], pl.LightningDataModule]]] = {
    "GaussianVAE": (
        lambda: vl.GaussianVAE(
            2, BITS(), SMALL, SMALL, objective=vl.IWAE(vl.Reparameterised(num_samples=2)),
            prior=vl.VampPrior(2, (1, 8, 8), 3), optimizer=partial(torch.optim.Adam, lr=0.01),
            scheduler=partial(torch.optim.lr_scheduler.StepLR, step_size=5),
        ),
        lambda _: BINARY(),
    ),
    "HashingVAE": (
        lambda: vl.HashingVAE(
            4, 4, partial(vl.nn.BagOfWordsMLP, features=vl.nn.WordFrequencies, hidden=[8]), vl.nn.WordLogits,
            objective=vl.ELBO(vl.DisARM(), beta=vl.WarmUp(3)),
        ),
        texts,
    ),
    "HVAE": (lambda: vl.HVAE([2, 2], BITS(), SMALL, SMALL, SMALL, SMALL), lambda _: BINARY()),
    "MRFVAE": (lambda: vl.MRFVAE(vl.BernoulliMRF(3, 2), BITS(), encoder=SMALL, decoder=SMALL), lambda _: BINARY()),
    "RBM": (lambda: vl.RBM(BITS(), vl.Bernoulli(6), vl.PersistentContrastiveDivergence(9, 2)), lambda _: BINARY()),
    "LiBI": (
        lambda: vl.LiBI(2, POINTS(), SMALL, SMALL, vl.CodeLikelihood([vl.HenzeZirkler(2.0), vl.Mean()]), steps=4),
        lambda _: jtex(),
    ),
}  # fmt: skip


@pytest.fixture(params=KINDS, ids=str)
def trained(request: pytest.FixtureRequest, tmp_path: Path) -> tuple[Any, Path]:
    """A model that was built in Python and trained for a few steps, and its checkpoint."""
    build, data = KINDS[request.param]
    model = build()
    fit = trainer(max_epochs=1, default_root_dir=tmp_path)
    fit.fit(model, data(tmp_path))
    fit.save_checkpoint(tmp_path / "model.ckpt")
    return model.eval(), tmp_path / "model.ckpt"


def test_every_kind_of_model_comes_back_from_its_file_alone(trained: tuple[Any, Path]) -> None:
    model, path = trained
    loaded = vl.load(path)
    assert type(loaded) is type(model)
    assert not loaded.training
    theirs, ours = model.state_dict(), loaded.state_dict()
    assert theirs.keys() == ours.keys()
    assert all(torch.equal(theirs[name], ours[name]) for name in theirs)
    assert str(loaded) == str(model)  # the same parts, in the same places
    assert dict(loaded.hparams) == dict(model.hparams)
    samples = []
    for each in (model, loaded):
        torch.manual_seed(3)
        x = each.sample(5)
        samples.append(x.dense(each.num_words) if isinstance(x, vl.data.loaders.Counts) else x)
    assert torch.equal(*samples)


def test_it_goes_on_training_as_the_model_itself(tmp_path: Path) -> None:
    """Objective, optimizer and schedule come back too: a resumed run is the same run."""
    build, data = KINDS["GaussianVAE"]
    model = build()
    first = trainer(max_epochs=1, default_root_dir=tmp_path)
    first.fit(model, data(tmp_path))
    first.save_checkpoint(tmp_path / "one.ckpt")
    ends = []
    for each in (vl.load(tmp_path / "one.ckpt"), build()):
        more = trainer(max_epochs=2, default_root_dir=tmp_path)
        more.fit(each, data(tmp_path), ckpt_path=tmp_path / "one.ckpt", weights_only=True)
        ends.append(each.state_dict())
    assert all(torch.equal(ends[0][name], ends[1][name]) for name in ends[0])


def test_a_run_of_the_command_is_loaded_by_its_folder(tmp_path: Path) -> None:
    observed = "{class_path: vae_lightning.families.Bernoulli, init_args: {event_shape: [1, 8, 8]}}"
    command(
        "fit", "--model", "vae_lightning.models.GaussianVAE", "--model.latent_dim", "2", "--model.observed", observed,
        "--data", "vae_lightning.data.Digits", "--data.binarisation", "vae_lightning.data.ThresholdBinarisation",
        "--trainer.max_epochs", "1", "--trainer.logger.save_dir", tmp_path, "--trainer.accelerator", "cpu",
    )  # fmt: skip
    model = vl.load(tmp_path / "version_0")
    assert isinstance(model, vl.GaussianVAE)
    assert model.sample(3).shape == (3, 1, 8, 8)


# -- what a file cannot say ------------------------------------------------------------------------------------------


MINE = __name__


class Own(vl.nn.MLP):
    """A network of somebody's own."""


def saved(model: pl.LightningModule, folder: Path) -> Path:
    fit = trainer(max_epochs=1, default_root_dir=folder)
    fit.fit(model, BINARY())
    fit.save_checkpoint(folder / "own.ckpt")
    return folder / "own.ckpt"


def test_what_a_file_cannot_say_is_named(tmp_path: Path) -> None:
    path = saved(vl.GaussianVAE(2, BITS(), lambda x, n: vl.nn.MLP(x, n, [4])), tmp_path)
    with pytest.raises(
        ValueError, match="it was given observed, encoder as objects, which a file cannot say: load it by"
    ):
        vl.load(path)
    given = {"observed": BITS(), "encoder": lambda x, n: vl.nn.MLP(x, n, [4])}
    assert vl.GaussianVAE.load_from_checkpoint(path, **given).sample(2).shape == (2, 1, 8, 8)


def test_a_network_of_ones_own_is_loaded_on_request(tmp_path: Path) -> None:
    path = saved(vl.GaussianVAE(2, BITS(), Own), tmp_path)
    with pytest.raises(ValueError, match=f"encoder names {MINE}.Own, and of a checkpoint only classes of") as said:
        vl.load(path)
    assert f"if you wrote {MINE.partition('.')[0]}, say so" in str(said.value)
    assert isinstance(vl.load(path, trust=[MINE]).model.encoder.network, Own)


def test_a_run_with_a_network_of_ones_own_goes_on_without_being_asked(tmp_path: Path) -> None:
    """Nothing is built of what a resumed run reads: the model is there."""
    path = saved(vl.GaussianVAE(2, BITS(), Own), tmp_path)
    model = vl.GaussianVAE(2, BITS(), Own)
    trainer(max_epochs=2, default_root_dir=tmp_path).fit(model, BINARY(), ckpt_path=path, weights_only=True)
    ours, theirs = vl.load(path, trust=[MINE]), vl.GaussianVAE.load_from_checkpoint(path, observed=BITS(), encoder=Own)
    assert all(torch.equal(value, ours.state_dict()[name]) for name, value in theirs.state_dict().items())
    assert (ours.seed, ours.trained_steps) == (theirs.seed, theirs.trained_steps)


def test_arguments_that_its_class_does_not_take_are_said_in_one_line(tmp_path: Path) -> None:
    path = saved(vl.GaussianVAE(2, BITS(), SMALL), tmp_path)
    content = torch.load(path, weights_only=True)
    content["hyper_parameters"]["latent_dim"] = ""
    torch.save(content, path)
    for door in (vl.load, vl.GaussianVAE.load_from_checkpoint):
        with pytest.raises(ValueError, match=r"own\.ckpt is no checkpoint to use: .*latent_dim") as said:
            door(path)
        assert "\n" not in str(said.value)


def test_what_is_no_checkpoint_of_a_model_is_said(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="there is no checkpoint"):
        vl.load(tmp_path / "none.ckpt")
    with pytest.raises(ValueError, match="it is no run's folder"):
        vl.load(tmp_path)


# -- specifications --------------------------------------------------------------------------------------------------


def test_a_specification_is_what_a_configuration_would_say() -> None:
    said = specification({"observed": vl.Normal((2,), scale=0.5), "objective": vl.ELBO(vl.DisARM(2)), "hidden": (3, 4)})
    assert said == {
        "observed": {"class_path": "vae_lightning.families.Normal", "init_args": {"event_shape": [2], "scale": 0.5}},
        "objective": {
            "class_path": "vae_lightning.objectives.ELBO",
            "init_args": {
                "estimator": {"class_path": "vae_lightning.estimators.DisARM", "init_args": {"num_samples": 2}}
            },
        },
        "hidden": [3, 4],
    }
    assert specification(partial(torch.optim.Adam, lr=0.1)) == {
        "class_path": "torch.optim.Adam", "init_args": {"lr": 0.1}
    }  # fmt: skip
    assert specification(nn.ReLU) == {"class_path": "torch.nn.ReLU"}


@pytest.mark.parametrize("unknown", [lambda: 0, nn.Linear(1, 1), object(), partial(nn.Linear, 3), torch.zeros(1)])
def test_what_nobody_can_build_again_is_unspecified(unknown: Any) -> None:
    with pytest.raises(Unspecified):
        specification([unknown])


def test_a_subclass_is_not_taken_for_its_base() -> None:
    class Wider(vl.Normal):
        def __init__(self) -> None:
            super().__init__(7)

    with pytest.raises(Unspecified):
        specification(Wider())


@pytest.mark.parametrize(
    "made_of",
    [copy.copy, copy.deepcopy, lambda built: pickle.loads(pickle.dumps(built))],
    ids=("shallow", "deep", "pickled"),
)
def test_a_copy_says_nothing_of_how_it_is_built(made_of: Callable[[nn.Module], nn.Module]) -> None:
    """It may have been changed since."""
    built = vl.ELBO(vl.DisARM(2), beta=0.5)
    changed = made_of(built)
    changed.beta = 2.0
    with pytest.raises(Unspecified):
        specification(changed)
    assert specification(built)["init_args"]["beta"] == 0.5


# -- names -----------------------------------------------------------------------------------------------------------


def test_the_package_has_the_names_of_its_rooms_and_imports_them_when_they_are_used() -> None:
    rooms = (vl.models, vl.data, processes, vl.families, vl.harmonium, vl.estimators, vl.objectives, vl.priors)
    for room in (*rooms, vl.callbacks):
        for name in room.__all__:
            assert name in dir(vl)
            assert getattr(vl, name) is getattr(next(r for r in (*rooms, vl.callbacks) if name in r.__all__), name)
    with pytest.raises(AttributeError, match="vae_lightning has no GausianVAE"):
        vl.GausianVAE  # noqa: B018
    quick = "import sys, vae_lightning; sys.exit(any(name in sys.modules for name in ('torch', 'numpy', 'lightning')))"
    assert subprocess.run([sys.executable, "-c", quick], check=False).returncode == 0
