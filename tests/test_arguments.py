"""Constructors tell a value of the wrong kind in one line: what was expected, what came, the way out."""

from __future__ import annotations

import inspect
import typing
from collections.abc import Callable, Iterator, Sequence
from dataclasses import is_dataclass
from typing import Any

import numpy as np
import pytest
import torch
from torch import Size, Tensor, nn
from torch.distributions import Distribution
from torch.optim import SGD

from vae_lightning import estimators, families, models, objectives, priors
from vae_lightning.conditional import Conditional, Network
from vae_lightning.construction.arguments import _fits, _hints, check_kinds
from vae_lightning.estimators import GradientEstimator, Reparameterised
from vae_lightning.families import Bernoulli, BernoulliMRF, ExponentialFamily, Normal
from vae_lightning.harmonium import Harmonium
from vae_lightning.latent_variable import LatentVariableModel
from vae_lightning.models import Ensemble, GaussianVAE
from vae_lightning.nn import MLP
from vae_lightning.objectives import ELBO, AnalyticELBO, Objective
from vae_lightning.priors import FactorisedPrior, Prior

RIGHT: list[Any] = [
    3, 0.5, True, "x", Bernoulli(2), BernoulliMRF(2, 2), [3], MLP, Reparameterised(), ELBO(Reparameterised()),
    FactorisedPrior(Normal(2)), Conditional(Normal(2), (3,), MLP), SGD([torch.zeros(1)]), None, [Bernoulli(2)],
]  # fmt: skip


def constructors() -> Iterator[type]:
    """Every public class that users build a model of; distributions and records are made by these."""
    for room in (models, families, priors, objectives, estimators):
        found = [vars(room)[name] for name in room.__all__]
        built = [kind for kind in found if inspect.isclass(kind) and not inspect.isabstract(kind)]
        yield from (kind for kind in built if not issubclass(kind, Distribution) and not is_dataclass(kind))
    yield from (Conditional, LatentVariableModel, Harmonium)


def build(kind: type, **given: Any) -> None:
    """The constructor as it runs outside the tests, where no type checker is before it."""
    inspect.unwrap(kind.__init__)(kind.__new__(kind), **given)


def cases() -> Iterator[tuple[type, str]]:
    """Each constructor with each argument whose kind can be told."""
    for kind in constructors():
        for name in list(inspect.signature(kind.__init__).parameters)[1:]:
            told_elsewhere = (kind, name) == (Ensemble, "member")
            if not told_elsewhere and not _fits(object(), _hints(kind).get(name, Any)):
                yield kind, name


CASES = list(cases())


@pytest.mark.parametrize(("kind", "name"), CASES, ids=[f"{kind.__name__}-{name}" for kind, name in CASES])
def test_a_value_of_the_wrong_kind_is_one_line(kind: type, name: str) -> None:
    """All other arguments are right."""
    parameters = list(inspect.signature(kind.__init__).parameters.values())[1:]
    given: dict[str, Any] = {}
    for parameter in parameters:
        if parameter.default is parameter.empty and parameter.kind is parameter.POSITIONAL_OR_KEYWORD:
            hint = _hints(kind).get(parameter.name, Any)
            given[parameter.name] = next(value for value in RIGHT if _fits(value, hint))
    with pytest.raises(TypeError, match=rf"^{kind.__name__}'s {name} must be [^\n]*; got an object$"):
        build(kind, **given | {name: object()})


def test_all_constructors_of_some_size_are_among_them() -> None:
    """So that the list above is not empty where it should not be."""
    looked_at = {kind for kind, _ in CASES}
    for kind in constructors():
        hints = [hint for name, hint in _hints(kind).items() if name in inspect.signature(kind.__init__).parameters]
        if any(hint in (int, float, ExponentialFamily, Objective, Prior, GradientEstimator) for hint in hints):
            assert kind in looked_at


def linear() -> nn.Module:
    return nn.Linear(3, 8)


WRONG: dict[str, tuple[type, dict[str, Any], str]] = {
    "a number for a family": (
        GaussianVAE, {"observed": 30},
        "observed must be an ExponentialFamily, such as Bernoulli, .*; got 30",
    ),
    "a class for an instance": (GaussianVAE, {"observed": Normal}, r"give an instance, Normal\(...\)"),
    "another class": (GaussianVAE, {"observed": MLP}, "got the class MLP$"),
    "nothing": (GaussianVAE, {"observed": None}, "got None"),
    "no network": (GaussianVAE, {"encoder": None}, "encoder must be what builds a Module: .*; got None"),
    "a float that is whole": (GaussianVAE, {"latent_dim": 4.0}, "latent_dim must be a whole number; got 4.0: write 4"),
    "a float": (GaussianVAE, {"latent_dim": 2.5}, "got 2.5$"),
    "a truth value": (GaussianVAE, {"latent_dim": True}, "got True"),
    "a text": (GaussianVAE, {"latent_dim": "4"}, "got '4'"),
    "a ready network": (
        GaussianVAE, {"encoder": linear()},
        r"encoder must be what builds a Module: .*; got a ready Linear: give the class, or `lambda \*_: Linear\(...\)`",
    ),
    "a foreign prior": (
        GaussianVAE, {"prior": torch.distributions.Normal(0.0, 1.0)}, "prior must be a Prior, .*; got a Normal$",
    ),
    "a ready optimizer": (
        GaussianVAE, {"optimizer": torch.optim.SGD(linear().parameters(), 0.1)}, "builds an Optimizer: .*; got a SGD",
    ),
    "an objective's class": (GaussianVAE, {"objective": ELBO}, r"give an instance, ELBO\(...\)"),
    "an estimator's class": (ELBO, {"estimator": Reparameterised}, r"ELBO's .* give an instance, Reparam"),
    "an array": (Normal, {"event_shape": np.ones(2)}, "a whole number or a list, each a whole number; got a ndarray"),
    "a list with a float": (Normal, {"event_shape": (2, 2.5)}, "got one with 2.5"),
    "foreign modules": (
        LatentVariableModel, {"encoder": linear(), "decoder": linear(), "prior": linear()},
        "encoder must be a ConditionalLike; got a Linear",
    ),
    "a shape without axes": (Conditional, {"family": Normal(2), "context_shape": 3, "network": MLP}, "; got 3"),
    "members that are none": (Ensemble, {"members": [3]}, "a list, each a ReproducibleModule, .*; got one with 3"),
}  # fmt: skip


@pytest.mark.parametrize("what", WRONG)
def test_what_comes_and_the_way_out_are_told(what: str) -> None:
    kind, given, message = WRONG[what]
    given = ({"latent_dim": 4, "observed": Normal(3)} if kind is GaussianVAE else {}) | given
    with pytest.raises(TypeError, match=message) as raised:
        build(kind, **given)
    assert "\n" not in str(raised.value)


def test_a_builder_of_something_else() -> None:
    with pytest.raises(TypeError, match=r"`member` must return a model, such as GaussianVAE\(...\); it returned 3"):
        Ensemble(member=typing.cast(Any, lambda: 3), seeds=2)


@pytest.mark.parametrize("shape", [0, -1, (-1, -2), (3, 0)])
def test_sizes_below_one(shape: Any) -> None:
    """Two negative sizes make a positive product."""
    for family in (Bernoulli, Normal):
        with pytest.raises(ValueError, match="needs an event shape with at least one entry, got"):
            family(shape)


def test_what_fits_is_let_through() -> None:
    """Numbers of NumPy, shapes, ranges, own classes of a kind, builders of any sort, and annotations nobody can ask."""

    class Own(Prior):
        event_shape = Size([2])

        def forward(self) -> torch.distributions.Distribution:
            return torch.distributions.Independent(torch.distributions.Normal(torch.zeros(2), 1.0), 1)

    build(GaussianVAE, latent_dim=2, observed=Normal(3), prior=Own(), objective=AnalyticELBO(Reparameterised()))
    build(GaussianVAE, latent_dim=2, observed=Normal(3), encoder=lambda shape, outputs: nn.Linear(3, outputs))
    build(Normal, event_shape=np.int64(3), scale=np.float32(0.5))
    build(Normal, event_shape=Size([2, 3]), scale=1)
    for value, hint in ((range(3), Sequence[int]), (3, float), (None, int | None), ("x", Tensor), (1, Any)):
        assert _fits(value, hint)
    for value, hint in ((None, int), ("ab", Sequence[str]), (linear(), Network), (linear(), Callable[[], nn.Module])):
        assert not _fits(value, hint)


def test_a_check_costs_nothing_beside_a_step() -> None:
    """A warm-up builds an objective at each step."""
    estimator = Reparameterised()
    found = {"self": None, "estimator": estimator, "beta": 0.5}
    before = _hints.cache_info().misses
    for _ in range(100):
        check_kinds(objectives.ELBO, found)
    assert _hints.cache_info().misses <= before + 1
