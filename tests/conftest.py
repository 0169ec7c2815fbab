import gc
import os
import signal
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import matplotlib
import pytest
import torch
from hypothesis import settings
from support.archive import write_miniature
from support.checked import check_quickly
from support.real_data import find_real_newsgroups

check_quickly()

# what is parsed once is kept for the tests alone; matplotlib keeps its list of fonts where it was
os.environ.setdefault("TORCHINDUCTOR_VEC_ISA_OK", "1")  # else torch tries out six compilations for it, five seconds
os.environ["MPLCONFIGDIR"] = os.environ.get("MPLCONFIGDIR") or matplotlib.get_configdir()
_cache = tempfile.TemporaryDirectory(prefix="vae-lightning-tests-")
os.environ["XDG_CACHE_HOME"] = _cache.name

torch.set_num_threads(1)  # a forked child has none of the threads that its parent's operations were shared among
# as what records does first, see `process.let_autograd_count_devices`: tests trace functions by themselves
torch.zeros((), requires_grad=True).backward()

# as a terminal starts a command: what a shell runs in the background has SIGINT ignored, and would leave it so
signal.signal(signal.SIGINT, signal.default_int_handler)

_ended_early: list[str] = []


def pytest_internalerror(excinfo: pytest.ExceptionInfo[BaseException]) -> None:
    """Keep why pytest, or a worker of it, could not go on."""
    _ended_early.append(str(excinfo.value) or repr(excinfo.value))


def pytest_collection_finish() -> None:
    """What was imported and collected, a million objects, is there to stay: not to be looked through for garbage."""
    gc.collect()
    gc.freeze()


def pytest_unconfigure(config: pytest.Config) -> None:
    """Say it once more as the last thing: what it has broken is told after it, and at length."""
    gc.unfreeze()  # else libraries that look for leaks as the process ends speak of them
    if _ended_early and not hasattr(config, "workerinput"):
        print("The first error outside the tests:", *_ended_early[0].splitlines()[-12:], sep="\n", file=sys.stderr)


settings.register_profile("steady", deadline=None, derandomize=True)  # the same on a busy machine, and every time
settings.load_profile("steady")


@pytest.fixture(autouse=True)
def no_global_seed() -> Iterator[None]:
    """A run of the command in this process leaves its seed in the environment, where later models would find it."""
    os.environ.pop("PL_GLOBAL_SEED", None)
    yield
    os.environ.pop("PL_GLOBAL_SEED", None)


@pytest.fixture(scope="session")
def miniature(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a small archive of the same format as 20 Newsgroups; read it with `hashes=None`."""
    return write_miniature(tmp_path_factory.mktemp("miniature"))


@pytest.fixture(scope="session")
def real_newsgroups() -> Path:
    """The folder with the real archive, from VAE_LIGHTNING_DATA."""
    return find_real_newsgroups()
