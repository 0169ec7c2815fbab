"""Dockerfile, .dockerignore and compose.yaml agree with each other; tests/container.py builds and runs them."""

from __future__ import annotations

import re
from fnmatch import fnmatch
from pathlib import Path

import yaml

from vae_lightning.training.shipped import names

ROOT = Path(__file__).parent.parent
DOCKERFILE = (ROOT / "Dockerfile").read_text()


def copied() -> list[str]:
    """What the Dockerfile takes from the checkout, in order."""
    copies = re.findall(r"^COPY (?!--from)(.+) \S+$", DOCKERFILE, re.MULTILINE)
    return [source for sources in copies for source in sources.split()]


def test_what_is_copied_is_there_and_sent_to_the_builder() -> None:
    sent = [line[1:] for line in (ROOT / ".dockerignore").read_text().splitlines() if line.startswith("!")]
    assert all((ROOT / source).exists() for source in copied())
    assert {source.split("/")[0] for source in copied()} == set(sent)


def test_dependencies_are_built_from_two_files_before_anything_else_is_copied() -> None:
    first, *_ = re.findall(r"^COPY (.+) \./$", DOCKERFILE, re.MULTILINE)
    assert first == "pyproject.toml constraints.txt"
    assert copied()[:2] == first.split()


def test_both_stages_begin_with_the_same_base_and_the_last_one_ends_as_a_user() -> None:
    bases = re.findall(r"^FROM (\S+)", DOCKERFILE, re.MULTILINE)
    assert bases == ["${BASE_IMAGE}"] * 2
    assert re.findall(r"^USER (\S+)$", DOCKERFILE, re.MULTILINE) == ["vae"]


def test_the_trainings_of_compose_are_experiments_that_ship() -> None:
    services = yaml.safe_load((ROOT / "compose.yaml").read_text())["services"]
    shipped = {*names()}
    for service in ("train", "train-gpu"):
        configs = re.findall(r"--config ([\w/]+)", services[service]["command"])
        assert configs, service
        assert set(configs) <= shipped


def test_services_of_compose_share_the_volume_of_runs_and_may_write_nowhere_else() -> None:
    services = yaml.safe_load((ROOT / "compose.yaml").read_text())["services"]
    for name, service in services.items():
        (runs,) = (volume for volume in service["volumes"] if fnmatch(volume, "runs:/app/runs*"))
        assert runs.endswith(":ro") is (name == "tensorboard")
        assert service["read_only"] is True
