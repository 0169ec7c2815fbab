"""Examples in docstrings -> they print what they show, and no public class is without one."""

from __future__ import annotations

import doctest
import inspect
from dataclasses import is_dataclass
from importlib import import_module
from typing import Any

import lightning.pytorch as pl
import pytest
import torch

ROOMS = (
    "answers", "callbacks", "conditional", "consistency", "data", "data.processes", "decoders", "encoders",
    "estimators", "families", "harmonium", "inference", "latent_variable", "metrics", "models", "nn", "objectives",
    "priors", "search",
)  # fmt: skip
OF_FILES = {
    "CelebA", "CheckpointReference", "DataReference", "ImageFolder", "InceptionFeatures", "MNIST", "Newsgroups",
    "Omniglot",
}  # fmt: skip
OF_A_RUN = {
    "AtomicCheckpointIO", "Automatic", "Compiled", "Eager", "EveryStep", "ImageMeans", "ImageSamples", "Replayed",
}  # fmt: skip
OF_AN_EXTRA = {"FlowEncoder", "Hamiltonian", "PosteriorFit"}
OF_MINUTES = {"MobiusNetwork"}  # it trains a network
OF_OTHERS = {"ByCount", "ByDocuments", "Features"}  # what other classes are made of: shown there
WITHOUT = OF_FILES | OF_A_RUN | OF_AN_EXTRA | OF_MINUTES | OF_OTHERS
FUNCTIONS = (
    "active_units", "effective_sample_size", "elbo_surgery", "frechet_distance", "hamming_precision", "henze_zirkler",
    "importance_weighted_bound", "smooth_knn",
)  # fmt: skip


def public() -> dict[str, Any]:
    """What rooms export, and what a file that is a room of its own defines, by the name it is imported by."""
    found: dict[str, Any] = {}
    for room in ROOMS:
        module = import_module(f"vae_lightning.{room}")
        own = [name for name, value in vars(module).items() if getattr(value, "__module__", "") == module.__name__]
        for name in getattr(module, "__all__", own):
            found.setdefault(f"{room}.{name}", getattr(module, name))
    functional = import_module("vae_lightning.metrics.functional")
    return found | {f"metrics.functional.{name}": getattr(functional, name) for name in FUNCTIONS}


def example(value: Any) -> doctest.DocTest:
    text = inspect.cleandoc(vars(value).get("__doc__") or "") if inspect.isclass(value) else inspect.getdoc(value)
    return doctest.DocTestParser().get_doctest(text or "", {}, value.__name__, None, None)


def needs_one(name: str, value: Any) -> bool:
    """A class that can be made from what is at hand: nothing abstract, no record of results, nothing of a trainer."""
    return (
        inspect.isclass(value)
        and not inspect.isabstract(value)
        and not getattr(value, "_is_protocol", False)
        and not is_dataclass(value)
        and not issubclass(value, pl.Callback)
        and name.rpartition(".")[2] not in WITHOUT
    )


PUBLIC = public()
EXAMPLES = {id(value): (name, test) for name, value in PUBLIC.items() if (test := example(value)).examples}


def test_every_public_class_has_an_example() -> None:
    assert [name for name, value in PUBLIC.items() if needs_one(name, value) and id(value) not in EXAMPLES] == []
    assert [name for name in FUNCTIONS if id(PUBLIC[f"metrics.functional.{name}"]) not in EXAMPLES] == []


def test_every_class_without_an_example_is_there() -> None:
    assert {name.rpartition(".")[2] for name in PUBLIC} >= WITHOUT


@pytest.mark.parametrize("test", [test for _, test in EXAMPLES.values()], ids=[name for name, _ in EXAMPLES.values()])
def test_an_example_prints_what_it_shows(test: doctest.DocTest) -> None:
    said: list[str] = []
    with torch.random.fork_rng():
        torch.manual_seed(0)
        failed, _ = doctest.DocTestRunner().run(test, out=said.append)
    assert failed == 0, "".join(said)


@pytest.mark.parametrize("test", [test for _, test in EXAMPLES.values()], ids=[name for name, _ in EXAMPLES.values()])
def test_an_example_can_be_copied_and_teaches(test: doctest.DocTest) -> None:
    """It imports what it needs, shows some output, and is read at a glance."""
    assert test.examples[0].source.startswith(("import ", "from "))
    assert any(each.want for each in test.examples)
    assert sum(not each.source.startswith(("import ", "from ")) for each in test.examples) <= 6
