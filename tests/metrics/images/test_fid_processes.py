"""The Fréchet distance on two processes with odd numbers of images, or with none on one, is that of one process."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
import torch.distributed as dist
import torch.multiprocessing as mp
from torch import nn

from vae_lightning.metrics import FrechetInceptionDistance

BATCH = 4
CASES = {"more than features": (61, 33), "fewer": (9, 5), "fewer generated": (61, 5)}  # of 36 features
SHARES = {"in turn": ([0], [1]), "all on the second": ([], [0, 1])}


def figures(case: str, shares: list[int], world_size: int) -> dict[str, float]:
    """What the metric says when this process gets the batches b with b mod W among its shares."""
    generator = torch.Generator().manual_seed(0)
    network = nn.Sequential(nn.AvgPool2d(3, 1), nn.Flatten())
    metric = FrechetInceptionDistance(network)
    for real, n in zip((True, False), CASES[case], strict=True):
        images = torch.rand(n, 1, 8, 8, generator=generator) ** (1 if real else 2)
        for number, batch in enumerate(images.split(BATCH)):
            if number % world_size in shares:
                metric.update(batch, real, number)
    return {name: value.item() for name, value in metric.compute().items()}


def run_process(rank: int, folder: str) -> None:
    dist.init_process_group("gloo", init_method=f"file://{folder}/meet", rank=rank, world_size=2)
    found = {(case, how): figures(case, shares[rank], 2) for case in CASES for how, shares in SHARES.items()}
    torch.save(found, f"{folder}/{rank}.pt")
    dist.destroy_process_group()


@pytest.mark.filterwarnings("ignore:The ``compute`` method of metric")  # a process without batches
def test_two_processes_give_the_figures_of_one(tmp_path: Path) -> None:
    mp.start_processes(run_process, args=(str(tmp_path),), nprocs=2, start_method="fork")
    for rank in range(2):
        gathered = torch.load(tmp_path / f"{rank}.pt", weights_only=True)
        for case in CASES:
            expected = figures(case, [0], 1)
            for how in SHARES:
                assert gathered[case, how] == pytest.approx(expected, rel=1e-9, abs=1e-12), (case, how, rank)
