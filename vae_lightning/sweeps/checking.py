"""Checking: the options of a run -> its whole configuration, by the parser of `fit`, before anything is built."""

from __future__ import annotations

from collections.abc import Sequence

import yaml

from vae_lightning.sweeps.comparison.options import Options, leaves
from vae_lightning.training import TrainingCLI


class Checker(TrainingCLI):
    """Parses as `fit` does, and goes no further: a mistake ends the command with the parser's line and status 2."""

    def options(self, arguments: Sequence[str]) -> Options:
        """Every option of a run, with its value."""
        self.parse_arguments(self.parser, ["fit", *arguments])
        written = self.parser.dump(self.config, skip_link_targets=False, skip_none=False, format="yaml")
        return leaves(yaml.safe_load(written)["fit"])

    def _set_seed(self) -> None:
        """Leave the seed alone: no run begins."""

    def before_instantiate_classes(self) -> None:
        """Prepare nothing."""

    def instantiate_classes(self) -> None:
        """Build nothing."""

    def after_instantiate_classes(self) -> None:
        """Do nothing, since nothing was built."""

    def _run_subcommand(self, subcommand: str) -> None:
        """Run nothing."""


def checker(arguments: Sequence[str]) -> Checker:
    """The parser, which has parsed these options of `fit` by then."""
    made = Checker.run(["fit", *arguments])
    assert isinstance(made, Checker)
    return made
