"""A program that runs containers -> commands run in an image, one stopped in mid-way, one that serves."""

from __future__ import annotations

import os
import secrets
import shlex
import shutil
import subprocess
import sys
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

INSIDE = "/app/runs"
"""Where the volume lies in every container here."""

ONCE_THERE = """
"$@" & while kill -0 $! 2>/dev/null && ! [ -e "$0" ]; do sleep 0.1; done
kill -TERM $! 2>/dev/null; wait $!
"""
"""A shell that sends SIGTERM to a command as soon as there is a file, and ends with its status."""


class LeftOutError(Exception):
    """The program at hand cannot run a container like this."""


@dataclass(frozen=True)
class Place:
    """How a container is run: the folder that is its volume, as whom, and whether it may write elsewhere, too."""

    volume: Path
    user: str = ""
    read_only: bool = False


@dataclass(frozen=True)
class Ended:
    """What a command left: its status, what it printed, and what it said on standard error."""

    status: int
    out: str = ""
    err: str = ""

    def well(self) -> Ended:
        """Itself, if the command succeeded."""
        assert self.status == 0, f"status {self.status}: {self.err[-500:]}"
        return self


def run(words: Sequence[str], environment: dict[str, str] | None = None) -> Ended:
    """A command of this machine."""
    done = subprocess.run(words, text=True, capture_output=True, check=False, env=environment)
    return Ended(done.returncode, done.stdout, done.stderr)


def waited(met: Callable[[], bool], what: str, seconds: float = 300) -> None:
    """Until this is so."""
    end = time.monotonic() + seconds
    while not met():
        assert time.monotonic() < end, f"{what}: not within {seconds:.0f} s"
        time.sleep(0.1)


class Containers(ABC):
    """Containers of one image."""

    def __init__(self, image: str) -> None:
        self.image = image

    @abstractmethod
    def run(self, place: Place, program: str, *words: str) -> Ended:
        """A program in a fresh container."""

    @abstractmethod
    def stopped(self, place: Place, once: Path, program: str, *words: str) -> Ended:
        """A program that is sent SIGTERM once there is a file in its volume."""

    @abstractmethod
    def serving(self, place: Place, port: int, program: str, *words: str) -> Iterator[None]:
        """Within the block, a program whose port is that of this machine, too."""


class Engine(Containers):
    """Those of Docker, or of a command that takes the same options."""

    def __init__(self, image: str, command: str) -> None:
        super().__init__(image)
        self.command = command

    def _options(self, place: Place) -> list[str]:
        user = ["--user", place.user] if place.user else []
        return [
            *user,
            *(["--read-only", "--tmpfs", "/tmp"] if place.read_only else []),
            "-v",
            f"{place.volume}:{INSIDE}",
        ]

    def run(self, place: Place, program: str, *words: str) -> Ended:
        """It has no network: nothing here needs one."""
        options = ["--rm", "--network", "none", *self._options(place), "--entrypoint", program]
        return run([self.command, "run", *options, self.image, *words])

    @contextmanager
    def _started(self, place: Place, options: Sequence[str], program: str, *words: str) -> Iterator[str]:
        name = f"vae-lightning-{secrets.token_hex(4)}"
        options = ["--detach", "--name", name, *options, *self._options(place), "--entrypoint", program]
        run([self.command, "run", *options, self.image, *words]).well()
        try:
            yield name
        finally:
            run([self.command, "rm", "--force", name])

    def stopped(self, place: Place, once: Path, program: str, *words: str) -> Ended:
        """As process 1, which has no default action for SIGTERM; in 60 seconds the engine sends SIGKILL."""
        with self._started(place, ["--network", "none"], program, *words) as name:
            running = [self.command, "inspect", "--format", "{{.State.Running}}", name]
            waited(lambda: once.exists() or run(running).out.strip() != "true", f"{once.name} of {place.volume}")
            run([self.command, "stop", "-t", "60", name]).well()
            said = run([self.command, "logs", name])
            return Ended(int(run([self.command, "wait", name]).well().out), said.out, said.err)

    @contextmanager
    def serving(self, place: Place, port: int, program: str, *words: str) -> Iterator[None]:
        """The port is published."""
        with self._started(place, ["--publish", f"127.0.0.1:{port}:{port}"], program, *words):
            yield


class Command(Containers):
    """Those of a command: `IMAGE_RUN_VOLUME=FOLDER:INSIDE RUN IMAGE PROGRAM WORDS...`, on the machine's network."""

    def __init__(self, image: str, command: Sequence[str]) -> None:
        super().__init__(image)
        self.command = command

    def _words(self, place: Place, *words: str) -> tuple[list[str], dict[str, str]]:
        if place.user or place.read_only:
            raise LeftOutError(f"{self.command[0]} has no such option")
        return [*self.command, self.image, *words], os.environ | {"IMAGE_RUN_VOLUME": f"{place.volume}:{INSIDE}"}

    def run(self, place: Place, program: str, *words: str) -> Ended:
        """As the image's own user."""
        return run(*self._words(place, program, *words))

    def stopped(self, place: Place, once: Path, program: str, *words: str) -> Ended:
        """Not as process 1: a shell is its parent."""
        there = f"{INSIDE}/{once.relative_to(place.volume)}"
        return self.run(place, "sh", "-c", ONCE_THERE, there, program, *words)

    @contextmanager
    def serving(self, place: Place, port: int, program: str, *words: str) -> Iterator[None]:
        """Until a file is made."""
        end = place.volume / "enough"
        words = "sh", "-c", ONCE_THERE, f"{INSIDE}/{end.name}", program, *words
        command, environment = self._words(place, *words)
        with subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL):
            try:
                yield
            finally:
                end.touch()


def at_hand(image: str) -> Containers:
    """What runs containers here."""
    engine, command = os.environ.get("CONTAINER_ENGINE", "docker"), os.environ.get("CONTAINER_RUN")
    if shutil.which(engine) and run([engine, "info"]).status == 0:
        return Engine(image, engine)
    if command:
        return Command(image, shlex.split(command))
    sys.exit(
        f"tests/container.py: no '{engine}' answers here: start it, name another engine by CONTAINER_ENGINE=podman, or "
        "a command that runs IMAGE WORDS... by CONTAINER_RUN"
    )


def build(containers: Containers) -> None:
    """Build the image and say its size."""
    builder, began = os.environ.get("CONTAINER_BUILD"), time.monotonic()
    engine = containers.command if isinstance(containers, Engine) else "docker"
    words = [*shlex.split(builder), containers.image] if builder else [engine, "build", "-t", containers.image, "."]
    if subprocess.run(words, cwd=Path(__file__).parents[2], check=False).returncode:
        sys.exit(f"tests/container.py: `{shlex.join(words)}` failed")
    print(f"built in {time.monotonic() - began:.0f} s")
