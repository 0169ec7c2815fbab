"""Waits: what runs under it -> the places that would wait for a GPU to tell a number, or to take or give a tensor."""

from __future__ import annotations

import traceback
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from typing import Any
from unittest.mock import patch

import lightning.pytorch as pl
import torch
from lightning.pytorch.accelerators import CPUAccelerator
from lightning.pytorch.strategies import SingleDeviceStrategy
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

from vae_lightning.models.ensemble.noise import MemberNoise
from vae_lightning.models.failure import StopsAtFailure

_aten = torch.ops.aten
_TELLS = {
    *(_aten._local_scalar_dense.default, _aten.equal.default, _aten.nonzero.default, _aten.masked_select.default),
    *(_aten.bincount.default, _aten._unique2.default, _aten.unique_dim.default, _aten.unique_consecutive.default),
    *(_aten._linalg_check_errors.default, _aten.allclose.default),
}
"""Operations whose result, or its shape, is a number that only the device has."""
_INDEXES = {_aten.index.Tensor, _aten.index_put.default, _aten.index_put_.default, _aten._index_put_impl_.default}
_COPIES = {_aten._to_copy.default, _aten.copy_.default}


class Waits(TorchDispatchMode):
    """Counts operations that wait for a device, by the place in the code; of tensors on this device alone."""

    def __init__(self, device: str) -> None:
        super().__init__()
        self.device, self.on = device, True
        self.seen, self.found = 0, Counter[str]()

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        self.seen += self.on
        if self.on and self._waits(func, args, kwargs) and (place := _place()):
            self.found[f"{func} at {place}"] += 1
        return func(*args, **kwargs)

    def _waits(self, func: Any, args: Any, kwargs: dict[str, Any]) -> bool:
        devices = {each.device.type for each in args if isinstance(each, Tensor)}
        if func in _COPIES:
            devices |= {torch.device(kwargs.get("device") or next(iter(devices))).type}
            return len(devices) > 1 and not kwargs.get("non_blocking", len(args) > 2 and args[2])
        if self.device not in devices:
            return False
        by_mask = func in _INDEXES and any(isinstance(i, Tensor) and i.dtype == torch.bool for i in args[1])
        told = func is _aten.repeat_interleave.Tensor and kwargs.get("output_size") is None
        return func in _TELLS or by_mask or told


def _place() -> str:
    """File and line in this package, and in what calls it; empty for torch's optimizers, whose steps are on the CPU."""
    frames = traceback.extract_stack()
    if any("torch/optim/" in frame.filename for frame in frames[-12:]):
        return ""
    ours = [frame for frame in frames if "/torch/" not in frame.filename and "support/waits" not in frame.filename]
    return " < ".join(f"{'/'.join(frame.filename.split('/')[-3:])}:{frame.lineno}" for frame in reversed(ours[-4:]))


class _Anywhere(CPUAccelerator):
    def setup_device(self, device: torch.device) -> None:
        """Any will do."""


class OnMeta(SingleDeviceStrategy):
    """A device that has shapes and no numbers: whoever asks for one gets an error."""

    def __init__(self) -> None:
        super().__init__(torch.device("meta"), _Anywhere())

    def reduce(self, tensor: Any, *_: Any, **__: Any) -> Tensor:
        """How many batches there are, which Lightning asks once, before it trains: some."""
        return torch.ones(())

    def teardown(self) -> None:
        """Leave the module there: nothing can be brought back."""


@contextmanager
def meta_has_what_devices_have() -> Iterator[None]:
    """Within the block no autocast is asked for, which it has not; members get noise without seeds; losses are not
    looked at where an epoch ends, as they are where one may wait."""
    autocast, enabled, stacked = torch.autocast, torch.is_autocast_enabled, MemberNoise.stacked

    def noise(self: MemberNoise, request: Any) -> Tensor:
        if request[-1].type != "meta" or self._given is not None:
            return stacked(self, request)
        self.drawn.append(request)
        return torch.empty(len(self.seeds), *request[1], dtype=request[2], device="meta")

    with (
        patch("torch.autocast", lambda kind, **how: nullcontext() if kind == "meta" else autocast(kind, **how)),
        patch("torch.is_autocast_enabled", lambda kind=None: kind != "meta" and enabled(*([kind] if kind else []))),
        patch.object(MemberNoise, "stacked", noise),
        patch.object(StopsAtFailure, "on_train_epoch_end", lambda module: None),
    ):
        yield


class Within(pl.Callback):
    """Counts in some training steps alone: from the first hook of a batch, when it is on the device, to the last."""

    def __init__(self, waits: Waits, steps: range) -> None:
        self.waits, self.steps = waits, steps

    def on_train_batch_start(self, trainer: pl.Trainer, *_: Any) -> None:
        self.waits.on = trainer.global_step in self.steps

    def on_train_batch_end(self, trainer: pl.Trainer, *_: Any) -> None:
        self.waits.on = False
        trainer.should_stop = trainer.global_step >= self.steps.stop
