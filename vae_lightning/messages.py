"""A library's message -> the line that concerns the user."""

from __future__ import annotations


def in_one_line(message: str) -> str:
    """What is wrong, without the types that were tried and the whole configuration that the parser tells around it."""
    around = ("Subtypes:", "Given value", "Does not validate", "Errors:", "Expected a <class 'NoneType'>")
    lines = [line.strip().removeprefix("- ") for line in message.splitlines()]
    return " ".join(line for line in lines if line and not line.startswith(around))
