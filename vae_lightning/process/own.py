"""Own: this process -> its memory, the dtype of its new tensors, its group of processes until it ends."""

from __future__ import annotations

import ctypes
import gc
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

import torch
from torch.optim import Optimizer

Value = TypeVar("Value")
_MMAP_THRESHOLD, _TRIM_THRESHOLD = -3, -1  # glibc's names for mallopt's parameters


def keep_large_buffers() -> None:
    """Ask glibc to keep freed buffers of tens of megabytes: taking them anew from the system costs more than a step."""
    try:
        libc = ctypes.CDLL("libc.so.6")
        libc.mallopt(_MMAP_THRESHOLD, 32 << 20)
        libc.mallopt(_TRIM_THRESHOLD, 1 << 30)
    except (OSError, AttributeError):
        return  # another C library: nothing to ask


def ask_cuda_itself() -> None:
    """Where there is no GPU, let torch ask CUDA for one, which knows at once; Adam wants to know at every step.

    Lightning has it ask NVML, whose library is then looked for on disk each time.
    """
    if not torch.cuda.is_available():
        os.environ.pop("PYTORCH_NVML_BASED_CUDA_CHECK", None)


def let_autograd_count_devices() -> None:
    """Have autograd start its threads, one for each GPU, now; it does so once in a process.

    While torch traces a function it pretends that there are GPUs. Autograd would take these for real, start eight
    threads, and let no forked child train.
    """
    with torch.enable_grad():
        torch.zeros((), requires_grad=True).backward()


def without_asking(optimizer: Optimizer) -> Optimizer:
    """The optimizer, which for parameters on the CPU does not ask before each step whether a GPU is recording it.

    Where there is no GPU, torch looks for its driver's library at each step of Adam and of its like, if Lightning is
    imported: three times as long as the step itself for a small model.
    """
    devices = {each.device.type for group in optimizer.param_groups for each in group["params"]}
    if devices == {"cpu"}:
        optimizer._accelerator_graph_capture_health_check = _ask_nothing  # type: ignore[method-assign]
    return optimizer


def _ask_nothing() -> None:
    pass


def ready_to_train() -> None:
    """What every step of a training is then spared: see `keep_large_buffers` and `ask_cuda_itself`."""
    keep_large_buffers()
    ask_cuda_itself()


@contextmanager
def default_dtype(dtype: torch.dtype) -> Iterator[None]:
    """Within the block, new tensors are of this type."""
    before = torch.get_default_dtype()
    torch.set_default_dtype(dtype)
    try:
        yield
    finally:
        torch.set_default_dtype(before)


def rank_and_size() -> tuple[int, int]:
    """Which process of the run this is, and of how many; (0, 1) of a process on its own."""
    together = torch.distributed.is_available() and torch.distributed.is_initialized()
    return (torch.distributed.get_rank(), torch.distributed.get_world_size()) if together else (0, 1)


def from_first(value: Value) -> Value:
    """What the first process of the run has, on all of them; all have to ask."""
    if rank_and_size()[1] == 1:
        return value
    told = [value]
    torch.distributed.broadcast_object_list(told, 0)
    return told[0]


def leave_process_group() -> None:
    """Wait for gloo's threads, which Lightning leaves running, while there is an interpreter for them to end in.

    Each drops the tensor of its last collective shortly after the others have read it. Where the interpreter is being
    finalized by then, the process is aborted at the end of a run that went well: "terminate called without an active
    exception" (pytorch/pytorch#190489).
    """
    if torch.distributed.is_available() and torch.distributed.is_initialized():
        gc.collect()  # the wrapped model, in a cycle with its trainer, holds the group: only its last owner joins
        torch.distributed.destroy_process_group()


def peer_failed(error: BaseException) -> bool:
    """Whether the error says that another process of this run has ended, or has not been heard of for too long."""
    lost = ("Connection closed by peer", "Connection reset by peer", "Broken pipe", "NCCL communicator was aborted")
    silent = ("Timed out waiting", "Connection timed out", "No route to host")
    return isinstance(error, RuntimeError) and any(words in str(error) for words in (*lost, *silent))


def lacks_bfloat16(cpuinfo: Path = Path("/proc/cpuinfo")) -> bool:
    """Whether this processor says what it can do, and arithmetic in bfloat16 is not among it."""
    try:
        words = cpuinfo.read_text().split()
    except OSError:
        return False  # another system: nothing is known
    known = {"avx2", "avx512f", "asimd"} & set(words)
    return bool(known) and not {"avx512_bf16", "amx_bf16", "avx10", "bf16", "svebf16"} & set(words)
