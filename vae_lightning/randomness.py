"""Randomness: standard noise from a replaceable source, and blocks of code under a seed of their own."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Protocol, runtime_checkable

import torch
from torch import Tensor


@runtime_checkable
class Source(Protocol):
    """Where standard noise is drawn from."""

    def uniform(self, shape: Sequence[int], like: Tensor) -> Tensor:
        """U(0, 1) of this shape, on the device and of the dtype of `like`."""

    def normal(self, shape: Sequence[int], like: Tensor) -> Tensor:
        """N(0, 1) of this shape, on the device and of the dtype of `like`."""


_source: ContextVar[Source | None] = ContextVar("source", default=None)


class Noise:
    """Standard noise for a loss, which draws from nothing else: torch's generator, or what `drawing_from` says."""

    def uniform(self, shape: Sequence[int], like: Tensor) -> Tensor:
        """U(0, 1) of this shape, on the device and of the dtype of `like`."""
        if (source := _source.get()) is not None:
            return source.uniform(shape, like)
        return torch.rand(tuple(shape), dtype=like.dtype, device=like.device)

    def normal(self, shape: Sequence[int], like: Tensor) -> Tensor:
        """N(0, 1) of this shape, on the device and of the dtype of `like`."""
        if (source := _source.get()) is not None:
            return source.normal(shape, like)
        return torch.randn(tuple(shape), dtype=like.dtype, device=like.device)


@contextmanager
def drawing_from(source: Source) -> Iterator[None]:
    """Within the block, every `Noise` draws from this source and not from torch's global generator."""
    token = _source.set(source)
    try:
        yield
    finally:
        _source.reset(token)


def run_seed() -> int:
    """The seed of the run, which `seed_everything` leaves in the environment; 0 without one."""
    return int(os.environ.get("PL_GLOBAL_SEED", "0"))


def derive_seed(*keys: int | str) -> int:
    """A 63-bit seed that is a function of the keys alone, on every machine."""
    digest = hashlib.blake2b("/".join(map(str, keys)).encode(), digest_size=8).digest()
    return int.from_bytes(digest, "big") >> 1


def reseed(*keys: int | str) -> None:
    """Set the global generators of the CPU and of CUDA, once that is in use, to a function of the keys.

    torch.manual_seed does the same for devices that are not there, which takes as long as a small training step.
    """
    torch.default_generator.manual_seed(derive_seed(*keys))
    if torch.cuda.is_initialized():
        torch.cuda.manual_seed_all(derive_seed(*keys))


@contextmanager
def seeded(*keys: int | str) -> Iterator[None]:
    """Run a block under a seed of its own and leave torch's random state as it was."""
    devices = range(torch.cuda.device_count()) if torch.cuda.is_initialized() else ()
    with torch.random.fork_rng(devices=devices):
        reseed(*keys)
        yield
