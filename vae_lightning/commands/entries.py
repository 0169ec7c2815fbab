"""Entries: the words behind a command's name -> it is done; options are read before what takes time is imported."""

from __future__ import annotations

import inspect
from collections.abc import Sequence
from functools import partial
from pkgutil import resolve_name

from vae_lightning.commands.importing import importing


def _train(command: str, arguments: Sequence[str]) -> None:
    with importing():
        from vae_lightning.messages import one_line_warnings
        from vae_lightning.training import TrainingCLI

    with one_line_warnings():  # after Lightning, which sets a format when it is imported
        TrainingCLI.run([command, *arguments])


def _use(command: str, arguments: Sequence[str]) -> None:
    from vae_lightning.commands.parser import parsed

    given = parsed(command, arguments)

    with importing():
        from vae_lightning.commands.use import USE
        from vae_lightning.messages import one_line_warnings

    with one_line_warnings():
        USE[command](given)


def index(arguments: Sequence[str]) -> None:
    """`vae-lightning index`."""
    from vae_lightning.commands.search_parser import parsed_index

    given = parsed_index(arguments)

    with importing():
        from vae_lightning.search import index

    index(**vars(given))


def search(arguments: Sequence[str]) -> None:
    """`vae-lightning search`."""
    from vae_lightning.commands.search_parser import parsed_search

    given = parsed_search(arguments)

    with importing():
        from vae_lightning.search import search

    search(**vars(given))


def reproduce(arguments: Sequence[str]) -> None:
    """`vae-lightning reproduce`."""
    with importing():
        from jsonargparse import ArgumentParser, auto_cli

        from vae_lightning.studies import reproduce
        from vae_lightning.training.parser import TeachingParser

    class Parser(ArgumentParser):
        """Says of a mistake what it is."""

        error = TeachingParser.error

    about = (inspect.getdoc(reproduce) or "").partition("Args:")[0].strip()
    auto_cli(reproduce, args=list(arguments), prog="vae-lightning reproduce", parser_class=Parser, description=about)


def _tell(command: str, by: str, arguments: Sequence[str]) -> None:
    """`by` is a function of a room beside this one, which takes the options by their names."""
    from vae_lightning.commands import telling_parser

    given = telling_parser.PARSED[command](arguments)
    with importing():
        write = resolve_name(by)
    write(**vars(given))


fit, validate, test, predict = (partial(_train, command) for command in ("fit", "validate", "test", "predict"))
encode, decode, reconstruct, interpolate = (
    partial(_use, command) for command in ("encode", "decode", "reconstruct", "interpolate")
)
sample, score, impute = (partial(_use, command) for command in ("sample", "score", "impute"))
report, card = (partial(_tell, name, f"vae_lightning.reports:{name}") for name in ("report", "card"))
export = partial(_tell, "export", "vae_lightning.exports:export")
