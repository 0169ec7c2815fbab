"""ELBO surgery of 50,000 Gaussian posteriors of 64 units: seconds and peak memory of a process that does only this.

OMP_NUM_THREADS=1 python benchmarks/surgery.py         (diagnostics.py runs it, and the naive way beside it)
"""

from __future__ import annotations

import json
import resource
import statistics
import time

import torch
import torch.distributions as td
from torch import Tensor

from vae_lightning.metrics.functional import elbo_surgery

N, UNITS = 50_000, 64


def posteriors(dtype: torch.dtype = torch.float32) -> tuple[td.Distribution, Tensor]:
    """q(z | x_n), and a code of each."""
    generator = torch.Generator().manual_seed(0)
    mean = torch.randn(N, UNITS, generator=generator).mul_(0.8)
    scale = torch.randn(N, UNITS, generator=generator).mul_(0.3).sub_(0.7).exp_()
    z = torch.randn(N, UNITS, generator=generator).mul_(scale).add_(mean)
    return td.Independent(td.Normal(mean.to(dtype), scale.to(dtype), validate_args=False), 1), z


def peak() -> float:
    """The most memory that this process has held, MB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def main() -> None:
    torch.set_num_threads(1)
    q, z = posteriors()
    prior = td.Independent(td.Normal(torch.zeros(UNITS), torch.ones(UNITS)), 1)
    before, times = peak(), []
    for _ in range(3):
        began = time.process_time()
        terms = elbo_surgery(q, prior, z[None])
        times.append(time.process_time() - began)
    values = {name: float(getattr(terms, name)) for name in ("rate", "mutual_information", "marginal_kl")}
    figures = {"seconds": statistics.median(times), "peak MB": peak(), "before MB": before}
    print(json.dumps(figures | {"terms": values}))


if __name__ == "__main__":
    main()
