"""What each pass over a recorded step gains: milliseconds a member and step, and seconds until it runs. One thread.

    OMP_NUM_THREADS=1 python benchmarks/recording.py

50 members of the models of ensemble.py on 500 observations of LinearJTEx, fused Adam, in a bare loop. Each row has one
pass more than the one above it, up to `Replayed`, the default of short runs; then come the two compiled ways, of which
`Compiled` is the default of runs long enough to pay for it: `until it runs` over what a step saves is how long that is.
All ways of a model are measured in turns, in processor time. `until it runs` is the processor time of the first 15
steps, recorded and compiled anew, the compiler's included; the first compiled way also has what torch does once in a
process.
"""

from __future__ import annotations

import argparse
import os
import resource
import tempfile
from collections.abc import Callable, Iterator

import torch
from comparisons import Comparison, Costs, Row, Share, in_turns, main
from ensemble import MODELS
from torch.fx import GraphModule

from vae_lightning.data.processes import LinearJTEx
from vae_lightning.models import Compiled, Eager, Replayed
from vae_lightning.models.ensemble.stack import Stack
from vae_lightning.models.recording import Execution, Recorded
from vae_lightning.models.recording.fold_constants import fold_constants
from vae_lightning.models.recording.remove_identities import remove_identities
from vae_lightning.models.recording.replay import Inputs, Result

MEMBERS, FIRST, STEPS, ROUNDS = 50, 15, 15, 11
DEFAULT = "+ layout: Replayed"


class By(Recorded):
    """A recording run by what a function makes of its graph."""

    def __init__(self, optimise: Callable[[GraphModule, Inputs], Callable[..., Result]]) -> None:
        self.optimise = optimise

    def optimised(self, graph: GraphModule, inputs: Inputs) -> Callable[..., Result]:
        return self.optimise(graph, inputs)


WAYS: dict[str, Execution] = {
    "Eager": Eager(),
    "replay alone": By(lambda graph, inputs: graph),
    "+ remove_identities": By(lambda graph, inputs: remove_identities(graph)),
    "+ fold_constants": By(lambda graph, inputs: fold_constants(remove_identities(graph), inputs)),
    DEFAULT: Replayed(),
}
COMPILED: dict[str, Execution] = {
    "torch.compile without passes": By(lambda graph, inputs: torch.compile(graph, fullgraph=True, dynamic=False)),
    "after all passes: Compiled": Compiled(),
}


def processor_time() -> float:
    """Seconds of this process, and of the compilers that it started and waited for."""
    usages = map(resource.getrusage, (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return sum(usage.ru_utime + usage.ru_stime for usage in usages)


class Run:
    """A stack of members in training."""

    def __init__(self, name: str, execution: Execution) -> None:
        members = []
        for seed in range(MEMBERS):
            torch.manual_seed(seed)
            members.append(MODELS[name]())
            members[-1].seed = seed
        self.stack, self.step = Stack(members), 0
        self.losses_at = execution.losses(self.stack)
        self.optimizer = torch.optim.Adam(self.stack.parameters(), lr=1e-2, fused=True)
        self.x = torch.stack([LinearJTEx().sample(500, torch.Generator().manual_seed(seed)) for seed in range(MEMBERS)])

    def steps(self, number: int) -> float:
        """Seconds of processor time of so many, those of compilers included."""
        began = processor_time()
        for _ in range(number):
            self.stack.noise.begin("train", self.step, 0)
            losses, _ = self.losses_at((self.x, self.x[..., 0]), self.step)
            self.optimizer.zero_grad()
            losses.sum().backward()
            self.optimizer.step()
            self.step += 1
        return processor_time() - began

    def each(self) -> float:
        """Milliseconds a member and step."""
        return 1e3 * self.steps(STEPS) / STEPS / MEMBERS


def until_it_runs(run: Run) -> float:
    """Seconds of the first steps, with nothing compiled before."""
    with tempfile.TemporaryDirectory() as folder:
        os.environ["TORCHINDUCTOR_CACHE_DIR"] = folder
        return run.steps(FIRST)


def passes(asked: argparse.Namespace) -> Iterator[Row]:
    """Of each model, all ways beside the default."""
    os.environ["TORCHINDUCTOR_COMPILE_THREADS"] = "1"  # in this process, whose time is counted
    for name in MODELS:
        ways = WAYS if asked.quick else WAYS | COMPILED
        runs = {way: Run(name, execution) for way, execution in ways.items()}
        first: Costs = {way: [until_it_runs(run)] for way, run in runs.items()}
        costs = in_turns({way: run.each for way, run in runs.items()}, 2 if asked.quick else ROUNDS, warm=0)
        for way in ways:
            if way != DEFAULT:
                work = f"recorded step of 50, {name}: {way}"
                yield Comparison(f"{work}, a member and step", way, DEFAULT, Share()).row(costs)
                yield Comparison(f"{work}, until it runs", way, DEFAULT, Share(), "s").row(first)


if __name__ == "__main__":
    main({"passes": passes}, __doc__)
