"""A Ray cluster of two machines, and a command that it shares the work of, though one of them dies."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from support.machines import Machine
from support.started import HERE, Pair, hold

_PORT = 6379
_START = (sys.executable, "-m", "ray.scripts.scripts", "start", "--block", "--num-cpus", "1", "--disable-usage-stats")
_SMALL = ("--object-store-memory", "100000000")
_PATIENCE = 600.0  # seconds


@contextmanager
def cluster(pair: Pair) -> Iterator[str]:
    """One core of each machine; the address."""
    address, own = f"{pair.first.address}:{_PORT}", pair.top / "ray"
    head = ("--head", "--port", str(_PORT), "--temp-dir", str(own), "--include-dashboard", "false")
    for each, role in ((pair.first, head), (pair.second, ("--address", address))):
        said = pair.top / f"ray-{each.number}"
        each.start([*_START, *_SMALL, "--node-ip-address", each.address, *role], said, **HERE)
        _wait(lambda said=said: "Ray runtime started" in said.read_text(), "Ray does not start", said)
    yield address
    for each in pair.machines:
        each.pull_the_plug()


def shared(pair: Pair, arguments: list[str], lost_when: Callable[[], bool] | None = None) -> float:
    """The command on the first machine, work on both; the second dies when it is time. How many seconds it took."""
    began = time.monotonic()
    with cluster(pair) as address:
        began = time.monotonic()
        command = [sys.executable, "-m", "vae_lightning", *arguments]
        started = pair.first.start(command, pair.told, RAY_ADDRESS=address, **HERE)
        if lost_when is not None:
            _wait(lost_when, "nothing is at work on the second machine", pair.told)
            pair.second.pull_the_plug()
        status = started.wait(_PATIENCE)
        hold(status == 0, f"status {status}", pair.told)
    return time.monotonic() - began


def at_work(machine: Machine, name: str = "ray::") -> bool:
    """Whether a worker of this machine has an item."""
    running = subprocess.run(
        ["ps", "-o", "args=", "-p", ",".join(map(str, machine.processes()))], capture_output=True, check=False
    )
    return any(line.startswith(f"{name}run") for line in running.stdout.decode().splitlines())


def _wait(happens: Callable[[], bool], what: str, told: Path) -> None:
    until = time.monotonic() + _PATIENCE
    while not happens():
        hold(time.monotonic() < until, what, told)
        time.sleep(0.2)
