"""CompiledLoss: trained by the compiled loss, a model is what it is without, and so are its checkpoints."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import jaxtyping
import pytest
import torch
from support.models import Save, digits, gaussian_vae, trainer
from torch import Tensor
from torch.distributions import Distribution

from vae_lightning.batches import Batch
from vae_lightning.callbacks import CompiledLoss
from vae_lightning.data import Stacked
from vae_lightning.families import Bernoulli
from vae_lightning.models import RBM, Ensemble, GaussianVAE
from vae_lightning.models.latent_variable import loss_and_read
from vae_lightning.nn import MLP
from vae_lightning.objectives import R1, Adversarial, MeanFakes


@pytest.fixture
def no_checks_of_shapes() -> Iterator[None]:
    """The suite's checks of shapes would be traced too, and break the loss into many pieces to compile."""
    before = jaxtyping.config.jaxtyping_disable
    jaxtyping.config.update("jaxtyping_disable", True)
    yield
    jaxtyping.config.update("jaxtyping_disable", before)


@pytest.mark.usefixtures("no_checks_of_shapes")
@pytest.mark.skipif(shutil.which("g++") is None, reason="there is no C++ compiler")
def test_a_compiled_loss_is_the_loss(tmp_path: Path) -> None:
    """Up to rounding, with the same noise; and a run that goes on from its checkpoint has the same bits."""
    checks = Distribution._validate_args
    plain, whole, resumed = gaussian_vae(), gaussian_vae(), gaussian_vae()
    brief = {"max_steps": 6, "limit_val_batches": 0}
    trainer(**brief).fit(plain, digits())
    run = trainer(CompiledLoss(), Save(tmp_path / "half.ckpt", 3), **brief)
    run.fit(whole, digits())
    trainer(CompiledLoss(), **brief).fit(resumed, digits(), ckpt_path=tmp_path / "half.ckpt")
    saved = torch.load(tmp_path / "half.ckpt", weights_only=True)
    assert saved["state_dict"].keys() == plain.state_dict().keys()
    for name, value in plain.state_dict().items():
        assert torch.allclose(value, whole.state_dict()[name], atol=1e-5), name
        assert torch.equal(whole.state_dict()[name], resumed.state_dict()[name]), name
    assert whole._loss_of is loss_and_read  # as it was found
    assert Distribution._validate_args is checks


def test_without_a_compiler_the_way_out_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CXX", "no-such-compiler")
    with pytest.raises(ValueError, match=r"CompiledLoss needs a C\+\+ compiler, and there is no 'no-such-compiler'"):
        trainer(CompiledLoss()).fit(gaussian_vae(), digits())


def test_models_without_such_a_loss_are_told_what_they_have() -> None:
    with pytest.raises(TypeError, match="an objective, which RBM has not: leave it out"):
        trainer(CompiledLoss()).fit(RBM(Bernoulli((1, 8, 8)), Bernoulli(3)), digits())
    ensemble = Ensemble(member=lambda: GaussianVAE(2, Bernoulli((1, 8, 8))), seeds=2)
    with pytest.raises(TypeError, match=r"--model\.execution vae_lightning\.models\.recording\.Compiled"):
        trainer(CompiledLoss()).fit(ensemble, Stacked([digits()], 2))
    game = Adversarial(MLP, penalty=R1(), fakes=MeanFakes())
    with pytest.raises(TypeError, match="by a second derivative, which torch does not compile: leave CompiledLoss out"):
        trainer(CompiledLoss()).fit(GaussianVAE(2, Bernoulli((1, 8, 8)), objective=game), digits())


class Doubled(GaussianVAE):
    """Has a loss of its own."""

    def loss(self, batch: Batch, step: int) -> tuple[Tensor, dict[str, Tensor]]:
        loss, figures = super().loss(batch, step)
        return 2 * loss, figures


def test_a_subclass_with_a_loss_of_its_own_is_told_that_it_is_not_compiled(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CXX", "no-such-compiler")  # which nothing is asked of
    with pytest.warns(UserWarning, match="Doubled has a loss of its own, which is not compiled") as told:
        trainer(CompiledLoss(), max_steps=2, limit_val_batches=0).fit(Doubled(2, Bernoulli((1, 8, 8))), digits())
    assert len([each for each in told if "CompiledLoss" in str(each.message)]) == 1
