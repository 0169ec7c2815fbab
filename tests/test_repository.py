"""The repository's own promises: exact versions, no index, a layer for every module, an import without effect."""

import ast
import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import jaxtyping
import pytest
import torch
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version
from support.archive import ARCHIVE
from support.real_data import find_real_newsgroups

import vae_lightning
from vae_lightning.estimators.base import local_signals, mean
from vae_lightning.training.shipped import FOLDER

ROOT = Path(__file__).parent.parent
PYPROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
FOLDERS = (".ci", "benchmarks", "checkpoints", "configs", "docs", "tests", "vae_lightning")
TEXT = {"", ".cfg", ".json", ".md", ".py", ".sh", ".toml", ".txt", ".yaml", ".yml"}


def text_files() -> list[Path]:
    """What the repository holds, without what a run or a tool leaves beside it."""
    inside = (path for folder in FOLDERS for path in (ROOT / folder).rglob("*") if "__pycache__" not in path.parts)
    return [path for path in (*ROOT.glob("*"), *inside) if path.is_file() and path.suffix in TEXT]


def pinned() -> dict[str, Version]:
    lines = (ROOT / "constraints.txt").read_text().splitlines()
    return {canonicalize_name(name): Version(version) for name, version in (line.split("==") for line in lines)}


def requirements() -> list[Requirement]:
    project = PYPROJECT["project"]
    extras = project["optional-dependencies"]
    return [Requirement(line) for line in (*project["dependencies"], *extras["dev"], *extras["docs"], *extras["bench"])]


def test_no_file_names_a_package_index():
    index = re.compile(r"index[-_]url|find[-_]links|pypi\.org|pythonhosted\.org|https?://\S+/(simple|whl)\b")
    found = [f"{path.name}: {match[0]}" for path in text_files() for match in index.finditer(path.read_text())]
    assert found == []


def test_constraints_are_exact_versions_in_order_and_nothing_else():
    lines = (ROOT / "constraints.txt").read_text().splitlines()
    assert all(re.fullmatch(r"[A-Za-z0-9._-]+==[0-9][A-Za-z0-9.!]*", line) for line in lines)
    assert lines == sorted(lines, key=str.upper)
    assert "vae-lightning" not in pinned()


@pytest.mark.parametrize("requirement", requirements(), ids=lambda requirement: requirement.name)
def test_every_dependency_is_pinned_to_a_version_that_the_package_accepts(requirement):
    assert requirement.specifier.contains(pinned()[canonicalize_name(requirement.name)])


def test_every_module_has_one_layer_and_every_layer_is_a_module():
    (contract,) = PYPROJECT["tool"]["importlinter"]["contracts"]
    layers = [name for line in contract["layers"] for name in line.split(" | ")]
    inside = list((ROOT / "vae_lightning").iterdir())
    modules = {path.stem for path in inside if path.suffix == ".py" or any(path.rglob("*.py"))}
    assert len(layers) == len(set(layers))
    assert set(layers) == modules - {"__init__", "__main__", "__pycache__"}


def test_configurations_are_those_of_the_package():
    assert (ROOT / "configs").resolve() == FOLDER  # which others name by the repository's folder


PACKAGE = ROOT / "vae_lightning"
TREES = {path.relative_to(PACKAGE).as_posix(): ast.parse(path.read_text()) for path in PACKAGE.rglob("*.py")}
KNOWS_KINDS = ("distributions/", "families/")


def concrete_kinds():
    """The names of torch's distributions, and of this package's distributions and families."""
    classes = [node for tree in TREES.values() for node in ast.walk(tree) if isinstance(node, ast.ClassDef)]
    of_a_kind = {"td.Distribution", "Distribution", "ExponentialFamily"}
    ours = {node.name for node in classes if of_a_kind & {ast.unparse(base) for base in node.bases}}
    return (ours | set(torch.distributions.__all__)) - of_a_kind


KINDS = concrete_kinds()


def cases_per_family(path):
    """Where a module asks for one kind of distribution or family by its class, as `path:line: what`."""
    tree = TREES[path]
    own = {node.name for node in ast.walk(tree) if isinstance(node, ast.ClassDef)}
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and node.attr == "base_dist":
            yield f"{path}:{node.lineno}: base_dist"
        for name in asked_for(node):
            if name in KINDS and not (registers(node) and name in own):
                yield f"{path}:{node.lineno}: {name}"


def asked_for(node):
    """The classes that isinstance, a pattern, a comparison of types or a dispatch on types names."""
    named = []
    if isinstance(node, ast.Call) and getattr(node.func, "id", "") in ("isinstance", "issubclass"):
        named = [node.args[1]]
    if isinstance(node, ast.MatchClass):
        named = [node.cls]
    if isinstance(node, ast.Compare) and "type(" in ast.unparse(node):
        named = node.comparators
    if registers(node):
        named = [node.args.args[0].annotation]
    parts = [part for each in named for part in ast.walk(each)]
    return [part.id for part in parts if isinstance(part, ast.Name)] + [
        part.attr for part in parts if isinstance(part, ast.Attribute)
    ]


def registers(node):
    decorators = getattr(node, "decorator_list", [])
    return any(ast.unparse(each).partition("(")[0].endswith(".register") for each in decorators)


def test_nothing_above_families_has_a_case_per_family():
    """What kind a distribution or a family is, `distributions` and `families` tell: nobody else looks at its class.

    A module may tell them how its own kind of distribution answers what they ask.
    """
    above = [path for path in TREES if not path.startswith(KNOWS_KINDS)]
    assert len(above) > 200
    assert [case for path in above for case in cases_per_family(path)] == []
    assert len(list(cases_per_family("distributions/sampling.py"))) > 2  # where the cases are


def test_the_version_is_said_once():
    assert vae_lightning.__version__ == PYPROJECT["project"]["version"]
    assert f"## [{vae_lightning.__version__}]" in (ROOT / "CHANGELOG.md").read_text()


def test_make_alone_explains_every_target():
    targets = re.search(r"\.PHONY: (.*)", (ROOT / "Makefile").read_text())[1].split()
    said = subprocess.run(["make", "--no-print-directory"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    assert {"demo", "test", "lint", "bench", "lock", "image", "clean"} <= set(targets)
    assert re.findall(r"^  make (\w+) +\S", said, re.MULTILINE) == targets


def test_make_says_in_one_line_that_python_is_too_old(tmp_path):
    old = tmp_path / "python3"
    old.write_text('#!/bin/sh\n[ "$1" = --version ] && echo Python 3.9.2 || exit 1\n')
    old.chmod(0o755)
    venv = tmp_path / "venv"
    run = subprocess.run(
        ["make", "test", f"PYTHON={old}", f"VENV={venv}"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    complaint = [line for line in run.stderr.splitlines() if not line.startswith("make")]
    assert run.returncode != 0
    assert not venv.exists()
    assert len(complaint) == 1
    assert re.search(r"3\.11 or newer is needed, .* is Python 3\.9\.2", complaint[0])


@pytest.fixture
def checkout(tmp_path):
    """A checkout with .ci/run and a Makefile that tells what it is given; no data beside it."""
    script = tmp_path / "checkout" / ".ci" / "run"
    script.parent.mkdir(parents=True)
    script.write_bytes((ROOT / ".ci" / "run").read_bytes())
    (tmp_path / "checkout" / "Makefile").write_text('lint docs test:\n\t@echo "$@ $$CI $$VAE_LIGHTNING_DATA"\n')
    return tmp_path / "checkout"


def run_ci(checkout, **environment):
    return subprocess.run(
        ["bash", str(checkout / ".ci" / "run")],
        env={"PATH": os.environ["PATH"], **environment},
        stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False,
    )  # fmt: skip


@pytest.mark.parametrize("empty_folder", [False, True])
def test_continuous_integration_fails_in_one_line_without_the_real_data(checkout, empty_folder):
    if empty_folder:
        (checkout.parent / "shared" / "data").mkdir(parents=True)
    run = run_ci(checkout)
    assert run.returncode == 1
    assert run.stdout == ""
    assert re.fullmatch(r".*there is no \.\./shared/data/20news-bydate-matlab\.tgz\n", run.stderr)


def test_continuous_integration_says_so_to_the_tests(checkout):
    data = checkout.parent / "shared" / "data"
    data.mkdir(parents=True)
    (data / ARCHIVE).touch()
    assert run_ci(checkout).stdout.splitlines() == [f"{target} true {data}" for target in ("lint", "docs", "test")]
    assert run_ci(checkout, CI="1").stdout.splitlines() == [f"{target} 1 {data}" for target in ("lint", "docs", "test")]


def test_tests_of_real_data_are_skipped_without_it_but_fail_continuous_integration(monkeypatch, tmp_path):
    monkeypatch.setenv("VAE_LIGHTNING_DATA", str(tmp_path))
    monkeypatch.setenv("CI", "true")
    with pytest.raises(pytest.fail.Exception, match="set VAE_LIGHTNING_DATA to a folder with"):
        find_real_newsgroups()
    monkeypatch.delenv("CI")
    with pytest.raises(pytest.skip.Exception, match="set VAE_LIGHTNING_DATA to a folder with"):
        find_real_newsgroups()
    (tmp_path / ARCHIVE).touch()
    assert find_real_newsgroups() == tmp_path


def test_shapes_are_checked_in_the_tests():
    with pytest.raises(jaxtyping.TypeCheckError):
        local_signals(torch.zeros(3, 2), torch.zeros(4, 2), mean)  # two numbers of samples


def test_importing_everything_changes_nothing():
    """One process imports every module and compares torch, NumPy, random and the environment before and after."""
    program = """
import os, pkgutil, random, importlib, warnings
import numpy, torch, lightning.pytorch, matplotlib, sklearn

def state():
    return {
        "default dtype": torch.get_default_dtype(),
        "default device": torch.get_default_device(),
        "threads": (torch.get_num_threads(), torch.get_num_interop_threads()),
        "gradients": torch.is_grad_enabled(),
        "deterministic": torch.are_deterministic_algorithms_enabled(),
        "precision": torch.get_float32_matmul_precision(),
        "validation of arguments": torch.distributions.Distribution._validate_args,
        "torch's random state": torch.get_rng_state().tolist(),
        "NumPy's random state": repr(numpy.random.get_state()),
        "Python's random state": random.getstate(),
        "matplotlib": dict(matplotlib.rcParams.copy()),
        "environment": dict(os.environ),
        "CUDA": torch.cuda.is_initialized(),
    }

import vae_lightning
before = state()
names = [m.name for m in pkgutil.walk_packages(vae_lightning.__path__, "vae_lightning.")]
for name in names:
    importlib.import_module(name)
after = state()
print(len(names), [key for key in before if before[key] != after[key]])
"""
    run = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stderr
    modules, changed = run.stdout.strip().split(maxsplit=1)
    assert int(modules) > 40
    assert changed == "[]"
