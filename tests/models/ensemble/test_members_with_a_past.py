"""An Ensemble of members that were trained, loaded or evaluated before: each goes on as it would alone."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import lightning.pytorch as pl
import pytest
import torch
from support.models import digits, gaussian_vae, hashing, newsgroups, trainer
from torch import nn

from vae_lightning.data import Arrays, FullBatch, Stacked, Synthetic
from vae_lightning.data.processes import LinearJTEx
from vae_lightning.estimators import LeaveOneOut, Reparameterised
from vae_lightning.families import Bernoulli, BernoulliMRF, Normal
from vae_lightning.models import HVAE, MRFVAE, VAE, Ensemble, GaussianVAE, LiBI
from vae_lightning.models.ensemble.settings import differing
from vae_lightning.nn import MLP, CholeskyLinear
from vae_lightning.objectives import ELBO, WarmUp
from vae_lightning.priors import VampPrior

STEPS = 20


def data(seed: int) -> FullBatch:
    return FullBatch(Synthetic(LinearJTEx(), (60, 20, 10), seed), STEPS)


def vae(seed: int, **changes: Any) -> GaussianVAE:
    """With a prior that starts from the training data: a second start would undo what it has learnt."""
    torch.manual_seed(seed)
    objective = ELBO(Reparameterised(), WarmUp(10))
    settings = {"objective": objective, "prior": VampPrior(2, 2, 3), "encoder": partial(MLP, hidden=(6,))}
    made = GaussianVAE(2, Normal(2, 0.1), **settings | changes)
    made.seed = seed
    return made


def libi(seed: int) -> LiBI:
    """One whose repeats fill an epoch."""
    torch.manual_seed(seed)
    objectives = {"generator": ELBO(Reparameterised(), WarmUp(5)), "inference": ELBO(Reparameterised(), WarmUp(5))}
    made = LiBI(2, Normal(2, 0.1), decoder=CholeskyLinear, steps=STEPS // 2, repeats=2, **objectives)
    made.seed = seed
    return made


def trained(module: Any) -> Any:
    trainer().fit(module, data(module.seed))
    return module


def loaded(module: Any, folder: Path) -> Any:
    """The module after a training, from its checkpoint, given again what it was built from."""
    run, path = trainer(), folder / "member.ckpt"
    run.fit(module, data(module.seed))
    run.save_checkpoint(path)
    fresh = vae(module.seed)
    again = {"observed": Normal(2, 0.1), "objective": fresh.objective, "prior": fresh.model.prior}
    return GaussianVAE.load_from_checkpoint(path, **again, encoder=partial(MLP, hidden=(6,)))


def together_and_alone(members: list[Any]) -> Iterator[tuple[Any, Any]]:
    """Each member after one more training within an ensemble, and after the same by itself."""
    alone, ensemble = [copy.deepcopy(member) for member in members], Ensemble(members)
    trainer(precision="64-true").fit(ensemble, Stacked([data(member.seed) for member in members]))
    for number, module in enumerate(alone):
        trainer(precision="64-true").fit(module, data(module.seed))
        yield ensemble._alone(number, ensemble.stack.module), module


def same_weights(ours: Any, its: Any) -> None:
    for (name, here), (_, there) in zip(ours.state_dict().items(), its.state_dict().items(), strict=True):
        torch.testing.assert_close(here, there, rtol=1e-6, atol=1e-8, msg=lambda text, name=name: f"{name}: {text}")


def test_a_member_goes_on_as_it_would_alone(tmp_path: Path) -> None:
    """One that is new, one trained, one from a checkpoint, and one new in eval()."""
    for ours, its in together_and_alone([vae(3), trained(vae(4)), loaded(vae(5), tmp_path), vae(6).eval()]):
        same_weights(ours, its)
        assert (ours.seed, ours.started, ours.trained_steps) == (its.seed, True, its.trained_steps)
        assert its.trained_steps == STEPS


def test_a_libi_goes_on_from_the_best_repeat_it_had() -> None:
    for ours, its in together_and_alone([trained(libi(3)), libi(4)]):
        same_weights(ours, its)


def test_a_libi_returns_to_the_best_repeat_it_ever_had() -> None:
    """After a good training a bad one, at a rate that throws it off."""
    members = [trained(libi(seed)) for seed in (3, 4)]
    kept = [copy.deepcopy(member.state_dict()) for member in members]
    for member in members:
        member.optimizer = partial(torch.optim.Adam, lr=3.0)
    ensemble = Ensemble(members)
    trainer().fit(ensemble, Stacked([data(member.seed) for member in members]))
    for number, before in enumerate(kept):
        assert ensemble.best_loss[number] == -before["best.value"]
        after = ensemble.member(number).state_dict()
        assert all(torch.equal(after[name], value) for name, value in before.items() if name.startswith("model."))


def far(seed: int) -> FullBatch:
    """Data that are less likely by far than those of the other trainings, whatever is learnt of them."""
    rows = 30 * torch.randn(90, 2, generator=torch.Generator().manual_seed(seed))
    return FullBatch(Arrays(rows.numpy(), batch_size=60), STEPS)


@pytest.mark.parametrize("build", [libi, vae])
def test_a_best_of_other_data_is_none_of_these(build: Callable[[int], Any]) -> None:
    """After a training of one world another's: figures of the two cannot be compared, and the first would win."""
    ensemble = Ensemble([build(3), build(4)])
    trainer().fit(ensemble, Stacked([data(3), data(4)]))
    best, before = ensemble.best_loss.clone(), [ensemble.member(number).state_dict() for number in range(2)]
    trainer().fit(ensemble, Stacked([far(3), far(4)]))
    for number in range(2):
        after = ensemble.member(number).state_dict()
        assert ensemble.best_loss[number] > best[number]
        assert not all(torch.equal(after[name], value) for name, value in before[number].items())


def test_a_libi_alone_judges_its_repeats_by_the_data_it_has() -> None:
    module, others = trained(libi(3)), far(3)
    before = copy.deepcopy(module.state_dict())
    trainer().fit(module, others)
    assert module.best.value == module.value_on(others.val) < before["best.value"]
    assert not all(torch.equal(value, before[name]) for name, value in module.model.state_dict(prefix="model.").items())


class Break(pl.Callback):
    """Ends a training after its first repeat."""

    def on_train_batch_start(self, trainer: pl.Trainer, *_: Any) -> None:
        if trainer.global_step == STEPS - 1:
            raise RuntimeError("interrupted")


@pytest.mark.parametrize("together", [True, False])
def test_what_an_interrupted_training_kept_is_judged_by_the_data_of_the_next(together: bool) -> None:
    module: Any = Ensemble([libi(3)]) if together else libi(3)
    first, then = (Stacked([each]) if together else each for each in (data(3), far(3)))
    with pytest.raises(RuntimeError, match="interrupted"):
        trainer(Break()).fit(module, first)
    value = lambda: -module.best_loss[0] if together else module.best.value  # noqa: E731
    before = value().clone()
    trainer().fit(module, then)
    assert before.isfinite()
    assert value() < before


def test_other_data_that_are_validated_do_not_change_what_is_kept() -> None:
    """They are far likelier than those of the training, whatever the weights."""
    ensemble = Ensemble([vae(3), vae(4)])
    trainer().fit(ensemble, Stacked([far(3), far(4)]))
    losses, kept = ensemble.best_loss.clone(), copy.deepcopy(ensemble.best.state_dict())
    ensemble.stack.module.load_state_dict(Ensemble([vae(5), vae(6)]).stack.module.state_dict())
    trainer().validate(ensemble, Stacked([data(3), data(4)]), verbose=False)
    assert torch.equal(ensemble.best_loss, losses)
    assert all(torch.equal(value, kept[name]) for name, value in ensemble.best.state_dict().items())


def layers(*between: nn.Module) -> Callable[..., nn.Module]:
    return lambda context_shape, outputs: nn.Sequential(
        *map(copy.deepcopy, between), nn.Linear(*context_shape, outputs)
    )


UNLIKE: dict[str, tuple[Callable[[], list[Any]], str]] = {
    "mode": (
        lambda: [vae(3, encoder=layers(nn.BatchNorm1d(2))), vae(4, encoder=layers(nn.BatchNorm1d(2))).eval()],
        r"model.encoder.network.0.training is True in member 0 and False in member 1",
    ),
    "precision": (
        lambda: [vae(3), vae(4).double()],
        r"Parameter\(6, 2\) of float32 in 0 and Parameter\(6, 2\) of float64 in 1",
    ),
    "frozen": (lambda: [vae(3), vae(4).requires_grad_(False)], r"of float32 in 0 and .* of float32, frozen in 1"),
}


@pytest.mark.parametrize("what", UNLIKE)
def test_what_a_stack_cannot_hold_is_not_taken_from_the_first(what: str) -> None:
    build, message = UNLIKE[what]
    with pytest.raises(ValueError, match=message):
        Ensemble(build())


def mrf() -> MRFVAE:
    return MRFVAE(BernoulliMRF(1, 2), Bernoulli((1, 8, 8)))


def hierarchical() -> HVAE:
    return HVAE((2, 2), Bernoulli((1, 8, 8)))


def bits() -> VAE:
    return VAE(Bernoulli(2), Bernoulli((1, 8, 8)), MLP, MLP, ELBO(LeaveOneOut(2)))


def vamp() -> GaussianVAE:
    return gaussian_vae(prior=VampPrior(2, (1, 8, 8), 3), objective=ELBO(Reparameterised()))


MODELS: dict[str, tuple[Callable[[], Any], Callable[[Path], Any]]] = {
    "GaussianVAE": (vamp, lambda folder: digits()),
    "VAE": (bits, lambda folder: digits()),
    "HVAE": (hierarchical, lambda folder: digits()),
    "MRFVAE": (mrf, lambda folder: digits()),
    "LiBI": (lambda: LiBI(2, Bernoulli((1, 8, 8)), steps=2), lambda folder: digits()),
    "HashingVAE": (hashing, newsgroups),
}


@pytest.mark.parametrize("name", MODELS)
def test_a_training_leaves_a_module_like_one_that_was_never_trained(name: str, miniature: Path) -> None:
    """Whatever a module is given in its life is a parameter, a buffer, private, or declared its own."""
    build, its_data = MODELS[name]
    used, fresh = build(), build()
    run = trainer(max_steps=3, limit_val_batches=1, limit_test_batches=1)
    run.fit(used, its_data(miniature))
    run.test(used, its_data(miniature), verbose=False)
    used.seed, used.given_as_objects = 17, ["encoder"]
    assert differing([fresh, used]) == {}
    assert used.trained_steps == 3
