"""Pages in Markdown -> their blocks; what a block shows -> how it differs from what its code printed."""

from __future__ import annotations

import contextlib
import io
import re
import shlex
import tokenize
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from support.command import command

FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.DOTALL | re.MULTILINE)
NUMBER = re.compile(r"(?<![\w.])-?\d+(?:\.\d+)?(?:e[+-]?\d+)?")
CODE = ("python", "sh")
FIGURE = re.compile(r"\d\.\d")


@dataclass(frozen=True)
class Block:
    """A fenced block: its language, and what it holds."""

    language: str
    text: str


def blocks(page: str) -> list[Block]:
    """All of a page, in order."""
    return [Block(*match.groups()) for match in FENCE.finditer(page)]


def unproduced(page: str) -> list[str]:
    """What a page shows without anything that compares it with what its code prints.

    Blocks are `python`, `sh`, `yaml`, and `text`, the output of the block of code before it. No figure is in a comment
    of code, nor in what is indented: equations and commands.
    """
    found = blocks(page)
    wrong = [f"a block of {b.language or 'no language'}" for b in found if b.language not in (*CODE, "yaml", "text")]
    for before, block in pairwise([Block("", ""), *found]):
        if block.language == "text" and before.language not in CODE:
            wrong.append(f"text that no code prints: {block.text}")
    outside = FENCE.sub("", page).splitlines()
    wrong += [f"a fence that is not read: {line}" for line in outside if line.lstrip().startswith(("```", "~~~"))]
    comments = [line for block in found if block.language == "python" for line in _comments(block.text)]
    indented = [line for line in outside if line.startswith("    ")]
    return wrong + [f"a figure that is not printed: {line}" for line in comments + indented if FIGURE.search(line)]


def _comments(code: str) -> list[str]:
    tokens = tokenize.generate_tokens(io.StringIO(code).readline)
    return [token.string for token in tokens if token.type == tokenize.COMMENT]


def shown_and_printed(page: str, every_command: bool = False) -> Iterator[tuple[str, str]]:
    """Run all Python of a page in one namespace, and the commands that show output; what is shown with what came.

    `every_command` runs those that show none, too.
    """
    names: dict[str, Any] = {}
    for block, after in pairwise([*blocks(page), Block("", "")]):
        shows = after.language == "text"
        if block.language == "python" or (block.language == "sh" and (shows or every_command)):
            with contextlib.redirect_stdout(io.StringIO()) as output:
                _run(block, names)
            if shows:
                yield after.text, output.getvalue()


def _run(block: Block, names: dict[str, Any]) -> None:
    if block.language == "python":
        exec(compile(block.text, "page", "exec"), names)
        return
    for line in block.text.replace("\\\n", "").splitlines():
        program, *arguments = shlex.split(line, comments=True)
        assert program == "vae-lightning", f"only vae-lightning's output can be compared, not that of {line}"
        command(*arguments)


def differences(shown: str, printed: str) -> list[str]:
    """Lines that differ: by more than one in the last digit shown of a number, or at all in anything else."""
    left, right = shown.splitlines(), printed.splitlines()
    if len(left) != len(right):
        return [f"{len(left)} lines are shown, {len(right)} printed:\n{printed}"]
    return [f"shown   {a}\nprinted {b}" for a, b in zip(left, right, strict=True) if not _alike(a, b)]


def _alike(shown: str, printed: str) -> bool:
    words = [[" ".join(word.split()) for word in NUMBER.split(line)] for line in (shown, printed)]
    numbers = zip(NUMBER.findall(shown), NUMBER.findall(printed), strict=False)
    return words[0] == words[1] and all(_equal(*pair) for pair in numbers)


def _equal(shown: str, printed: str) -> bool:
    """To the digits shown, give or take one in the last of them; whole numbers exactly."""
    digits, _, exponent = shown.partition("e")
    decimals = len(digits.partition(".")[2])
    unit = 10.0 ** (int(exponent or 0) - decimals) if decimals or exponent else 0.0
    return abs(float(shown) - float(printed)) <= unit * (1 + 1e-6)
