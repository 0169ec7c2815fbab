"""The metrics that gather rows: two processes with an odd number of observations, or with none, are as one."""

from pathlib import Path
from typing import Any

import pytest
import torch
import torch.distributed as dist
import torch.distributions as td
import torch.multiprocessing as mp
from torch import Tensor

from vae_lightning.distributions import BlockGaussian, Flowed
from vae_lightning.metrics import ActiveUnits, ELBOSurgery, HenzeZirkler, LabelScores, SmoothKNN

N = 31
SHARES = {"odd": [[slice(0, 9), slice(20, 31)], [slice(9, 20)]], "none": [[], [slice(0, 31)]]}


def correlated(means: Tensor) -> td.Distribution:
    """Pairs with a correlation of 0.6."""
    return BlockGaussian(means, 0.3 * torch.tensor([[1.0, 0.0], [0.6, 0.8]]).expand(len(means), 1, 2, 2))


def flowed(means: Tensor) -> td.Distribution:
    """The same by way of a flow, of which the parameters alone are gathered."""
    return Flowed(means, torch.full_like(means, 0.3), means, _doubled, means.shape[-1:])


def _doubled(context: Tensor) -> td.Transform:
    return td.IndependentTransform(td.AffineTransform(-context, 2.0), 1)


def figures(batches: list[slice]) -> dict[str, Any]:
    """What all metrics say when this process sees these batches; the limited ones, of the first 17 observations."""
    generator = torch.Generator().manual_seed(0)
    means, noise, others = torch.randn(3, N, 2, generator=generator)
    z, prior = means + 0.3 * noise, td.Independent(td.Normal(torch.zeros(2), torch.ones(2)), 1)
    units, surgery, gaussian, neighbours = ActiveUnits(), ELBOSurgery(chunk=7), HenzeZirkler(), SmoothKNN(k=2)
    labels, few = LabelScores(["one", "other"]), {"limit": 17}
    limited_surgery, limited_gaussian, limited_neighbours = ELBOSurgery(**few), HenzeZirkler(**few), SmoothKNN(**few)
    joint = {kind: ELBOSurgery(chunk=7) for kind in (correlated, flowed)}
    for kind, metric in joint.items():
        metric.expect(kind(means[:1]))  # what a process without batches would not know
        for rows in batches:
            metric.update(kind(means[rows]), prior, z[None, rows])
    for rows in batches:
        units.update(means[rows])
        labels.update({"logits": means[rows], "labels": (others[rows] > 0).float()})
        for each in (surgery, limited_surgery):
            each.update(td.Independent(td.Normal(means[rows], torch.tensor(0.3)), 1), prior, z[None, rows])
        for each in (gaussian, limited_gaussian):
            each.update(z[rows])
        for each in (neighbours, limited_neighbours):
            each.update(z[rows], others[rows])
    values = {**units.compute(), **surgery.compute(), **gaussian.compute(), "knn": neighbours.compute()}
    limited = {**limited_surgery.compute(), **limited_gaussian.compute(), "knn": limited_neighbours.compute()}
    values |= labels.compute()
    values |= {f"{kind.__name__} {name}": v for kind, metric in joint.items() for name, v in metric.compute().items()}
    values |= {f"limited {name}": value for name, value in limited.items()}
    return {name: value.tolist() if isinstance(value, Tensor) else value for name, value in values.items()}


def run_process(rank: int, folder: str) -> None:
    dist.init_process_group("gloo", init_method=f"file://{folder}/meet", rank=rank, world_size=2)
    torch.save({name: figures(shares[rank]) for name, shares in SHARES.items()}, f"{folder}/{rank}.pt")
    dist.destroy_process_group()


@pytest.mark.filterwarnings("ignore:The ``compute`` method of metric")  # a process without batches
def test_two_processes_give_the_figures_of_one(tmp_path: Path):
    mp.start_processes(run_process, args=(str(tmp_path),), nprocs=2, start_method="fork")
    expected = figures([slice(0, N)])
    for rank in range(2):
        gathered = torch.load(tmp_path / f"{rank}.pt", weights_only=True)
        for shares in SHARES:
            assert gathered[shares].keys() == expected.keys()
            for name, value in expected.items():
                assert gathered[shares][name] == pytest.approx(value, rel=1e-9), (shares, rank, name)
