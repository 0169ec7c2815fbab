"""Page: runs and studies -> one HTML text that needs nothing beside itself, and runs nothing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from vae_lightning.reports import charts, description
from vae_lightning.reports.conclusions import Conclusion, conclusions
from vae_lightning.reports.differences import best, differences, labels
from vae_lightning.reports.figures import SPLITS, Line, lines
from vae_lightning.reports.pictures import Picture, embedded
from vae_lightning.reports.run import Run
from vae_lightning.reports.study import StudyFolder


@dataclass(frozen=True)
class RunSection:
    """All that the page says of a run."""

    label: str
    sentence: str
    parts: description.Items
    figures: Sequence[Line]
    splits: Mapping[str, str]
    conclusions: Sequence[Conclusion]
    charts: Sequence[charts.Chart]
    pictures: Sequence[Picture]
    config: str
    made_with: description.Items
    commands: description.Items
    python: str


@dataclass(frozen=True)
class StudySection:
    """All that the page says of a study; `html` is made by a renderer that lets no HTML of the file through."""

    title: str
    html: Markup
    pictures: Sequence[Picture]


def page(runs: Sequence[Run], studies: Sequence[StudyFolder], title: str | None = None) -> str:
    """The page; everything that comes from files is escaped in it."""
    detailed, chosen_by = best(runs)
    called = dict(zip(labels(runs), runs, strict=True))
    shown = {label: run for label, run in called.items() if run in detailed}
    return (
        templates()
        .get_template("page.html")
        .render(
            title=title or _title(runs, studies),
            runs=[_run(label, run) for label, run in shown.items()],
            studies=[_study(study) for study in studies],
            table=differences(runs) if len(runs) > 1 else None,
            together=charts.charts_of_runs({label: run.curves for label, run in shown.items()})
            if len(runs) > 1
            else [],
            chosen_by=chosen_by,
            sizes=charts,
        )
    )


def templates() -> Environment:
    """Where the templates are found; whatever is put into one is escaped."""
    return Environment(
        loader=PackageLoader("vae_lightning.reports"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )


def _run(label: str, run: Run) -> RunSection:
    figures = lines(run.figures)
    return RunSection(
        label,
        description.sentence(run),
        description.parts(run),
        figures,
        {split: called for split, called in SPLITS.items() if any(split in line.values for line in figures)},
        conclusions(run.figures),
        charts.charts_of_run(run.curves),
        _embedded(run.pictures),
        run.config_text,
        description.made_with(run),
        description.commands(run),
        description.in_python(run),
    )


def _study(study: StudyFolder) -> StudySection:
    return StudySection(study.title, Markup(study.html), _embedded(study.pictures))


def _embedded(pictures: Mapping[str, Path]) -> list[Picture]:
    found = [embedded(name, file) for name, file in pictures.items()]
    return [picture for picture in found if picture is not None]


def _title(runs: Sequence[Run], studies: Sequence[StudyFolder]) -> str:
    models = list(dict.fromkeys(f"{run.model or 'A model'}{f' on {run.data}' if run.data else ''}" for run in runs))
    names = [*models[:2], *(["…"] if len(models) > 2 else []), *(study.title for study in studies)]
    return "; ".join(names)
