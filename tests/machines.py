"""Two machines as two network namespaces -> what is promised of torchrun, of a lost machine and of Ray, each in a line.

`make machines` runs it, as root. Each machine has its own network, host name and disk; see support/machines.py.
"""

from __future__ import annotations

import argparse
import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from support.machines import machines, why_not
from support.ray_cluster import at_work, shared
from support.started import DDP, Failed, Pair, alone, but_config, farthest, hold, step_of, validated, weights

QUIET = ("--trainer.enable_progress_bar", "false", "--trainer.enable_model_summary", "false")
FIT = ("fit", *QUIET, "--trainer.log_every_n_steps", "2", "--last.every_n_steps", "1")
DIGITS = (*FIT, "--config", "digits/vae", "--trainer.callbacks", "[]", "--data.val_size", "61")
DIGITS += ("--data.test_size", "1635", "--data.batch_size", "20", "--data.eval_batch_size", "31")
"""A stochastic gradient; 101 images, and 61 in two uneven batches."""
MIXTURE = (*FIT, "--config", "mixture", "--trainer.callbacks", "[]", "--data.eval_batch_size", "8")
"""An exact gradient."""
TWO = (*DDP, "--trainer.devices", "1", "--trainer.num_nodes", "2")
EVEN, UNEVEN = (("--data.sizes", f"[{size}, 61, 61]") for size in (96, 101))
FOR = "--trainer.max_epochs"


def equal(pair: Pair) -> Iterator[str]:
    """A run on both machines against one process, and against two processes on one machine."""
    for told, data in (("even steps", EVEN), ("a last step of 3 and 2 points", UNEVEN)):
        one = alone(pair.top / told.replace(" ", "-"), *MIXTURE, *data, FOR, "3", "--data.batch_size", "32")
        seconds = pair.both(*MIXTURE, *data, FOR, "3", "--data.batch_size", "16", *TWO)
        far = farthest(validated(one), validated(pair.first.disk))
        hold(far < 1e-5, f"{told}: figures differ by {far:.1e}", pair.told)
        yield f"two machines and one process, {told}: figures differ by at most {far:.0e} of them; {seconds:.0f} s"
        pair.clear()
    one = alone(pair.top / "processes", *DIGITS, FOR, "3", *DDP, processes=2)
    seconds = pair.both(*DIGITS, FOR, "3", *TWO)
    hold(not but_config(one, pair.first.disk), "two machines and two processes differ", pair.told)
    yield f"two machines and two processes of one, uneven batches: the same bits; {seconds:.0f} s"


def lost(pair: Pair) -> Iterator[str]:
    """Either machine is killed in mid-epoch; the run goes on on both, and on the other alone."""
    for number in (1, 0):
        left = pair.machines[1 - number]
        began = pair.killed(number, *DIGITS, FOR, "100000", *TWO)
        line, seconds = pair.end_of(left), time.monotonic() - began
        yield f"machine {number} killed: the other ended after {seconds:.1f} s, with one line: {line}"
        step = step_of(left.disk)
        epochs = str(step // 3 + 3)
        whole = alone(pair.top / f"whole-{number}", *DIGITS, FOR, epochs, *DDP, processes=2)
        if number == 0:
            shutil.copytree(left.disk / "runs", pair.first.disk / "runs", dirs_exist_ok=True)  # a new machine's disk
        seconds = pair.both("fit", "--ckpt_path", "runs/version_0", FOR, epochs)
        hold(not but_checks(whole, pair.first.disk, number), "a resumed run differs", pair.told)
        yield f"resumed on two at step {step}, to {3 * int(epochs)}: the bits of a whole run; {seconds:.0f} s"
        pair.clear()
    pair.killed(0, *MIXTURE, *EVEN, FOR, "100000", "--data.batch_size", "16", *TWO)
    line, left = pair.end_of(pair.second), pair.second
    step, more = step_of(left.disk), line.split("on one machine add: ")[1].split()
    epochs = str(step // 3 + 3)
    one = alone(pair.top / "one", *MIXTURE, *EVEN, FOR, epochs, "--data.batch_size", "32")
    pair.on(left, "fit", "--ckpt_path", "runs/version_0", *more, FOR, epochs)
    far = farthest(validated(one), validated(left.disk))
    hold(far < 1e-4, f"figures differ by {far:.1e}", pair.told)
    yield f"resumed on the one that is left at step {step}, to {3 * int(epochs)}: figures differ by at most {far:.0e}"


def but_checks(one: Path, other: Path, number: int) -> list[str]:
    """Where bits differ; the curves of a first machine that was lost are lost with it."""
    return [each for each in but_config(one, other) if number == 1 or not each.startswith("/events")]


def cut(pair: Pair) -> Iterator[str]:
    """A cable is cut, so that nothing tells a machine that the other is lost."""
    limit = ("--trainer.strategy.timeout", "0:00:30")
    began = pair.killed(1, *DIGITS, FOR, "100000", *TWO, *limit, by_cable=True)
    line, seconds = pair.end_of(pair.first), time.monotonic() - began
    yield f"cable cut, timeout 30 s: the first ended after {seconds:.0f} s, with one line: {line}"


def study(pair: Pair) -> Iterator[str]:
    """Cells of a study on a Ray cluster, whose machines share no disk; one dies with a cell."""
    asked = ["reproduce", "priors", "--models", ",".join(CELLS), "--out", "out"]
    one = alone(pair.top / "one", *asked) / "out" / "results.json"
    seconds = shared(pair, asked, lambda: at_work(pair.second))
    found = pair.first.disk / "out" / "results.json"
    hold(one.read_bytes() == found.read_bytes(), "results differ", pair.told)
    yield f"{len(CELLS)} cells, a machine killed with one of them: the results of one process; {seconds:.0f} s"


def sweep(pair: Pair) -> Iterator[str]:
    """Runs of a sweep on a Ray cluster, whose machines share its folder; one dies with a run."""
    asked = ["sweep", *DIGITS[1:], FOR, "30", "--grid.seed_everything", "0..3"]
    one = alone(pair.top / "one", *asked, "--out", str(pair.top / "one" / "out"))
    out = pair.top / "out"  # both machines see it
    seconds = shared(pair, [*asked, "--out", str(out)], lambda: at_work(pair.second) and any(out.rglob("last.ckpt")))
    for seed in range(4):
        name = Path(f"seed_everything={seed}", "checkpoints", "last.ckpt")
        same = weights(one / "out" / name) == weights(out / name)
        hold(same, f"{name} differs", pair.told)
    yield f"4 runs, a machine killed with one of them: the weights of one process, bit for bit; {seconds:.0f} s"


CELLS = ("standard-normal", "IWAE-K-1")
CHECKS: dict[str, Callable[[Pair], Iterator[str]]] = {
    "equal": equal, "lost": lost, "cut": cut, "study": study, "sweep": sweep,
}  # fmt: skip


def main() -> None:
    """Try each; exit status 1 if one does not hold."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", nargs="+", choices=CHECKS, default=list(CHECKS))
    if reason := why_not():
        sys.exit(reason)
    failed = 0
    for name in parser.parse_args().only:
        with tempfile.TemporaryDirectory(prefix="machines-") as folder, machines(Path(folder, "m")) as two:
            began = time.monotonic()
            try:
                for line in CHECKS[name](Pair(two, Path(folder))):
                    print(f"  {name}: {line}", flush=True)
            except Failed as error:
                failed += 1
                print(f"FAILED {name}: {error}", flush=True)
            print(f"{name}: {time.monotonic() - began:.0f} s", flush=True)
    sys.exit(bool(failed))


if __name__ == "__main__":
    main()
