"""Asked: the command line of `vae-lightning sweep` -> what is to be tried, where, and what all runs share."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path

from vae_lightning.files import expanded
from vae_lightning.messages import CommandParser

_DESCRIPTION = """\
Train a model under every combination of several values of options. Each combination is a run of
`vae-lightning fit` in a folder of its own, which is named after what differs: OUT/beta=4,seed_everything=0.

  vae-lightning sweep --config digits/vae --grid.model.latent_dim 8,16 --grid.seed_everything 0..2

A second call with the same options keeps what is finished, goes on with what was interrupted, bit for bit, and tries
again what failed. With RAY_ADDRESS set, the runs are spread over that Ray cluster, whose machines share OUT.
Compare them by `vae-lightning compare OUT`; `tensorboard --logdir OUT` shows in HPARAMS what differs.
"""
_GRID = """\
the grid:
  --grid.OPTION VALUES  any option of fit, with its values: 1,4 or 0..9 (both ends) or a YAML list [[16], [32, 32]];
                        for --grid.model.prior these are class paths, for --grid.config configurations

the search (extra `search`: pip install 'vae-lightning[search]'):
  --space.OPTION RANGE  a range 0.1..0.9, 1e-4..1e-2:log, 8..64 (whole numbers), or a choice of values a,b,c
  --search optuna       Optuna's TPE proposes trials by the results of earlier ones; --search random draws them
  --trials N            how many trials, those that fail included: these are not tried again

any other option is one of fit, and the same for all runs: vae-lightning fit --help
"""

_OWN = ("--out", "--jobs", "--overwrite", "--search", "--trials")


@dataclass(frozen=True)
class Asked:
    """What a sweep is to do."""

    grid: dict[str, str]
    space: dict[str, str]
    common: tuple[str, ...]
    out: Path
    jobs: int
    overwrite: bool
    search: str | None
    trials: int | None


def asked(arguments: Sequence[str]) -> Asked:
    """What the command line asks for; ValueError for what a sweep cannot take, with the way out."""
    axes, rest = _taken_out(arguments, ("grid", "space"))
    own, common = _parser().parse_known_args(rest)
    for argument in common:
        if argument.partition("=")[0] == "--ckpt_path":
            raise ValueError("--ckpt_path goes on with one run: a sweep begins new ones, --start_from a model")
        if argument.startswith(("--grid", "--space", "--gird")):
            raise ValueError(f"{argument}: the option follows a dot, as in --grid.model.latent_dim 8,16")
        name = argument.partition("=")[0]
        if name.startswith("--") and (near := get_close_matches(name, _OWN, n=1, cutoff=0.8)):
            raise ValueError(f"there is no option {name}, did you mean {near[0]}?")
    found = Asked(
        axes["grid"], axes["space"], tuple(common), Path(expanded(own.out)), own.jobs, own.overwrite, own.search,
        own.trials,
    )  # fmt: skip
    _check(found)
    return found


def _check(found: Asked) -> None:
    if found.out.exists() and not found.out.is_dir():
        raise ValueError(f"--out {found.out} is a file: name a folder for the runs")
    if found.jobs < 1:
        raise ValueError(f"--jobs is how many runs go on at once, at least 1; got {found.jobs}")
    if found.grid and found.space:
        raise ValueError("a grid tries every combination and a space is searched: give --grid.* or --space.*, not both")
    if not found.grid and not found.space:
        raise ValueError("there is nothing to sweep over: give values, as in --grid.seed_everything 0,1,2")
    if found.space and (found.trials or 0) < 1:
        raise ValueError("--space needs to know how many trials to run: give their number by --trials N, at least 1")
    if found.grid and (found.search or found.trials):
        raise ValueError("--search and --trials are for a space, --space.OPTION RANGE; a grid has all its combinations")


def _parser() -> CommandParser:
    parser = CommandParser(
        "sweep",
        _DESCRIPTION,
        usage="vae-lightning sweep --config FILE.yaml --grid.OPTION VALUES [...] [--jobs N] [--out FOLDER] [--KEY ...]",
        epilog=_GRID,
    )
    parser.add_argument("--out", default="runs/sweep", help="the folder of all runs; by default runs/sweep")
    parser.add_argument(
        "--jobs", type=int, default=1,
        help="how many runs go on at once, each on one thread unless OMP_NUM_THREADS says otherwise; by default 1",
    )  # fmt: skip
    parser.add_argument(
        "--overwrite", action="store_true", help="train anew the runs in OUT that had other options than these"
    )
    parser.add_argument("--search", choices=("optuna", "random"), help=argparse.SUPPRESS)
    parser.add_argument("--trials", type=int, help=argparse.SUPPRESS)
    return parser


def _taken_out(arguments: Sequence[str], kinds: Sequence[str]) -> tuple[dict[str, dict[str, str]], list[str]]:
    """The options of each kind by their names, and everything else in order."""
    found: dict[str, dict[str, str]] = {kind: {} for kind in kinds}
    rest: list[str] = []
    waiting = iter(arguments)
    for argument in waiting:
        flag, given, value = argument.partition("=")
        kind, dot, option = flag.removeprefix("--").partition(".")
        if not (flag.startswith("--") and dot and kind in found):
            rest.append(argument)
            continue
        if not given and (value := next(waiting, "--")).startswith("--"):
            raise ValueError(f"{flag} has no values: give them behind it, as in {flag} 1,4")
        if option in found[kind]:
            raise ValueError(f"{flag} is given twice: give all its values at once, as in {flag} 1,4")
        found[kind][option] = value
    return found, rest
