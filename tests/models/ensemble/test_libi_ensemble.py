"""An Ensemble of LiBI: phases, choice and failures of each member are those it has alone."""

from __future__ import annotations

import warnings
from functools import partial
from pathlib import Path
from typing import Any

import lightning.pytorch as pl
import pytest
import torch
from support.command import ROOT, command, figures
from support.models import Save, trainer
from torch.optim import Adam

from vae_lightning.callbacks import MemberCheckpoints
from vae_lightning.data import FullBatch, Stacked, Synthetic
from vae_lightning.data.processes import LinearJTEx
from vae_lightning.families import Normal
from vae_lightning.models import Ensemble, LiBI, Replayed
from vae_lightning.models.ensemble.stack import Stack
from vae_lightning.models.recording.replay import Replay
from vae_lightning.nn import CholeskyLinear

STEPS, REPEATS, SEEDS = 20, 3, (3, 4)


def member(seed: int, lr: float = 0.05) -> LiBI:
    torch.manual_seed(seed)
    optimizer = partial(Adam, lr=lr)
    made = LiBI(2, Normal(2, 0.1), decoder=CholeskyLinear, steps=STEPS, repeats=REPEATS, optimizer=optimizer)
    made.seed = seed
    return made


def data(seed: int, size: int = 60) -> FullBatch:
    """Epochs that end where phases do not."""
    return FullBatch(Synthetic(LinearJTEx(), (size, 70, 10), seed), 15)


def fit(ensemble: Ensemble, *callbacks: pl.Callback, resume: Path | None = None, **changes: Any) -> pl.Trainer:
    run = trainer(*callbacks, **{"max_epochs": 4} | changes)
    run.fit(ensemble, Stacked([data(seed) for seed in SEEDS]), ckpt_path=resume, weights_only=True)
    return run


def test_members_have_the_repeats_and_the_choice_they_would_have_alone() -> None:
    """In double precision, at a rate so high that the last repeat is not the best; validations in between."""
    ensemble = Ensemble([member(seed, lr=0.4) for seed in SEEDS])
    run = fit(ensemble, precision="64-true")
    chosen = []
    for number, seed in enumerate(SEEDS):
        alone, together = member(seed, lr=0.4), ensemble.member(number)
        trainer(max_epochs=4, precision="64-true").fit(alone, data(seed))
        assert float(together.best.value) == pytest.approx(float(alone.best.value), rel=1e-4)
        assert -float(ensemble.best_loss[number]) == float(together.best.value)
        assert run.callback_metrics[f"val/selection/{number}"] >= ensemble.best_loss[number]
        chosen.append(int(together.best.repeat))
        assert chosen[-1] == int(alone.best.repeat) >= 0
        for (name, ours), (_, its) in zip(together.named_parameters(), alone.named_parameters(), strict=True):
            assert ours.dtype == torch.float64
            # Adam divides by gradients that are nearly zero, which lets rounding grow
            torch.testing.assert_close(ours, its, rtol=1e-3, atol=1e-4, msg=lambda text, name=name: f"{name}: {text}")
    assert min(chosen) < REPEATS - 1


def test_every_phase_is_recorded_also_of_members_that_differ() -> None:
    """And a replayed step has the losses of one that runs as it is written."""
    members = [member(seed) for seed in SEEDS]
    members[1].objective.generator.penalties[0].weight = 3.0
    stack = Stack(members)
    replay = Replay(stack, Replayed().optimised)
    x = torch.stack([LinearJTEx().sample(40, torch.Generator().manual_seed(seed)) for seed in SEEDS])
    for step in (0, 1, 10, 11, 20):
        stack.noise.begin("train", step, 0)
        found, _ = replay((x, x[..., 0]), step)
        stack.noise.begin("train", step, 0)
        expected, _ = stack((x, x[..., 0]), step)
        torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-3)
    assert len(replay.made) == 2


@pytest.mark.parametrize("step", [7, 20, 35, 50, 60])
def test_a_resumed_run_ends_with_the_same_bits(step: int, tmp_path: Path) -> None:
    """From the middle of either phase, and from a repeat's end, the last's too, in a run that goes on after it."""
    path = tmp_path / "middle.ckpt"
    whole = Ensemble([member(seed, lr=0.4) for seed in SEEDS])
    fit(whole, Save(path, step), max_epochs=5)
    resumed = Ensemble([member(seed + 50, lr=0.4) for seed in SEEDS])
    fit(resumed, resume=path, max_epochs=5)
    expected = whole.state_dict()
    assert [name for name, value in resumed.state_dict().items() if not torch.equal(value, expected[name])] == []


class Break(pl.Callback):
    """At a step, one member's theta becomes infinite."""

    def __init__(self, number: int, step: int) -> None:
        self.number, self.step = number, step

    @torch.no_grad()
    def on_train_batch_start(self, trainer: pl.Trainer, module: Any, *_: Any) -> None:
        if trainer.global_step == self.step:
            module.stack.module.model.decoder.network.mixing[self.number] = 1e30


def test_a_member_that_fails_keeps_its_best_repeat_and_the_other_goes_on() -> None:
    ensemble, undisturbed = (Ensemble([member(seed) for seed in SEEDS], names=["a", "b"]) for _ in range(2))
    fit(undisturbed)
    with pytest.warns(UserWarning, match="member b rests from step 25 on: its loss is .*; it keeps its best weights"):
        fit(ensemble, Break(1, 25))
    assert int(ensemble.member(1).best.repeat) == 0
    assert ensemble.member(1).model.decoder.network.mixing.isfinite().all()
    expected = undisturbed.member(0).state_dict()
    assert all(torch.equal(value, expected[name]) for name, value in ensemble.member(0).state_dict().items())


def test_penalties_that_fail_are_named_with_their_member() -> None:
    """Codes of one member that are all the same: HZ is 4 n, and no gradient leads out of it."""
    broken = member(4)
    with torch.no_grad():
        for parameter in broken.codes.parameters():
            parameter.zero_()
        broken.codes.network.output.bias.fill_(float("nan"))
    ensemble = Ensemble([member(3), broken], names=["a", "b"])
    named = r"member b rests from step 0 .*\(the penalty henze_zirkler: .*penalty mean"
    with pytest.warns(UserWarning, match=named) as said:
        fit(ensemble)
    assert sum("member b" in str(each.message) for each in said) == 1  # it rests, and phases that end are not its own
    constant = member(4)
    with torch.no_grad():
        for parameter in constant.codes.parameters():
            parameter.zero_()
    constant.codes.requires_grad_(False)
    other = member(3)
    other.codes.requires_grad_(False)
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        fit(Ensemble([other, constant], names=["a", "b"]))
    messages = [str(each.message) for each in told if "penalty" in str(each.message)]
    assert messages[0].startswith("member b before step 10: the penalty henze_zirkler: the covariance of the codes")
    assert "4 n = 240" in messages[0]
    assert not any(message.startswith("member a") for message in messages)


def test_without_validation_data_there_is_no_choice() -> None:
    ensemble = Ensemble([member(seed) for seed in SEEDS])
    x = LinearJTEx().sample(2 * 30).reshape(1, 2, 30, 2)
    batches = torch.utils.data.DataLoader(torch.utils.data.TensorDataset(x, x[..., 0]), batch_size=None)
    with pytest.raises(ValueError, match="LiBI chooses among its repeats by validation"):
        trainer(max_epochs=60).fit(ensemble, batches)


def test_its_config_fits_and_its_best_members_are_checkpoints_of_their_own(tmp_path: Path) -> None:
    """The test figures of a member's checkpoint are those that the ensemble has for it."""
    folder, given = ("--trainer.logger.save_dir", str(tmp_path)), ("--data.members.init_args.steps", "10")
    config, one = (ROOT / "configs" / "libi" / f"{name}.yaml" for name in ("ensemble", "cubic"))
    few = ["--model.init_args.member.init_args.steps", "20", "--model.seeds", "[5, 7, 9]", "--data.times", "3"]
    short = ["--trainer.max_epochs", "2", "--trainer.check_val_every_n_epoch", "1"]
    command("fit", "--config", config, *folder, *few, *given, *short)
    run = tmp_path / "version_0"
    trained = figures(run)
    best = min("012", key=lambda name: trained[f"val/selection/{name}"])
    assert trained["val/selection/best"] == trained[f"val/selection/{best}"]
    command("test", "--config", config, *folder, *few, *given, "--ckpt_path", run / "checkpoints" / "last.ckpt")
    written = run / "checkpoints" / f"member-{best}.ckpt"
    command("test", "--config", one, *folder, "--ckpt_path", written)
    tested = figures(run)
    # one sample of z each, of other streams: the mean of 500 has some error
    assert tested["test/nelbo"] == pytest.approx(tested[f"test/loss/{best}"], rel=0.1)
    model = LiBI.load_from_checkpoint(written, weights_only=True)
    assert (model.seed, model.hparams["latent_dim"]) == ((5, 7, 9)[int(best)], 2)
    assert -float(model.best.value) == pytest.approx(trained[f"val/selection/{best}"])


def test_members_built_in_python_are_written_too(tmp_path: Path) -> None:
    ensemble = Ensemble([member(seed) for seed in SEEDS], names=["rate 0.05", "b/c"])
    run = fit(ensemble, MemberCheckpoints(2), folder=tmp_path)
    for name, number in (("rate-0.05", 0), ("b-c", 1)):
        path = Path(run.log_dir or "") / "checkpoints" / f"member-{name}.ckpt"
        given = LiBI.load_from_checkpoint(path, observed=Normal(2, 0.1), decoder=CholeskyLinear)
        loaded, expected = LiBI.load_from_checkpoint(path), ensemble.member(number)
        assert str(given) == str(loaded) == str(expected)
        assert all(torch.equal(value, loaded.state_dict()[key]) for key, value in expected.state_dict().items())


def test_members_whose_names_make_one_file_are_all_written(tmp_path: Path) -> None:
    """The worse one took the place of the better."""
    run = fit(Ensemble([member(seed) for seed in SEEDS], names=["b c", "b/c"]), MemberCheckpoints(2), folder=tmp_path)
    written = sorted(path.name for path in Path(run.log_dir or "").glob("checkpoints/member-*.ckpt"))
    assert written == ["member-b-c-0.ckpt", "member-b-c-1.ckpt"]


def test_two_members_of_one_name_are_refused() -> None:
    """Only the last one's figures were logged."""
    with pytest.raises(ValueError, match=r"^two members are named 'b': names are what their figures"):
        Ensemble([member(seed) for seed in SEEDS], names=["b", "b"])


def test_only_an_ensemble_has_members_to_write() -> None:
    with pytest.raises(TypeError, match="writes members of an Ensemble, the model is LiBI"):
        trainer(MemberCheckpoints(), max_epochs=4).fit(member(3), data(3))
    with pytest.raises(ValueError, match="got best=0"):
        MemberCheckpoints(0)
    with pytest.raises(ValueError, match="times is how many members share each data module, at least 1; got 0"):
        Stacked([data(3)], times=0)
