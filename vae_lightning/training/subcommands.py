"""OneSubcommand: the arguments of a LightningCLI -> the parser of the subcommand that they ask for, and no other."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from typing import Any

import lightning.pytorch as pl
from lightning.pytorch.cli import LightningArgumentParser, LightningCLI

from vae_lightning.training import help as texts


class OneSubcommand(LightningCLI):
    """Lightning's `fit`, `validate`, `test` and `predict`, with options described anew."""

    # _add_subcommands and _prepare_subcommand_parser are private, for want of a public place: see TrainingCLI.

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        given: Sequence[str] = kwargs.get("args") or ()
        self.asked = given[0] if given else None
        super().__init__(*args, **kwargs)

    @staticmethod
    def subcommands() -> dict[str, set[str]]:
        """Lightning's four, without an option that counts for nothing here: checkpoints are always data alone."""
        return {name: skip | {"weights_only"} for name, skip in LightningCLI.subcommands().items()}

    def _add_subcommands(self, parser: LightningArgumentParser, **kwargs: Any) -> None:
        """Make the parser of the subcommand that is asked for alone: each takes a tenth of a second."""
        self._subcommand_parsers = {}
        added = parser.add_subcommands()
        for name in [self.asked] if self.asked in self.subcommands() else self.subcommands():
            made = self._prepare_subcommand_parser(pl.Trainer, name, **kwargs[name])
            self._subcommand_parsers[name] = made
            added.add_subcommand(name, made)

    def _prepare_subcommand_parser(self, klass: type, subcommand: str, **kwargs: Any) -> LightningArgumentParser:
        parser = super()._prepare_subcommand_parser(klass, subcommand, **kwargs)
        (checkpoint,) = (action for action in parser._actions if action.dest == "ckpt_path")
        checkpoint.help = texts.ckpt_path(subcommand)
        start = texts.START_FROM if subcommand == "fit" else argparse.SUPPRESS
        parser.add_argument("--start_from", type=str | None, default=None, help=start)  # others read config.yaml
        return parser
