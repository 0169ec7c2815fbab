"""What is typed for a grid is its values, and every combination is a run with a name of its own."""

from __future__ import annotations

import pytest

from vae_lightning.sweeps.asked import asked
from vae_lightning.sweeps.grid import Grid
from vae_lightning.sweeps.values import values


@pytest.mark.parametrize(
    ("typed", "found"),
    [
        ("1,4", ["1", "4"]),
        ("8", ["8"]),
        ("0..3", ["0", "1", "2", "3"]),
        ("1e-3, 1e-2", ["1e-3", "1e-2"]),
        ("[[16], [32, 32]]", ["[16]", "[32, 32]"]),
        ("[16],[32,32]", ["[16]", "[32,32]"]),
        ("[null, true, 0.5]", ["null", "true", "0.5"]),
        ("[{class_path: a.B, init_args: {c: 1}}]", ['{"class_path": "a.B", "init_args": {"c": 1}}']),
        ("a.B,a.C", ["a.B", "a.C"]),
        ("[2026-01-31, [2026-02-01]]", ["2026-01-31", '["2026-02-01"]']),
    ],
)
def test_values_are_told_apart_by_commas_outside_of_brackets_a_yaml_list_or_a_range(
    typed: str, found: list[str]
) -> None:
    assert values(typed) == found


@pytest.mark.parametrize("typed", ["", ",", "1,,2", "1,1", "3..1", "[]"])
def test_no_values_and_the_same_one_twice_are_refused(typed: str) -> None:
    with pytest.raises(ValueError, match=r"--grid\.a\.b: .* (has no values|twice)"):
        Grid.read({"a.b": typed})


def names(**axes: str) -> list[str]:
    return [run.name for run in Grid.read({name.replace("__", "."): typed for name, typed in axes.items()}).runs()]


def test_names_say_what_differs_in_as_few_words_as_tell_options_apart() -> None:
    assert names(model__objective__beta="1,4", seed_everything="0..1") == [
        "beta=1,seed_everything=0", "beta=1,seed_everything=1", "beta=4,seed_everything=0", "beta=4,seed_everything=1",
    ]  # fmt: skip
    assert names(model__encoder__hidden="[[16], [32, 32]]", model__decoder__hidden="[[8]]") == [
        "encoder.hidden=16,decoder.hidden=8",
        "encoder.hidden=32-32,decoder.hidden=8",
    ]
    assert names(model__prior="vae_lightning.priors.VampPrior,null") == ["prior=VampPrior", "prior=null"]
    assert names(config="configs/digits/vae.yaml,b.yaml") == ["config=vae", "config=b"]


def test_two_runs_never_have_one_name_and_none_is_too_long_for_a_folder() -> None:
    alike = names(model__prior="a.Normal,b.Normal")
    assert len(set(alike)) == 2
    assert all(name.startswith("prior=Normal-") for name in alike)
    long = names(model__encoder__hidden=f"[[{', '.join(['512'] * 60)}], [1]]")
    assert max(map(len, long)) < 140
    of_other_letters = names(data__path=f"/{'数据' * 60},b")[0]  # three bytes each
    assert len(of_other_letters.encode()) < 140
    assert of_other_letters.startswith("path=数据数据")


def test_files_come_before_what_all_share_and_a_class_before_its_options() -> None:
    grid = Grid.read(
        {"model.prior.components": "5", "model.prior": "a.B", "config": "x.yaml"}, ["--model.latent_dim", "2"]
    )
    (run,) = grid.runs()
    assert run.arguments == (
        "--config=x.yaml", "--model.latent_dim", "2", "--model.prior=a.B", "--model.prior.components=5",
    )  # fmt: skip


def test_a_check_sees_every_value_once() -> None:
    grid = Grid.read({"a": "1,2,3", "b": "x,y"})
    assert [run.name for run in grid.each_value()] == ["a=1,b=x", "a=2,b=x", "a=3,b=x", "a=1,b=y"]
    assert len(grid.runs()) == 6


def test_what_belongs_to_fit_is_left_to_it_in_order() -> None:
    found = asked(["--config", "c.yaml", "--grid.a.b=1,2", "--jobs", "2", "--data.batch_size", "5", "--out", "o"])
    assert (found.grid, found.common) == ({"a.b": "1,2"}, ("--config", "c.yaml", "--data.batch_size", "5"))
    assert (found.jobs, str(found.out), found.overwrite) == (2, "o", False)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--config", "c.yaml"], "nothing to sweep over"),
        (["--grid.a", "--jobs", "2"], r"--grid\.a has no values"),
        (["--grid.a", "1", "--grid.a", "2"], r"--grid\.a is given twice"),
        (["--grid.a", "1", "--jobs", "0"], "at least 1; got 0"),
        (["--grid", "1"], "the option follows a dot"),
        (["--grid.a", "1", "--ckpt_path", "x"], "goes on with one run"),
        (["--grid.a", "1", "--space.b", "1..2"], "not both"),
        (["--space.b", "1..2"], "by --trials N"),
        (["--space.b", "1..2", "--trials", "-3"], "by --trials N, at least 1"),
        (["--grid.a", "1", "--trials", "3"], "a grid has all its combinations"),
    ],
)
def test_what_a_sweep_cannot_take_is_refused(arguments: list[str], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        asked(arguments)
