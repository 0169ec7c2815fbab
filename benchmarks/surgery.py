"""ELBO surgery of 50,000 Gaussian posteriors of 64 units: seconds and peak memory, beside naive broadcasting.

    OMP_NUM_THREADS=1 python benchmarks/surgery.py

The naive way broadcasts every code against every posterior, one code at a time: of (rows, N, units) it is faster. It is
measured with 10 codes of the 50,000. Errors are of log q(z) in float32, against float64. `products` are the N x N
products of 2 x 64 statistics in blocks, which no way of this kind can do without.
"""

from __future__ import annotations

import argparse
import math
import resource
from collections.abc import Iterator
from functools import partial

import torch
import torch.distributions as td
from comparisons import AsFast, Comparison, Contestants, Row, Share, in_turns, limit, main, timed
from torch import Tensor

from vae_lightning.metrics.functional import elbo_surgery
from vae_lightning.metrics.functional.aggregated import aggregated_log_prob

N, UNITS, NAIVE_ROWS, BLOCK = 50_000, 64, 10, 1024


def posteriors(num: int, dtype: torch.dtype = torch.float32) -> tuple[td.Distribution, Tensor]:
    """q(z | x_n), and a code of each."""
    generator = torch.Generator().manual_seed(0)
    mean = torch.randn(num, UNITS, generator=generator).mul_(0.8)
    scale = torch.randn(num, UNITS, generator=generator).mul_(0.3).sub_(0.7).exp_()
    z = torch.randn(num, UNITS, generator=generator).mul_(scale).add_(mean)
    return td.Independent(td.Normal(mean.to(dtype), scale.to(dtype), validate_args=False), 1), z


def peak() -> float:
    """The most memory that this process has held, MB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def naive(q: td.Distribution, z: Tensor) -> Tensor:
    """Log q(z) of the rows of z."""
    return torch.cat([q.log_prob(row).logsumexp(0, keepdim=True) for row in z]) - math.log(len(q.mean))


def products(dtype: torch.dtype) -> None:
    """One block of them."""
    a, b, out = BLOCKS[dtype]
    torch.mm(a, b.mT, out=out)


BLOCKS = {
    dtype: [torch.randn(BLOCK, width, dtype=dtype) for width in (2 * UNITS, 2 * UNITS, BLOCK)]
    for dtype in (torch.float64, torch.float32)
}


@torch.no_grad()
def errors(num: int, q: td.Distribution, z: Tensor) -> tuple[float, float]:
    """The largest of ours and of the naive way, nats."""
    exact = naive(posteriors(num, torch.float64)[0], z.double())
    found = aggregated_log_prob(q, z), naive(q, z)
    return tuple(float((values - exact).abs().max()) for values in found)  # type: ignore[return-value]


def surgery(asked: argparse.Namespace) -> Iterator[Row]:
    """All terms by ours; what the naive way would take for their log q(z)."""
    num = N // 10 if asked.quick else N
    q, z = posteriors(num)
    prior = td.Independent(td.Normal(torch.zeros(UNITS), torch.ones(UNITS)), 1)
    before = peak()
    elbo_surgery(q, prior, z[None])  # before the others, which need more
    what = f"ELBO surgery of {num:,} posteriors of 64 units"
    note = f"{before:,.0f} MB before it began"
    yield limit(f"{what}: peak memory", peak(), 1000, "MB", Share(1.0), note)
    blocks = (num / BLOCK) ** 2
    ways: Contestants = {
        "ours": timed(partial(elbo_surgery, q, prior, z[None]), unit=1.0),
        "naive": timed(torch.no_grad()(partial(naive, q, z[:NAIVE_ROWS])), unit=num / NAIVE_ROWS),
        "products, float64": timed(partial(products, torch.float64), 20, unit=blocks),
        "products, float32": timed(partial(products, torch.float32), 20, unit=blocks),
    }
    costs = in_turns(ways, 1 if asked.quick else 3, warm=0)
    note = "errors of log q(z): {:.1e} and {:.1e} nats".format(*errors(num, q, z[:NAIVE_ROWS]))
    yield Comparison(what, "ours", "naive", AsFast(10), "s", note=note).row(costs)
    for dtype in ("float64", "float32"):
        yield Comparison(what, "ours", f"products, {dtype}", Share(), "s").row(costs)


if __name__ == "__main__":
    main({"surgery": surgery}, __doc__)
