"""Configurations: the folder of a run -> the files of its options, and the step from which each holds."""

from __future__ import annotations

from pathlib import Path


def configurations(folder: Path) -> list[tuple[int, Path]]:
    """`config.yaml`, of the beginning, and those of the steps from which the run went on with other options."""
    later = [(file.stem.removeprefix("config-"), file) for file in folder.glob("config-*.yaml")]
    return [(0, folder / "config.yaml"), *sorted((int(step), file) for step, file in later if step.isdecimal())]


def configuration_from(step: int, folder: Path) -> Path:
    """The file of the options from this step on."""
    return folder / f"config-{step:08d}.yaml"
