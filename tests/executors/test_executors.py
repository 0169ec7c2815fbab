"""Each item has its result, wherever it is computed; one whose process dies takes nothing with it."""

from __future__ import annotations

import os
import signal
import sys
import time
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest
from support.command import process

from vae_lightning.executors import Forked, Local, RayCluster, chosen_executor
from vae_lightning.signals import Interrupted, signals


def square(item: int) -> int:
    return item**2


def dies(item: int) -> int:
    if item == 1:
        os.kill(os.getpid(), signal.SIGKILL)
    if item == 2:
        os._exit(3)
    return item


@pytest.mark.parametrize("jobs", [1, 3])
def test_children_give_each_item_its_result(jobs: int) -> None:
    assert sorted(Forked(jobs).each(square, range(5))) == [(n, n**2) for n in range(5)]


def test_no_more_than_so_many_run_at_once_and_items_are_taken_when_there_is_a_place() -> None:
    """What comes back is known when the next item is chosen."""
    taken, done = [], []

    def items() -> Any:
        for number in range(4):
            taken.append((number, len(done)))
            yield number

    for item, _ in Forked(2).each(square, items()):
        done.append(item)
    assert all(number - ended <= 2 for number, ended in taken)
    with pytest.raises(ValueError, match="at least 1; got 0"):
        Forked(0)


def test_a_child_that_dies_is_lost_and_the_others_are_not() -> None:
    found = dict(Forked(1).each(dies, range(4), lambda item, reason: reason))
    assert found == {0: 0, 1: "its process was ended by SIGKILL", 2: "its process ended with 3", 3: 3}
    with pytest.raises(RuntimeError, match="1: its process was ended by SIGKILL"):
        list(Forked(1).each(dies, [1]))


def test_a_signal_ends_the_children_and_waits_for_them(tmp_path: Path) -> None:
    def waits(item: int) -> None:
        signal.signal(signal.SIGTERM, lambda *_: (tmp_path / f"ended-{item}").touch() or os._exit(0))
        (tmp_path / f"began-{item}").touch()
        if item == 1:
            while not (tmp_path / "began-0").exists():
                time.sleep(0.01)
            os.kill(os.getppid(), signal.SIGTERM)
        time.sleep(60)

    with pytest.raises(Interrupted), signals.handling():
        list(Forked(2).each(waits, [0, 1]))
    assert sorted(path.name for path in tmp_path.glob("ended-*")) == ["ended-0", "ended-1"]


class Cluster(ModuleType):
    """Ray as far as it is used; a task whose worker dies raises where its result is asked for."""

    def __init__(self) -> None:
        super().__init__("ray")
        self.most, self.cancelled = 0, []

    def init(self, ignore_reinit_error: bool) -> None:
        assert ignore_reinit_error

    def remote(self, num_cpus: int) -> Any:
        return lambda work: SimpleNamespace(remote=lambda item: (work, item))

    def wait(self, running: list[Any]) -> tuple[list[Any], list[Any]]:
        self.most = max(self.most, len(running))
        return running[:1], running[1:]

    def get(self, promise: Any) -> Any:
        work, item = promise
        if item == 1:
            raise RuntimeError("the worker died\nof memory")
        return work(item)

    def cancel(self, promise: Any) -> None:
        self.cancelled.append(promise[1])


@pytest.fixture
def cluster(monkeypatch: pytest.MonkeyPatch) -> Cluster:
    found = Cluster()
    monkeypatch.setitem(sys.modules, "ray", found)
    monkeypatch.setenv("RAY_ADDRESS", "auto")
    return found


def test_a_cluster_loses_a_task_and_goes_on(cluster: Cluster) -> None:
    found = list(chosen_executor(Local(), at_once=2).each(square, range(4), lambda item, reason: -1))
    assert found == [(0, 0), (1, -1), (2, 4), (3, 9)]
    assert cluster.most == 2
    with pytest.raises(RuntimeError, match="the worker died"):
        list(RayCluster().each(square, [1]))


def test_what_a_cluster_has_not_done_is_cancelled(cluster: Cluster) -> None:
    results = RayCluster().each(square, [0, 2, 3])
    assert next(results) == (0, 0)
    results.close()
    assert cluster.cancelled == [2, 3]


ITSELF = """
import ray
from vae_lightning.executors import RayCluster
ray.init(num_cpus=2, include_dashboard=False, object_store_memory=100_000_000)
print(sorted(RayCluster().each(lambda item: item**2, range(5))))
"""


def test_ray_itself_gives_each_item_its_result() -> None:
    """Where it is installed, as `make floors` does; in a process of its own, since checked functions cannot be sent."""
    pytest.importorskip("ray", reason="the extra `ray` is not installed")
    done = process("-c", ITSELF, program=())
    assert done.stdout.splitlines()[-1:] == ["[(0, 0), (1, 1), (2, 4), (3, 9), (4, 16)]"], done.stderr
