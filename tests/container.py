"""The Docker image, built and run -> whether a run in it is stopped, resumed and watched as the guide promises.

`make container` runs it by `docker`, by $CONTAINER_ENGINE (a command with the same options, such as podman), or, where
neither answers, by $CONTAINER_RUN IMAGE WORDS.... $CONTAINER_BUILD TAG builds in place of `docker build`.
"""

from __future__ import annotations

import argparse
import socket
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path

from support.containers import INSIDE, Containers, Ended, LeftOutError, Place, at_hand, build, waited

PROGRAM = ["env", "OMP_NUM_THREADS=1", "vae-lightning"]  # one thread: quick on a machine that does other work, too
DIGITS = ["fit", "--config", "digits/vae", "--trainer.max_epochs"]
FIT = [*DIGITS, "3", "--data.batch_size", "8", "--last.every_n_steps", "20"]
ONE_EPOCH = [*DIGITS, "1", "--trainer.callbacks", "null"]
NOBODY = "4321:4321"
STEP = "import sys, torch; print(torch.load(sys.argv[1], weights_only=True)['global_step'])"
SAME = """
import sys, torch
one, other = (torch.load(file, weights_only=True) for file in sys.argv[1:])
pairs = [(value, other["state_dict"][name]) for name, value in one["state_dict"].items()]
assert one["global_step"] == other["global_step"] and len(pairs) == len(other["state_dict"])
assert all(torch.equal(*pair) for pair in pairs)
print(sum(value.numel() for value, _ in pairs))
"""
COMPILERS = "for name in cc gcc g++ c++ clang tcc ld as nvcc; do command -v $name; done; true"
CACHES = r"find / -xdev \( -path '*/.cache/*' -o -path '*/pip/http*' -o -path '/tmp/*' -o -path /build \)"


class Bench:
    """An image, and a folder that is the volume of its containers."""

    def __init__(self, containers: Containers, folder: Path) -> None:
        self.containers = containers
        self.runs = self.volume(folder / "runs")
        self.others = self.volume(folder / "others")

    @staticmethod
    def volume(folder: Path) -> Path:
        """A folder that anybody may write to."""
        folder.mkdir()
        folder.chmod(0o777)
        return folder

    def run(self, *words: str) -> Ended:
        """A command of the image, by its own user."""
        return self.containers.run(Place(self.runs), *PROGRAM, *words)

    def step(self, name: str) -> int:
        """Where a run's last checkpoint stands."""
        file = f"{INSIDE}/{name}/checkpoints/last.ckpt"
        return int(self.containers.run(Place(self.runs), "python", "-c", STEP, file).well().out)

    def emptied(self) -> None:
        """Remove what the containers' users wrote, as those users."""
        remove = "sh", "-c", f"rm -rf {INSIDE}/*"
        self.containers.run(Place(self.runs), *remove)
        if any(self.others.iterdir()):
            self.containers.run(Place(self.others, user=NOBODY), *remove)


def it_runs_as_a_user_without_rights_and_finds_its_parts(bench: Bench) -> str:
    user = bench.containers.run(Place(bench.runs), "id", "-u").well().out.strip()
    assert user != "0"
    return f"user {user}, {bench.run('--version').well().out.strip()}"


def it_has_no_compiler_and_no_pip(bench: Bench) -> str:
    assert bench.containers.run(Place(bench.runs), "sh", "-c", COMPILERS).well().out == ""
    assert bench.containers.run(Place(bench.runs), "python", "-m", "pip").status == 1
    return ""


def it_has_no_cache(bench: Bench) -> str:
    found = bench.containers.run(Place(bench.others, user="0:0"), "sh", "-c", CACHES).well().out
    assert found == "", found[:300]
    return ""


def it_fits(bench: Bench) -> str:
    bench.run(*FIT, "--trainer.logger.version", "whole").well()
    assert (bench.runs / "whole" / "metrics.json").is_file()
    return f"{bench.step('whole')} steps"


def sigterm_in_mid_epoch_leaves_a_checkpoint_and_status_143(bench: Bench) -> str:
    once = bench.runs / "stopped" / "checkpoints" / "last.ckpt"
    ended = bench.containers.stopped(Place(bench.runs), once, *PROGRAM, *FIT, "--trainer.logger.version", "stopped")
    assert ended.status == 143, f"status {ended.status}: {ended.err[-500:]}"
    step, epoch = bench.step("stopped"), bench.step("whole") // 3
    assert step % epoch, f"step {step} is the end of an epoch"
    (line,) = [line for line in ended.err.splitlines() if "stopped by SIGTERM" in line]
    return f"at step {step} of the {epoch} of an epoch; {line}"


def another_container_resumes_it_to_the_same_bits(bench: Bench) -> str:
    bench.run("fit", "--ckpt_path", "runs/stopped").well()
    files = [f"{INSIDE}/{name}/checkpoints/last.ckpt" for name in ("whole", "stopped")]
    same = bench.containers.run(Place(bench.runs), "python", "-c", SAME, *files).well()
    assert len({(bench.runs / name / "metrics.json").read_text() for name in ("whole", "stopped")}) == 1
    return f"{int(same.out):,} weights, and metrics.json"


def it_searches_by_a_shipped_checkpoint(bench: Bench) -> str:
    query = "the shuttle reached its orbit"
    found = bench.run("search", "--ckpt", "checkpoints/newsgroups-8bit.ckpt", "--query", query).well().out
    assert found.count("sci.space") >= 5, found
    return f"{found.count('sci.space')} documents of sci.space"


def it_encodes_by_a_shipped_checkpoint(bench: Bench) -> str:
    ckpt = "--ckpt", "checkpoints/celeba.ckpt"
    bench.run("sample", *ckpt, "--n", "4", "--out", "runs/faces").well()
    bench.run("encode", *ckpt, "--data", "runs/faces", "--out", "runs/codes.csv").well()
    header, *rows = (bench.runs / "codes.csv").read_text().splitlines()
    assert len(rows) == 4
    return f"{len(rows)} faces of {header.count(',')} numbers each"


def tensorboard_answers_on_its_port(bench: Bench) -> str:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    words = "--logdir", "runs", "--bind_all", "--port", str(port)

    def answered() -> bool:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/data/runs", timeout=5) as answer:
                return b"whole" in answer.read()
        except (urllib.error.URLError, ConnectionError, TimeoutError):
            return False

    with bench.containers.serving(Place(bench.runs), port, "tensorboard", *words):
        waited(answered, "TensorBoard's list of runs")
    return ""


def a_read_only_file_system_will_do(bench: Bench) -> str:
    place = Place(bench.runs, read_only=True)
    assert bench.containers.run(place, "touch", "/app/file").status == 1
    ended = bench.containers.run(place, *PROGRAM, *ONE_EPOCH, "--trainer.logger.version", "read-only").well()
    assert "read-only" not in ended.err.lower().replace("runs/read-only", ""), ended.err
    return ""


def any_user_will_do(bench: Bench) -> str:
    place = Place(bench.others, user=NOBODY)
    bench.containers.run(place, *PROGRAM, *ONE_EPOCH).well()
    owner = bench.containers.run(place, "stat", "-c", "%u:%g", f"{INSIDE}/version_0/metrics.json").well().out.strip()
    assert owner == NOBODY
    return f"files of {owner}"


def a_volume_that_cannot_be_written_to_is_one_line(bench: Bench) -> str:
    bench.runs.chmod(0o555)
    try:
        ended = bench.run(*ONE_EPOCH)
    finally:
        bench.runs.chmod(0o777)
    (line,) = [line for line in ended.err.splitlines() if line.startswith("vae-lightning: ")]
    assert ended.status == 1
    assert "Permission denied" in line
    assert "Traceback" not in ended.err
    return line


CHECKS: list[Callable[[Bench], str]] = [
    it_runs_as_a_user_without_rights_and_finds_its_parts,
    it_has_no_compiler_and_no_pip,
    it_has_no_cache,
    it_fits,
    sigterm_in_mid_epoch_leaves_a_checkpoint_and_status_143,
    another_container_resumes_it_to_the_same_bits,
    it_searches_by_a_shipped_checkpoint,
    it_encodes_by_a_shipped_checkpoint,
    tensorboard_answers_on_its_port,
    a_read_only_file_system_will_do,
    any_user_will_do,
    a_volume_that_cannot_be_written_to_is_one_line,
]


def outcome(check: Callable[[Bench], str], bench: Bench) -> str:
    """`passed`, `FAILED` or `left out`, printed with what was seen and the seconds that it took."""
    began = time.monotonic()
    try:
        word, seen = "passed", check(bench)
    except LeftOutError as error:
        word, seen = "left out", str(error)
    except (AssertionError, ValueError, OSError) as error:
        word, seen = "FAILED", f"{type(error).__name__}: {error}"
    name = check.__name__.replace("_", " ")
    print(f"{word:8} {time.monotonic() - began:6.1f} s  {name}{f': {seen}' if seen else ''}", flush=True)
    return word


def size(bench: Bench) -> str:
    """That of all files in the image."""
    words = "du", "-sxm", "--exclude=/proc", "--exclude=/sys", f"--exclude={INSIDE}", "/"
    ended = bench.containers.run(Place(bench.runs), *words)  # some folders are root's, and then its status is 1
    if not ended.out:
        sys.exit(f"tests/container.py: nothing runs in {bench.containers.image}: {ended.err.strip()[-300:]}")
    return f"{int(ended.out.split()[0]):,} MiB of files"


def main() -> None:
    """Print each check, and at the end how many passed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--image", default="localhost/vae-lightning", help="the image's name (default: %(default)s)")
    parser.add_argument("--built", action="store_true", help="check the image as it is, without building it")
    options = parser.parse_args()
    containers = at_hand(options.image)
    if not options.built:
        build(containers)
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        Path(folder).chmod(0o755)
        bench = Bench(containers, Path(folder))
        print(f"{options.image}: {size(bench)}", flush=True)
        words = [outcome(check, bench) for check in CHECKS]
        bench.emptied()
    print(", ".join(f"{words.count(word)} {word}" for word in ("passed", "FAILED", "left out")))
    sys.exit("FAILED" in words)


if __name__ == "__main__":
    main()
