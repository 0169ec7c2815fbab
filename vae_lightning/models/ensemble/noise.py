"""MemberNoise: seeds -> a source of noise for a loss under vmap, in which each member draws what it would alone."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

import torch
from torch import Generator, Tensor
from torch.autograd.function import FunctionCtx

from vae_lightning.randomness import derive_seed, drawing_from

Sampler = Callable[..., Tensor]
"""`torch.rand` or `torch.randn`."""

Request = tuple[Sampler, tuple[int, ...], torch.dtype, torch.device]
"""What a member draws: how, of which shape, dtype and device."""


class MemberNoise:
    """One stream of standard noise for each member, restarted at each step from (the member's seed, the step's keys).

    These are the keys, and the numbers, that a module alone has in torch's global generator.
    """

    def __init__(self, seeds: Sequence[int]) -> None:
        self.seeds = list(seeds)
        self.keys: tuple[int | str, ...] = ()
        self.member: Tensor | None = None
        self.drawn: list[Request] = []  # since `begin`
        self._given: Iterator[Tensor] | None = None
        self._streams: dict[torch.device, list[Generator]] = {}

    def begin(self, *keys: int | str) -> None:
        """Restart the streams."""
        self.keys, self.drawn = keys, []
        for device in self._streams:
            self._restart(device)

    @contextmanager
    def given(self, noise: Sequence[Tensor]) -> Iterator[None]:
        """Hand out these, (M, *shape) each, in place of draws."""
        self._given = iter(noise)
        try:
            yield
        finally:
            self._given = None

    @contextmanager
    def of(self, member: Tensor) -> Iterator[None]:
        """Within `vmap`, let every `Noise` draw for this member, an entry of the mapped arange(M)."""
        self.member = member
        try:
            with drawing_from(self):
                yield
        finally:
            self.member = None

    def uniform(self, shape: Sequence[int], like: Tensor) -> Tensor:
        """U(0, 1), of each member's own stream."""
        return self._draw(torch.rand, shape, like)

    def normal(self, shape: Sequence[int], like: Tensor) -> Tensor:
        """N(0, 1), of each member's own stream."""
        return self._draw(torch.randn, shape, like)

    def _draw(self, sampler: Sampler, shape: Sequence[int], like: Tensor) -> Tensor:
        assert self.member is not None, "the Stack says whose noise it is"
        return _PerMember.apply(self.member, self, (sampler, tuple(shape), like.dtype, like.device))

    def stacked(self, request: Request) -> Tensor:
        """(M, *shape), each member's numbers written where they are needed."""
        self.drawn.append(request)
        if self._given is not None:
            return next(self._given)
        sampler, shape, dtype, device = request
        noise = torch.empty(len(self.seeds), *shape, dtype=dtype, device=device)
        for row, stream in zip(noise, self._streams.get(device) or self._restart(device), strict=True):
            sampler(shape, generator=stream, out=row)
        return noise

    def _restart(self, device: torch.device) -> list[Generator]:
        streams = self._streams.setdefault(device, [Generator(device) for _ in self.seeds])
        for stream, seed in zip(streams, self.seeds, strict=True):
            stream.manual_seed(derive_seed(seed, *self.keys))
        return streams


class _PerMember(torch.autograd.Function):
    """What vmap must not draw once for all members, nor without their seeds, its rule draws for each."""

    @staticmethod
    def forward(member: Tensor, noise: MemberNoise, request: Request) -> Tensor:
        raise RuntimeError("members draw their noise within vmap")

    @staticmethod
    def setup_context(ctx: FunctionCtx, inputs: tuple[object, ...], output: Tensor) -> None:
        ctx.mark_non_differentiable(output)

    @staticmethod
    def backward(ctx: FunctionCtx, *upstream: Tensor | None) -> tuple[None, None, None]:
        return None, None, None

    @staticmethod
    def vmap(
        info: object, in_dims: tuple[object, ...], member: Tensor, noise: MemberNoise, request: Request
    ) -> tuple[Tensor, int]:
        return noise.stacked(request), 0
