"""Two machines on this one: network namespaces joined by a cable, each with a host name and a disk of its own."""

from __future__ import annotations

import ctypes
import os
import secrets
import shutil
import signal
import socket
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

_NEW_MOUNTS, _NEW_HOST_NAME, _NEW_NETWORK = 0x00020000, 0x04000000, 0x40000000  # linux/sched.h
_BIND, _PRIVATE, _RECURSIVE = 0x1000, 1 << 18, 0x4000  # linux/mount.h
_NETWORK = "10.77.0"


@dataclass(frozen=True)
class Machine:
    """What only this machine has: an address, a name, and a folder that it sees as `work`, as the others see theirs."""

    number: int
    namespace: str
    disk: Path
    work: Path
    hosts: Path

    @property
    def name(self) -> str:
        """Of its host."""
        return f"machine{self.number}"

    @property
    def address(self) -> str:
        """By which the others reach it."""
        return f"{_NETWORK}.{self.number + 1}"

    def enter(self) -> None:
        """Move this process, which has one thread, onto the machine; it stands in `work` then."""
        with Path("/var/run/netns", self.namespace).open() as network:
            _call("setns", network.fileno(), _NEW_NETWORK)
        _call("unshare", _NEW_MOUNTS | _NEW_HOST_NAME)
        _call("mount", b"none", b"/", None, _RECURSIVE | _PRIVATE, None)
        nobody_else = {Path("/dev/null"): Path("/etc/resolv.conf"), self.hosts: Path("/etc/hosts")}
        for here, there in ({self.disk: self.work} | nobody_else).items():
            _call("mount", os.fsencode(here), os.fsencode(there), None, _BIND, None)
        socket.sethostname(self.name)
        os.chdir(self.work)

    def start(self, command: Sequence[str], told: Path, **environment: str) -> subprocess.Popen[bytes]:
        """A command on this machine; what it prints goes to the end of a file on the host."""
        with told.open("ab") as out:
            there = os.environ | environment
            return subprocess.Popen(command, stdout=out, stderr=out, env=there, preexec_fn=self.enter)  # noqa: PLW1509

    def processes(self) -> list[int]:
        """The numbers of all processes that it has."""
        return [int(word) for word in _ip("netns", "pids", self.namespace).split()]

    def pull_the_plug(self) -> None:
        """End the machine: all its processes are killed at once, before any of them can act on another's end."""
        for signum in (signal.SIGSTOP, signal.SIGKILL):
            for process in self.processes():
                with suppress(ProcessLookupError):
                    os.kill(process, signum)

    def cut_the_cable(self) -> None:
        """From now on nothing comes from it or reaches it, not even that its processes have ended."""
        _ip("-n", self.namespace, "link", "set", "eth0", "down")


def why_not() -> str | None:
    """Why there can be no second machine here, or None if there can."""
    if not shutil.which("ip"):
        return "a second machine needs the command `ip`, of iproute2"
    name = f"try-{secrets.token_hex(3)}"
    try:
        _ip("netns", "add", name)
        _ip("-n", name, "link", "add", "name", "eth0", "type", "veth", "peer", "name", "eth1")
    except subprocess.CalledProcessError as error:
        return f"a second machine is a network namespace, which cannot be made here: {error.stderr.strip()}"
    finally:
        subprocess.run(["ip", "netns", "del", name], check=False, capture_output=True)
    return None


@contextmanager
def machines(folder: Path, number: int = 2) -> Iterator[list[Machine]]:
    """So many, joined by a switch, each with a disk in the folder; with the block they and their processes end."""
    tag, work, hosts = secrets.token_hex(3), folder / "work", folder / "hosts"
    work.mkdir(parents=True)
    made = [Machine(n, f"m{tag}-{n}", folder / f"disk{n}", work, hosts) for n in range(number)]
    hosts.write_text("".join(f"{each.address} {each.name}\n" for each in made) + "127.0.0.1 localhost\n")
    try:
        _ip("netns", "add", f"m{tag}-switch")
        _ip("-n", f"m{tag}-switch", "link", "add", "switch", "type", "bridge")
        _ip("-n", f"m{tag}-switch", "link", "set", "switch", "up")
        for each in made:
            each.disk.mkdir()
            _connect(each, f"m{tag}-switch")
        yield made
    finally:
        for each in made:
            with suppress(subprocess.CalledProcessError):
                each.pull_the_plug()
            subprocess.run(["ip", "netns", "del", each.namespace], check=False, capture_output=True)
        subprocess.run(["ip", "netns", "del", f"m{tag}-switch"], check=False, capture_output=True)


def of_run(each: Machine, first: Machine, number: int, port: int = 29511) -> Mapping[str, str]:
    """What the one process of a run on this machine finds in its environment, as of `number` machines."""
    world = {"MASTER_ADDR": first.address, "MASTER_PORT": str(port), "WORLD_SIZE": str(number)}
    return world | {"NODE_RANK": str(each.number), "LOCAL_RANK": "0"}


def _connect(each: Machine, switch: str) -> None:
    _ip("netns", "add", each.namespace)
    plug = f"port{each.number}"
    _ip("-n", each.namespace, "link", "add", "eth0", "type", "veth", "peer", "name", plug)
    _ip("-n", each.namespace, "link", "set", plug, "netns", switch)
    _ip("-n", switch, "link", "set", plug, "master", "switch", "up")
    _ip("-n", each.namespace, "addr", "add", f"{each.address}/24", "dev", "eth0")
    for device in ("lo", "eth0"):
        _ip("-n", each.namespace, "link", "set", device, "up")


def _ip(*arguments: str) -> str:
    return subprocess.run(["ip", *arguments], check=True, capture_output=True, text=True).stdout


def _call(name: str, *arguments: object) -> None:
    """A function of the C library that Python 3.11 does not have."""
    libc = ctypes.CDLL(None, use_errno=True)
    if libc[name](*arguments) != 0:
        raise OSError(ctypes.get_errno(), f"{name}: {os.strerror(ctypes.get_errno())}")
