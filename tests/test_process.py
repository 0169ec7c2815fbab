"""What a process settles once, so that no step has to."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest
import torch

from vae_lightning.process import begin_process

NAME = "CUDA_VISIBLE_DEVICES"


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Nothing is said of visible devices, and nothing of what is said here stays."""
    monkeypatch.delenv(NAME, raising=False)
    yield
    os.environ.pop(NAME, None)


def step() -> None:
    weight = torch.nn.Parameter(torch.ones(3))
    weight.grad = torch.ones(3)
    torch.optim.SGD([weight], lr=0.1).step()


def test_without_a_gpu_no_step_looks_for_one(monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as without:
        without.setattr(torch.cuda, "is_available", lambda: False)
        begin_process()
    assert os.environ[NAME] == ""
    searches: list[None] = []
    monkeypatch.setenv("PYTORCH_NVML_BASED_CUDA_CHECK", "1")  # as Lightning sets it
    monkeypatch.setattr(torch.cuda, "_raw_device_count_nvml", lambda: searches.append(None) or -1)
    step()
    assert searches == []


@pytest.mark.parametrize(("available", "said"), [(True, None), (True, "1"), (False, "1")])
def test_what_is_there_or_was_chosen_stays(available: bool, said: str | None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: available)
    if said is not None:
        monkeypatch.setenv(NAME, said)
    begin_process()
    assert os.environ.get(NAME) == said
