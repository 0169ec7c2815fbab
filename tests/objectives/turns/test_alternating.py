"""Alternating: whose turn it is is a function of the step, and the other half rests."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import lightning.pytorch as pl
import pytest
import torch
import torch.distributed as dist
from lightning.pytorch.callbacks import ModelCheckpoint
from support.models import events, trainer
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from vae_lightning.conditional import Conditional
from vae_lightning.data import Synthetic
from vae_lightning.data.processes import GaussianMixture
from vae_lightning.estimators import Enumerated, Reparameterised
from vae_lightning.families import Bernoulli, Normal
from vae_lightning.latent_variable import LatentVariableModel
from vae_lightning.models import VAE
from vae_lightning.nn import MLP
from vae_lightning.objectives import ELBO, IWAE, Alternating, DReG, ForwardKL
from vae_lightning.priors import FactorisedPrior, Prior, VampPrior

PAPER = (ELBO(Reparameterised()), ForwardKL())


def gaussian_model(prior: Prior | None = None) -> LatentVariableModel:
    torch.manual_seed(0)
    encoder, decoder = Conditional(Normal(2), (3,), MLP), Conditional(Normal(3, 1.0), (2,), MLP)
    return LatentVariableModel(encoder, decoder, prior or FactorisedPrior(Normal(2), learned=True))


def trained(model: nn.Module) -> set[str]:
    """The parts of the model that have a gradient; a part that rests has none, not even zeros."""
    return {name.split(".")[0] for name, parameter in model.named_parameters() if parameter.grad is not None}


@pytest.mark.parametrize("prior", [lambda: None, lambda: VampPrior(2, (3,), 2)], ids=["normal", "made of the encoder"])
@pytest.mark.parametrize(
    "objectives",
    [PAPER, (ELBO(Reparameterised()),) * 2, (IWAE(Reparameterised(3)), DReG(Reparameterised(3)))],
    ids=["elbo and forward KL", "elbo twice", "iwae and dreg"],
)
def test_each_turn_trains_its_own_half(objectives, prior) -> None:
    """Two steps of the encoder, three of the decoder and the prior, and again; the value is the objective's own."""
    decoder, encoder = objectives
    model, objective, x = gaussian_model(prior()), Alternating(decoder, encoder, 3, 2), torch.randn(4, 3)
    objective.check(model)
    for step in range(12):
        turn, parts = (encoder, {"encoder"}) if step % 5 < 2 else (decoder, {"decoder", "prior"})
        model.zero_grad()
        torch.manual_seed(step)
        value = objective.at(step)(model, x)
        value.sum().backward()
        assert trained(model) == parts
        gradients = {name: p.grad for name, p in model.named_parameters() if p.grad is not None}
        assert all(parameter.requires_grad for parameter in model.parameters())
        model.zero_grad()
        torch.manual_seed(step)
        alone = turn(model, x)
        assert torch.equal(value, alone)
        if parts == {"decoder", "prior"}:  # given the encoder, its gradient is the objective's own
            alone.sum().backward()
            for name, gradient in gradients.items():
                torch.testing.assert_close(gradient, dict(model.named_parameters())[name].grad, msg=name)
        assert objective.at(step).is_elbo == turn.is_elbo


def test_the_loss_is_called_nelbo_in_the_decoders_turns_only() -> None:
    module, x = VAE(Normal(2), Normal(3, 1.0), MLP, MLP, Alternating(*PAPER)), torch.randn(4, 3)
    for step in range(4):
        loss, figures = module.loss((x, x), step)
        assert figures == ({"nelbo": loss} if step % 2 else {})


def test_alternation_has_no_value_without_a_step() -> None:
    with pytest.raises(ValueError, match=r"Alternating differs by step: use objective\.at\(step\)\(model, x\)"):
        Alternating(*PAPER)(gaussian_model(), torch.randn(4, 3))


def test_it_checks_both_objectives() -> None:
    bits = LatentVariableModel(
        Conditional(Bernoulli(2), (3,), MLP), Conditional(Normal(3), (2,), MLP), FactorisedPrior(Bernoulli(2))
    )
    with pytest.raises(TypeError, match="Reparameterised needs a continuous posterior"):
        Alternating(*PAPER).check(bits)
    with pytest.raises(TypeError, match="DReG needs a factorised Normal posterior"):
        Alternating(ELBO(Enumerated()), DReG(Reparameterised())).check(bits)
    Alternating(ELBO(Enumerated()), ForwardKL()).check(bits)


@pytest.mark.parametrize("steps", [(0, 1), (1, 0), (1, -1)])
def test_turns_of_no_steps(steps: tuple[int, int]) -> None:
    with pytest.raises(
        ValueError, match=r"needs decoder_steps and encoder_steps >= 1, got .*; to train only one of them"
    ):
        Alternating(*PAPER, *steps)


class Weights(pl.Callback):
    """Keeps the weights of both halves after every step."""

    def __init__(self) -> None:
        self.seen: dict[int, tuple[Tensor, Tensor]] = {}

    def on_train_batch_end(self, trainer: pl.Trainer, pl_module: VAE, *_) -> None:
        halves = pl_module.model.encoder, pl_module.model.decoder
        self.seen[trainer.global_step] = tuple(half.network.output.weight.detach().clone() for half in halves)


def fit(folder: Path, resume: Path | None = None) -> tuple[dict[int, tuple[Tensor, Tensor]], Path]:
    """Eight steps: one of the encoder, two of the decoder, and again; momentum or decay would move what rests."""
    torch.manual_seed(0)
    optimizer, objective = partial(torch.optim.AdamW, lr=0.01, weight_decay=0.1), Alternating(*PAPER, decoder_steps=2)
    module = VAE(Normal(2), Normal(2, 1.0), MLP, MLP, objective, optimizer=optimizer)
    weights, every = Weights(), ModelCheckpoint(folder, "{step}", save_top_k=-1, every_n_train_steps=1)
    run = trainer(weights, every, folder=folder, log_every_n_steps=1, enable_checkpointing=True)
    run.fit(module, Synthetic(GaussianMixture(), (64, 8, 8), batch_size=8), ckpt_path=resume)
    return weights.seen, Path(run.log_dir)


def test_a_run_and_its_resumption(tmp_path: Path) -> None:
    seen, folder = fit(tmp_path)
    moved = [
        [not torch.equal(before, after) for before, after in zip(seen[step], seen[step + 1], strict=True)]
        for step in range(1, 8)
    ]
    assert moved == [
        [False, True],
        [False, True],
        [True, False],
        [False, True],
        [False, True],
        [True, False],
        [False, True],
    ]
    logged = {name: events(folder).Scalars(f"train/{name}") for name in ("loss", "nelbo")}
    assert [scalar.step for scalar in logged["nelbo"]] == list(
        range(1, 8)
    )  # the encoder's turns show the last one again
    assert logged["nelbo"][2].value == logged["nelbo"][1].value == logged["loss"][2].value != logged["loss"][3].value
    for interrupted in (3, 5):
        resumed, _ = fit(tmp_path / str(interrupted), resume=tmp_path / f"step={interrupted}.ckpt")
        assert min(resumed) == interrupted + 1
        assert all(map(torch.equal, resumed[8], seen[8]))


class Step(nn.Module):
    """The mean bound of a step, as a module that DDP can wrap; it draws nothing."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        encoder, decoder = Conditional(Bernoulli(2), (3,), MLP), Conditional(Normal(3, 1.0), (2,), MLP)
        self.model = LatentVariableModel(encoder, decoder, FactorisedPrior(Bernoulli(2), learned=True))
        self.objective = Alternating(ELBO(Enumerated()), ELBO(Enumerated()))

    def forward(self, x: Tensor, step: int) -> Tensor:
        return self.objective.at(step)(self.model, x).mean()


def train(module: nn.Module, x: Tensor) -> list[Tensor]:
    optimizer = torch.optim.AdamW(module.parameters(), lr=0.05)
    for step in range(5):
        optimizer.zero_grad()
        (-module(x, step)).backward()
        optimizer.step()
    return [parameter.detach() for parameter in module.parameters()]


def test_ddp_lets_a_half_rest(tmp_path: Path) -> None:
    """Its reducer gives no zeros either, which AdamW would act on: the weights are those without DDP, bit for bit."""
    x = torch.randn(8, 3, generator=torch.Generator().manual_seed(1))
    expected = train(Step(), x)
    dist.init_process_group("gloo", init_method=f"file://{tmp_path}/meet", rank=0, world_size=1)
    try:
        found = train(DistributedDataParallel(Step(), find_unused_parameters=True), x)
    finally:
        dist.destroy_process_group()
    assert all(map(torch.equal, found, expected))
