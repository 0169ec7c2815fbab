"""Process: what holds for a whole process; what a Trainer does to it, which takes Lightning, is in `trainers`."""

from vae_lightning.process.own import (
    ask_cuda_itself,
    default_dtype,
    from_first,
    keep_large_buffers,
    lacks_bfloat16,
    leave_process_group,
    let_autograd_count_devices,
    peer_failed,
    rank_and_size,
    ready_to_train,
    without_asking,
)

__all__ = [
    "ask_cuda_itself",
    "default_dtype",
    "from_first",
    "keep_large_buffers",
    "lacks_bfloat16",
    "leave_process_group",
    "let_autograd_count_devices",
    "peer_failed",
    "rank_and_size",
    "ready_to_train",
    "without_asking",
]
