"""Event files -> what TensorBoard's own HPARAMS plugin shows of the runs in a folder."""

from __future__ import annotations

from pathlib import Path

from tensorboard.backend.event_processing.data_provider import MultiplexerDataProvider
from tensorboard.backend.event_processing.plugin_event_multiplexer import EventMultiplexer
from tensorboard.context import RequestContext
from tensorboard.plugins.base_plugin import TBContext
from tensorboard.plugins.hparams.api_pb2 import Experiment
from tensorboard.plugins.hparams.backend_context import Context


def experiment(folder: Path) -> Experiment:
    """The hyper-parameters that the tab has columns for, which of them differ, and the figures beside them."""
    runs = EventMultiplexer()
    runs.AddRunsFromDirectory(str(folder))
    runs.Reload()
    context, request = Context(TBContext(data_provider=MultiplexerDataProvider(runs, str(folder)))), RequestContext()
    found = context.hparams_metadata(request, "")
    return context.experiment_from_metadata(
        request, "", True, found, context.hparams_from_data_provider(request, "", 1000)
    )


def differing(folder: Path) -> set[str]:
    """The hyper-parameters in which the runs differ, which are the columns that are shown at first."""
    return {info.name for info in experiment(folder).hparam_infos if info.differs}


def metrics(folder: Path) -> list[str]:
    """The tags of the figures, in the order of their columns."""
    return [info.name.tag for info in experiment(folder).metric_infos]
