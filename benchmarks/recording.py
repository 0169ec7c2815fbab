"""What each pass over a recorded step gains: milliseconds a member and step, and seconds until it runs. One thread.

    OMP_NUM_THREADS=1 python benchmarks/recording.py

50 members of the models of ensemble.py on 500 observations of LinearJTEx, fused Adam, in a bare loop. Each row has one
pass more than the one above it, up to `Replayed`, which is the default; then come the two compiled ways, but for
`Henze-Zirkler`, whose recording has a dozen operations for each member, which take too long to compile. All rows of a
model are measured in turns, in processor time; a figure is the median over the rounds, and so is the ratio to the
default's of the same round. `first` is the processor time of the first 15 steps, recorded and compiled anew, the
compiler's included; the first compiled row also has what torch does once in a process. Written to recording.json
beside this file, too.
"""

from __future__ import annotations

import json
import os
import resource
import statistics
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from ensemble import MODELS
from torch.fx import GraphModule

from vae_lightning.data.processes import LinearJTEx
from vae_lightning.models import Compiled, Eager, Replayed
from vae_lightning.models.ensemble.stack import Stack
from vae_lightning.models.recording import Execution, Recorded
from vae_lightning.models.recording.fold_constants import fold_constants
from vae_lightning.models.recording.remove_identities import remove_identities
from vae_lightning.models.recording.replay import Inputs, Result
from vae_lightning.process import keep_large_buffers

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


def rows(name: str, ways: dict[str, Execution]) -> dict[str, dict[str, float]]:
    """Of one model."""
    runs, first = {way: Run(name, execution) for way, execution in ways.items()}, {}
    for way, run in runs.items():
        with tempfile.TemporaryDirectory() as folder:
            os.environ["TORCHINDUCTOR_CACHE_DIR"] = folder  # nothing compiled before
            first[way] = run.steps(FIRST)
    each: dict[str, list[float]] = {way: [] for way in ways}
    for _ in range(ROUNDS):
        for way, run in runs.items():
            each[way].append(1e3 * run.steps(STEPS) / STEPS / MEMBERS)
    return {
        way: {
            "ms": statistics.median(values),
            "of the default": statistics.median(a / b for a, b in zip(values, each[DEFAULT], strict=True)),
            "first": first[way],
        }
        for way, values in each.items()
    }


def main() -> None:
    os.environ["TORCHINDUCTOR_COMPILE_THREADS"] = "1"  # in this process, whose time is counted
    torch.set_num_threads(1)
    keep_large_buffers()
    results: dict[str, Any] = {"torch": torch.__version__}
    for name in MODELS:
        results[name] = rows(name, WAYS if name == "Henze-Zirkler" else WAYS | COMPILED)
        print(name)
        for way, row in results[name].items():
            figures = f"{row['ms']:.4f} ms, {row['of the default']:.2f} of the default, first {row['first']:.1f} s"
            print(f"    {way}: {figures}", flush=True)
    rounded = json.loads(json.dumps(results), parse_float=lambda text: round(float(text), 4))
    Path(__file__).with_suffix(".json").write_text(json.dumps(rounded, indent=1) + "\n")


if __name__ == "__main__":
    main()
