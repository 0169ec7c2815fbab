"""What is published: the archives that build without a network, the environment they go into, and how it is cited."""

from __future__ import annotations

import os
import subprocess
import sys
import sysconfig
import tarfile
import tomllib
import venv
import zipfile
from pathlib import Path

import floors
import pytest
import yaml
from support.command import ROOT

from vae_lightning.training.shipped import names

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
NEEDED = {"CHANGELOG.md", "CITATION.cff", "LICENSE", "PKG-INFO", "README.md", "SECURITY.md", "constraints.txt"}


@pytest.fixture(scope="module")
def sdist(tmp_path_factory: pytest.TempPathFactory) -> Path:
    builder = pytest.importorskip("hatchling.builders.sdist").SdistBuilder(str(ROOT))
    (archive,) = builder.build(directory=str(tmp_path_factory.mktemp("sdist")), versions=["standard"])
    return Path(archive)


@pytest.fixture(scope="module")
def wheel(sdist: Path) -> Path:
    """Built from the unpacked sdist, as pip does it of a package without a wheel."""
    with tarfile.open(sdist) as archive:
        archive.extractall(sdist.parent, filter="data")
    unpacked = sdist.parent / sdist.name.removesuffix(".tar.gz")
    builder = pytest.importorskip("hatchling.builders.wheel").WheelBuilder(str(unpacked))
    (built,) = builder.build(directory=str(sdist.parent), versions=["standard"])
    return Path(built)


def test_the_sdist_has_what_the_wheel_is_made_of_and_no_more(sdist: Path) -> None:
    with tarfile.open(sdist) as archive:
        inside = [name.partition("/")[2] for name in archive.getnames()]
    outside = {name for name in inside if not name.startswith("vae_lightning/")}
    assert outside == NEEDED | {"pyproject.toml", ".gitignore"}
    assert sdist.stat().st_size < 2e6


def test_the_wheel_has_every_configuration_and_the_weights_of_features(wheel: Path) -> None:
    """So that `--config digits/vae` finds one wherever it is installed."""
    held = set(zipfile.ZipFile(wheel).namelist())
    assert {f"vae_lightning/configs/{name}.yaml" for name in names()} <= held
    assert "vae_lightning/metrics/images/celeba-features.ckpt" in held  # which metrics.AttributeFeatures reads
    assert not [name for name in held if name.endswith((".pyc", ".index"))]


PROGRAM = """
import sys
from pathlib import Path
sys.path.append(sys.argv[1])
import vae_lightning
from vae_lightning.cli import main
assert Path(vae_lightning.__file__).is_relative_to(sys.prefix), vae_lightning.__file__
main(["--version"])
main("fit --config digits/vae --trainer.max_epochs 1 --trainer.callbacks [] --trainer.accelerator cpu".split())
main(["search", "--ckpt", sys.argv[2], "--query", "the shuttle reached its orbit", "--k", "10"])
"""
if "ENDURANCE" in os.environ:  # as `make soak` sets it: half a minute
    PROGRAM += 'main("reproduce mixture --scale quick".split())\n'


def test_the_wheel_alone_trains_and_searches_in_an_empty_environment_and_home(wheel: Path, tmp_path: Path) -> None:
    """What it depends on is lent by this environment's folder; there is no network, no checkout and no pip in it."""
    environment, home = tmp_path / "environment", tmp_path / "home"
    home.mkdir()
    venv.create(environment, with_pip=False)
    python = environment / "bin" / "python"
    target = next((environment / "lib").glob("python*")) / "site-packages"
    install = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--no-index", "--target", target, wheel]
    subprocess.run(install, check=True)
    lent = sysconfig.get_paths()["purelib"]
    run = subprocess.run(
        [python, "-I", "-c", PROGRAM, lent, ROOT / "checkpoints" / "newsgroups-8bit.ckpt"],
        cwd=home, env={"PATH": os.environ["PATH"], "HOME": str(home), "OMP_NUM_THREADS": "1"},
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert run.returncode == 0, run.stderr
    assert f"vae-lightning {PROJECT['version']}" in run.stdout
    assert (home / "runs" / "version_0" / "checkpoints" / "best.ckpt").is_file()
    assert "ENDURANCE" not in os.environ or (home / "runs" / "reproduce" / "mixture" / "table.md").is_file()


def test_the_citation_has_the_version_and_no_person() -> None:
    cited = yaml.safe_load((ROOT / "CITATION.cff").read_text())
    assert {"cff-version", "message", "title", "authors", "version", "license"} <= cited.keys()
    assert cited["version"] == PROJECT["version"]
    assert cited["license"] == PROJECT["license"]
    assert all(author.keys() == {"name"} for author in cited["authors"])  # an entity


def test_the_floors_that_are_tested_are_those_that_are_promised() -> None:
    """`make floors` installs constraints-floors.txt; `python tests/floors.py` writes it."""
    assert floors.KEPT.read_text() == floors.floors()
    lines = floors.floors().splitlines()
    assert len({line.partition("==")[0] for line in lines}) == len(lines)  # extras agree on what they share
    assert {"torch==2.11", "lightning==2.6.6"} <= set(lines)


def test_extras_have_their_names() -> None:
    assert {"text", "ray", "mcmc", "bench", "docs", "search", "flows", "dev"} == PROJECT["optional-dependencies"].keys()
