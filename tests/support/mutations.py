"""Damage: a good file or value and a random generator -> one that somebody broke, or made to break others."""

from __future__ import annotations

import copy
import gzip
import io
import tarfile
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from random import Random
from typing import Any

import torch

TOKENS = (
    b"", b"\x00", b"\xff\xfe", b"\xef\xbb\xbf", b"\r\n", b"\n", b"-1", b"0", b"nan", b"1e999", b"99999999999999999999",
    b"../../x", b"[" * 5000, b'{"a":' * 2000, b"!!python/object/apply:os.system [touch BROKEN]", b"<html>",
    b"class_path: os.system", b"\x93NUMPY", b"PK\x03\x04", b"\x80\x04cos\nsystem\n",
)  # fmt: skip
COMMAND = {"class_path": "subprocess.Popen", "init_args": {"args": "touch BROKEN"}}
VALUES: tuple[Any, ...] = (
    None, True, -1, 0, 2**70, float("nan"), float("inf"), "", "os.system", "../../x", [], {}, [None],
    COMMAND, {"class_path": "torch.nn.Linear", "init_args": {"device": COMMAND}},
)  # fmt: skip


def damaged_bytes(content: bytes, rng: Random) -> bytes:
    """One to three places of a file changed: bits, slices, tokens, its end."""
    for _ in range(rng.randint(1, 3)):
        content = rng.choice(BYTES)(content, rng)
    return content


def _flipped(content: bytes, rng: Random) -> bytes:
    broken = bytearray(content)
    for _ in range(rng.randint(1, 8) if broken else 0):
        broken[rng.randrange(len(broken))] ^= 1 << rng.randrange(8)
    return bytes(broken)


def _cut(content: bytes, rng: Random) -> bytes:
    return content[: rng.randrange(len(content) + 1)]


def _without_a_slice(content: bytes, rng: Random) -> bytes:
    start, end = _slice(content, rng)
    return content[:start] + content[end:]


def _with_a_slice_twice(content: bytes, rng: Random) -> bytes:
    start, end = _slice(content, rng)
    return content[:end] + content[start:]


def _with_a_token(content: bytes, rng: Random) -> bytes:
    start, end = _slice(content, rng)
    return content[:start] + rng.choice(TOKENS) + content[rng.choice((start, end)) :]


def _with_noise(content: bytes, rng: Random) -> bytes:
    start, end = _slice(content, rng)
    return content[:start] + rng.randbytes(end - start) + content[end:]


def _slice(content: bytes, rng: Random) -> tuple[int, int]:
    start = rng.randrange(len(content) + 1)
    return start, min(len(content), start + rng.choice((1, 2, 4, 16, 256)))


BYTES: tuple[Callable[[bytes, Random], bytes], ...] = (
    _flipped, _cut, _without_a_slice, _with_a_slice_twice, _with_a_token, _with_noise,
)  # fmt: skip


def damaged_value(value: Any, rng: Random) -> Any:
    """A plain value, as of JSON or a checkpoint, with one to three of its nodes changed, lost or added."""
    value = copy.deepcopy(value)
    for _ in range(rng.randint(1, 3)):
        nodes = list(_nodes(value))
        if not nodes:
            return copy.deepcopy(rng.choice(VALUES))
        parent, key = rng.choice(nodes)
        change = rng.randrange(4)
        if change == 0:
            parent.pop(key)
        elif change == 1 and isinstance(parent, dict):
            parent[rng.choice(("_instantiator", "class_path", "new", 7, ""))] = copy.deepcopy(rng.choice(VALUES))
        elif isinstance(parent[key], torch.Tensor) and change == 2:
            parent[key] = _other_tensor(parent[key], rng)
        else:
            parent[key] = _deep(rng) if rng.random() < 0.1 else copy.deepcopy(rng.choice(VALUES))
    return value


def _nodes(value: Any) -> Iterator[tuple[Any, Any]]:
    pairs = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, child in pairs:
        yield value, key
        yield from _nodes(child)


def _other_tensor(tensor: torch.Tensor, rng: Random) -> torch.Tensor:
    return rng.choice(
        (tensor.flatten()[:1], tensor[None], tensor.bool(), tensor.double() * float("nan"), torch.empty(0))
    )


def _deep(rng: Random) -> Any:
    value: Any = "os.system"
    for _ in range(rng.choice((10, 300))):
        value = [value] if rng.random() < 0.5 else {"class_path": "torch.nn.Sequential", "init_args": {"args": value}}
    return value


def damaged_inside(path: Path, rng: Random) -> bytes:
    """A container packed again around one damaged member, so that its own sums are right; a plain file's bytes."""
    content = path.read_bytes()
    if path.suffix == ".tgz":
        return _tgz(gzip.decompress(content), rng)
    if path.suffix == ".gz":
        return gzip.compress(damaged_bytes(gzip.decompress(content), rng), mtime=0)
    if zipfile.is_zipfile(path):
        return _zip(content, rng)
    return damaged_bytes(content, rng)


def _tgz(content: bytes, rng: Random) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=io.BytesIO(content)) as source, tarfile.open(fileobj=out, mode="w") as target:
        members = source.getmembers()
        broken = rng.choice(members)
        for info in members:
            file = source.extractfile(info)
            assert file is not None
            inside = file.read()
            if info is broken:
                inside = damaged_bytes(inside, rng)
                info.size = len(inside)
                info.name = rng.choice((info.name, info.name, info.name, "../../escaped", "/escaped"))
            target.addfile(info, io.BytesIO(inside))
    return gzip.compress(out.getvalue(), mtime=0)


def _zip(content: bytes, rng: Random) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(content)) as source, zipfile.ZipFile(out, "w") as target:
        members = source.infolist()
        broken = rng.choice(members)
        for info in members:
            inside = source.read(info)
            name = info.filename
            if info is broken:
                inside = damaged_bytes(inside, rng)
                name = rng.choice((name, name, name, "../../escaped", "/escaped"))
            target.writestr(name, inside)
    return out.getvalue()
