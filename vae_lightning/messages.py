"""A library's message -> the line that concerns the user."""

from __future__ import annotations

_NO_FILE = "Expected a path but"  # a class path is tried as the name of a file first


def in_one_line(message: str) -> str:
    """What is wrong, once, without the types that were tried and the configuration that the parser tells around it."""
    around = ("Subtypes:", "Given value", "Does not validate", "Errors:", "Expected a <class 'NoneType'>", _NO_FILE)
    lines = [line.strip().removeprefix("- ") for line in message.splitlines()]
    return " ".join(dict.fromkeys(line for line in lines if line and not line.startswith(around)))
