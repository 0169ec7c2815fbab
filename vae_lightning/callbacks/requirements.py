"""Requirements: a callback, a model and its data -> what it needs of them, or an error before the first epoch."""

from __future__ import annotations

import lightning.pytorch as pl
import torch.distributions as td
from torch import Tensor

from vae_lightning.answers.hashing import Encodes
from vae_lightning.conditional import OfFamily
from vae_lightning.counts import Counts
from vae_lightning.data.protocols import InMemory, datamodule
from vae_lightning.distributions import Unnormalised
from vae_lightning.harmonium.harmonium import Harmonium
from vae_lightning.latent_variable import LatentVariableModel
from vae_lightning.models.preflight import NAMES, SPLITS
from vae_lightning.models.protocols import Generates, WritesMembers, part
from vae_lightning.models.reproducible import ReproducibleModule
from vae_lightning.objectives import Objective


def require_latent_variable_model(callback: pl.Callback, module: pl.LightningModule) -> LatentVariableModel:
    """The module's `.model`; TypeError if it is not one of encoder, decoder and prior."""
    model = part(module, "model")
    if not isinstance(model, LatentVariableModel):
        members = ", its members do: write them as checkpoints by MemberCheckpoints"
        way_out = members if isinstance(module, WritesMembers) else ""
        raise TypeError(
            f"{type(callback).__name__} needs a model with encoder, decoder and prior as its .model, such as VAE; "
            f"{type(module).__name__} has none{way_out}"
        )
    return model


def require_objective(callback: pl.Callback, module: pl.LightningModule) -> Objective:
    """The module's `.objective`; TypeError if it has none."""
    objective = part(module, "objective")
    if not isinstance(objective, Objective):
        raise TypeError(
            f"{type(callback).__name__} needs a model that is trained by an Objective, as its .objective; "
            f"{type(module).__name__} has none"
        )
    return objective


def require_generates(callback: pl.Callback, module: pl.LightningModule) -> Generates:
    """The module; TypeError if it cannot draw observations."""
    if not isinstance(module, Generates):
        raise TypeError(
            f"{type(callback).__name__} needs a model with sample(n) -> observations; {type(module).__name__} has none"
        )
    return module


def drawn(module: Generates, n: int) -> Tensor | Counts:
    """Observations as a batch has them, of a module of whatever kind."""
    return module.draw(n) if isinstance(module, ReproducibleModule) else module.sample(n)


def require_harmonium(callback: pl.Callback, module: pl.LightningModule) -> Harmonium:
    """The module's `.model`; TypeError if it is not a harmonium."""
    model = part(module, "model")
    if not isinstance(model, Harmonium):
        raise TypeError(
            f"{type(callback).__name__} needs a harmonium as the module's .model, such as RBM has; for models with "
            f"encoder and decoder use LogLikelihood; got {type(module).__name__}"
        )
    return model


def require_normalised(callback: pl.Callback, posterior: td.Distribution) -> None:
    """TypeError for a posterior that does not know its probabilities, of which all figures would be NaN."""
    if isinstance(posterior, Unnormalised):
        raise TypeError(
            f"{type(callback).__name__} needs the probabilities of codes, which {type(posterior).__name__} does not "
            "know: use BernoulliMRF with a group of at most 16 bits, or leave this callback out"
        )


def require_whole(callback: pl.Callback, model: LatentVariableModel) -> None:
    """TypeError for a model of observations of which entries may be missing."""
    decoder = model.decoder
    if isinstance(decoder, OfFamily) and decoder.family.takes_missing:
        raise TypeError(
            f"{type(callback).__name__} needs whole observations, and of those of {decoder.family!r} entries may be "
            "missing: leave this callback out"
        )


def require_codes(callback: pl.Callback, module: pl.LightningModule) -> Encodes:
    """The module; TypeError if it gives observations no codes."""
    if not isinstance(module, Encodes):
        name = type(callback).__name__
        raise TypeError(f"{name} needs a model with hashes(x) -> codes; {type(module).__name__} has none")
    return module


def require_mean(callback: pl.Callback, posterior: td.Distribution) -> None:
    """TypeError for a posterior that does not know its mean, such as one of two levels."""
    try:
        known = bool(posterior.mean.isfinite().all())
    except NotImplementedError:
        known = False
    if not known:
        raise TypeError(
            f"{type(callback).__name__} needs posteriors with a mean in closed form, as Gaussians and bits have; "
            f"q(z | x) is {type(posterior).__name__}: leave this callback out"
        )


def check_size(callback: pl.Callback, trainer: pl.Trainer, stage: str, least: int) -> None:
    """ValueError, before the first epoch, for a split that the stage evaluates and that is too small for a figure."""
    for name, size in evaluated(trainer, stage).items():
        if 0 < size < least:
            raise ValueError(
                f"{type(callback).__name__} needs {least} observations or more, the {NAMES[name]} have {size}: set "
                "more aside, or leave this callback out"
            )


def evaluated(trainer: pl.Trainer, stage: str) -> dict[str, int]:
    """The splits in memory that a stage evaluates, and how many observations they have."""
    data = datamodule(trainer)
    if not isinstance(data, InMemory):
        return {}
    return {name: len(data.split(name)) for name in SPLITS.get(stage, ()) if name != "train"}
