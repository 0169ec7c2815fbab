"""What a library says, a warning or a mistake on a command line -> the line that concerns the user."""

from __future__ import annotations

import argparse
import sys
import threading
import warnings
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from difflib import get_close_matches
from itertools import takewhile
from pathlib import Path
from typing import NoReturn, cast

_NO_FILE = "Expected a path but"  # a class path is tried as the name of a file first


def in_one_line(message: str) -> str:
    """What is wrong, once, without the types that were tried and the configuration that the parser tells around it."""
    around = ("Subtypes:", "Given value", "Does not validate", "Errors:", "Expected a <class 'NoneType'>", _NO_FILE)
    lines = [line.strip().removeprefix("- ") for line in message.splitlines()]
    return " ".join(dict.fromkeys(line for line in lines if line and not line.startswith(around)))


def printable(text: str) -> str:
    """What a terminal shows, without what it would obey."""
    return "".join(letter if letter.isprintable() else " " for letter in text)


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """`, did you mean NAME?` for the known name nearest to this one; nothing if none is near."""
    near = get_close_matches(name, list(known), n=1, cutoff=0.6) or _nearest_root(name, known)
    return f", did you mean {near[0]}?" if near else ""


def _nearest_root(name: str, known: Iterable[str]) -> list[str]:
    """For `--modle.latent_dim`, whose last part belongs to a class: the known name of its first part."""
    root, dot, rest = name.partition(".")
    return [near + dot + rest for near in get_close_matches(root, list(known), n=1, cutoff=0.6) if near != root]


class CommandParser(argparse.ArgumentParser):
    """The options of `vae-lightning COMMAND`: a mistake is one line, with the option that was probably meant."""

    def __init__(self, command: str, description: str, *, usage: str | None = None, epilog: str | None = None) -> None:
        super().__init__(
            f"vae-lightning {command}",
            usage,
            description,
            epilog,
            formatter_class=argparse.RawDescriptionHelpFormatter,
            allow_abbrev=False,
        )

    def parse(self, arguments: Sequence[str]) -> argparse.Namespace:
        """The options; SystemExit after the help, and for a mistake: a name that is not there before all others."""
        known = [name for action in self._actions for name in action.option_strings]
        for word in takewhile(lambda word: word != "--", arguments):
            if word.startswith("--") and (name := word.partition("=")[0]) not in known:
                self.error(f"there is no option {name}{did_you_mean(name, known)}")
        return self.parse_args(arguments)

    def error(self, message: str) -> NoReturn:
        """One line on standard error, and exit status 2."""
        print(f"vae-lightning: {message}; see {self.prog} --help", file=sys.stderr)
        raise SystemExit(2)


@contextmanager
def one_line_warnings() -> Iterator[None]:
    """Within this block, print a warning of this project as one line, without the code; others as they were printed."""
    others = warnings.formatwarning

    def one_line(
        message: Warning | str, category: type[Warning], filename: str, lineno: int, line: str | None = None
    ) -> str:
        ours = Path(filename).is_relative_to(Path(__file__).parent)
        return f"vae-lightning: {message}\n" if ours else others(message, category, filename, lineno, line)

    warnings.formatwarning = one_line
    try:
        yield
    finally:
        warnings.formatwarning = others


@contextmanager
def unheard(*messages: str) -> Iterator[None]:
    """Within this block, no warning that one of these expressions matches.

    What modules filter as they are imported within it stays filtered, since they are imported once.
    """
    imported: list[object] = []
    try:
        with warnings.catch_warnings():
            for message in messages:
                warnings.filterwarnings("ignore", message=message)
            before = list(warnings.filters)
            try:
                yield
            finally:
                imported += [each for each in warnings.filters if each not in before]
    finally:
        cast("list[object]", warnings.filters)[:0] = imported


@contextmanager
def silent_event_writers() -> Iterator[None]:
    """Within this block, print no traceback of TensorBoard's threads: what ends one is raised where events are from."""
    others = threading.excepthook

    def of_others(args: threading.ExceptHookArgs) -> None:
        if not type(args.thread).__module__.startswith("tensorboard."):
            others(args)

    threading.excepthook = of_others
    try:
        yield
    finally:
        threading.excepthook = others


def moved(old: str, new: str) -> None:
    """Warn whoever uses an old name, which works as the new one does until the next major version."""
    warnings.warn(f"{old} is {new} now; the old name goes with version 2", FutureWarning, stacklevel=3)
