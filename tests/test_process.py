"""What holds for a whole process: how it finds out whether there is a GPU."""

from __future__ import annotations

import os

import pytest
import torch

from vae_lightning.process import ask_cuda_itself

VARIABLE = "PYTORCH_NVML_BASED_CUDA_CHECK"  # by which torch loads NVML's library whenever Adam makes a step


@pytest.mark.parametrize("there", [False, True])
def test_torch_goes_on_asking_nvml_where_there_is_a_gpu_alone(there: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(VARIABLE, "1")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: there)
    ask_cuda_itself()
    assert (VARIABLE in os.environ) == there
