"""pyproject.toml -> the lowest version of each package that it promises to work with, as constraints of pip.

`make floors` writes them into constraints-floors.txt, installs them, and runs the tests of what depends on them most.
"""

from __future__ import annotations

import tomllib
from pathlib import Path

from packaging.requirements import Requirement

ROOT = Path(__file__).parent.parent
KEPT = ROOT / "constraints-floors.txt"
EXTRAS = ("text", "mcmc", "flows", "search", "ray", "dev")
"""Those that `make floors` installs, beside what the package always needs; `docs` and `bench` need newer versions."""


def requirements() -> list[Requirement]:
    """All of them, one that two extras have twice."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    extras = (project["optional-dependencies"][extra] for extra in EXTRAS)
    return [Requirement(line) for lines in (project["dependencies"], *extras) for line in lines]


def floor(requirement: Requirement) -> str:
    """NAME==VERSION of its one `>=`."""
    (version,) = [each.version for each in requirement.specifier if each.operator == ">="]
    return f"{requirement.name}=={version}"


def floors() -> str:
    """The file: a line each, in the order of their names."""
    return "".join(f"{line}\n" for line in sorted({floor(each) for each in requirements()}, key=str.upper))


if __name__ == "__main__":
    KEPT.write_text(floors())
