"""TeachingParser: a mistake on the command line -> one line that says what it is and what may have been meant."""

from __future__ import annotations

import argparse
import inspect
import re
import sys
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any, NoReturn

from lightning.pytorch.cli import LightningArgumentParser

from vae_lightning.messages import did_you_mean
from vae_lightning.training.mistakes import in_words, known_classes

_typed: ContextVar[tuple[str, ...]] = ContextVar("_typed", default=())  # on the command line that is being parsed


class _AsWritten(argparse.RawDescriptionHelpFormatter):
    """Keeps the lines of a docstring, and names of a thousand known subclasses of nn.Module only this project's."""

    def _expand_help(self, action: argparse.Action) -> str:
        return re.sub(r"known subclasses: ([^)]*)", self._ours, super()._expand_help(action))

    @staticmethod
    def _ours(known: re.Match[str]) -> str:
        paths = known[1].split(", ")
        where = "vae_lightning.nn." if "torch.nn.Module" in paths else "vae_lightning."
        ours = [path for path in paths if path.startswith(where)]
        return f"of this project: {', '.join(ours)}" if ours else f"{len(paths)} known subclasses"


@dataclass(frozen=True)
class Nothing:
    """The type of an option that takes nothing but its default, and what to do instead."""

    instead: str

    def __call__(self, value: object) -> NoReturn:
        """Refuse any value."""
        raise argparse.ArgumentTypeError(self.instead)


class TeachingParser(LightningArgumentParser):
    """Says of a mistake what it is, not the whole configuration around it; and of a class what its docstring says."""

    def parse_args(self, args: Any = None, *others: Any, **kwargs: Any) -> Any:
        """Parse; a null that is typed for an option of a class within another comes to its parser as Python's None."""
        if args and getattr(self, "_inner_parser", False):
            args = [re.sub("=None$", "=null", argument) for argument in args]
        elif args:
            _typed.set(tuple(map(str, args)))
        return super().parse_args(args, *others, **kwargs)

    def error(self, message: str, ex: Exception | None = None) -> NoReturn:
        """One line on standard error, and exit status 2."""
        # the parser of a class knows its options without the beginning of their names
        line = in_words(message, [] if getattr(self, "_inner_parser", False) else self._actions, _typed.get())
        if unknown := re.match(r"unrecognized arguments: (--[\w.+]+)", line):
            line += did_you_mean(unknown[1], [name for action in self._actions for name in action.option_strings])
        print(f"vae-lightning: {line}{known_classes(line)}; see --help", file=sys.stderr)
        raise SystemExit(2)

    def validate(self, *args: Any, **kwargs: Any) -> None:
        """Names the option that an unknown one is like: only the parser of its class knows which there are."""
        try:
            super().validate(*args, **kwargs)
        except KeyError as error:
            said = str(error.args[0])
            unknown = re.search(r"ption '([\w.]+)'(?: is not accepted)?$", said.removesuffix(" is not accepted"))
            known = [action.dest for action in self._actions]
            raise type(error)(said + did_you_mean(unknown[1], known) if unknown else said) from error

    def add_subclass_arguments(self, *args: Any, **kwargs: Any) -> Any:
        """Nothing is required before a checkpoint, which may have the model and the data, was looked at."""
        return super().add_subclass_arguments(*args, **kwargs | {"required": False})

    def add_class_arguments(self, theclass: Any, *args: Any, **kwargs: Any) -> list[str]:
        """Show, in the help of one class (`--trainer.callbacks.help CLASS`), its whole docstring up to Args."""
        if (self.description or "").startswith("Help for "):
            path, text = f"{theclass.__module__}.{theclass.__qualname__}", inspect.getdoc(theclass) or ""
            self.description = f"{path}\n\n{text.partition('Args:')[0].strip()}"
            self.formatter_class = type("ClassHelp", (_AsWritten, self.formatter_class), {})
        return super().add_class_arguments(theclass, *args, **kwargs)
