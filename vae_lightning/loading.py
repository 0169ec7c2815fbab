"""load: a checkpoint or a run's folder -> the model that was trained, whoever built it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from lightning.pytorch.cli import instantiate_module

from vae_lightning.construction.specification import INSTANTIATOR, paths_of
from vae_lightning.files import find
from vae_lightning.models.reproducible import ReproducibleModule
from vae_lightning.trust import Slot, Trust, one_line, read_checkpoint


def load(path: str | Path, trust: Sequence[str] = ()) -> ReproducibleModule:
    """The model of a checkpoint, ready to use on the CPU; of a run's folder, that of its best.ckpt.

    The file is data: it says the class and the arguments of the model, and only classes of the kinds that these take
    are built, of vae_lightning and torch alone. `trust` names packages of your own that it may name, too.
    ValueError for a file that is no such checkpoint, and for a model that was given objects of which a file can say
    nothing, such as a lambda: load it by `load_from_checkpoint` of its class, with these arguments again.

    Examples:
        >>> import vae_lightning as vl
        >>> model = vl.load("checkpoints/newsgroups-8bit.ckpt")
        >>> type(model).__name__, model.num_bits, model.training
        ('HashingVAE', 8, False)
    """
    file = find(str(path), "ckpt", "best", Path("runs"))
    content = read_checkpoint(file, trust=trust)
    if "seeds" in content:
        members = ", ".join(sorted(str(member) for member in file.parent.glob("member-*.ckpt")))
        told = members or "fit with callbacks.MemberCheckpoints, or save ensemble.checkpoint(number)"
        raise ValueError(f"{file} is of an Ensemble, which is many models: load one of them: {told}")
    said = content.get("hyper_parameters", {}) | content.get("specified", {})
    if "_class_path" not in said:
        given = content.get("given_as_objects", [])
        told = f"it was given {', '.join(given)} as objects, which a file cannot say" if given else "it names no class"
        raise ValueError(f"{file}: {told}: load it by load_from_checkpoint of its class, with what it was given")
    kind = _checked(file, said, Trust(trust))
    if not content.get("specified"):
        loaded: ReproducibleModule = kind.load_from_checkpoint(
            file, map_location="cpu", trust=[*trust, *paths_of(kind)]
        )
        return loaded.eval()
    with one_line(file):
        model = instantiate_module(kind, {name: value for name, value in said.items() if name != "_instantiator"})
        model.given_as_objects, model.specified = content.get("given_as_objects", []), content["specified"]
        model.on_load_checkpoint(content)
        model.load_state_dict(content["state_dict"])
    model.read_preparation(content, file, trust)
    return model.eval()


def _checked(file: Path, said: Mapping[str, Any], trust: Trust) -> type[ReproducibleModule]:
    """The class that a checkpoint names; ValueError if it, or an argument of it, is not to be trusted."""
    arguments = {name: value for name, value in said.items() if name not in ("_class_path", "_instantiator")}
    try:
        if (instantiator := said.get("_instantiator", INSTANTIATOR)) != INSTANTIATOR:
            raise ValueError(f"it is to be built by {instantiator!r:.100}, not by {INSTANTIATOR}")
        kind = trust.imported(said["_class_path"], Slot.of(ReproducibleModule), "_class_path")
        trust.check_arguments(kind, arguments, "")
    except ValueError as error:
        raise ValueError(f"{file} is no checkpoint to use: {error}") from error
    assert issubclass(kind, ReproducibleModule), "its slot takes no other"
    return kind
